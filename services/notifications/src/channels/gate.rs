//! Keeps a slow or dead destination from taking every consumer slot.
//!
//! A delivery that waits for a mail server occupies one of the consumer's prefetch slots. Were nothing done, a mail server that
//! takes three seconds would soon hold all of them, and events that send no mail would wait too. So:
//!
//! - at most `max_concurrent` sends run at once, which is to be set below the prefetch count;
//! - who finds them all taken waits `patience_ms`, which a healthy destination never needs, and is then turned away to the
//!   retry ladder;
//! - a destination that made somebody lose patience, or whose last send took longer than `slow_after_ms`, is *slow*: it gets
//!   `max_concurrent_slow` sends, and nobody waits for it, until a send is quick again;
//! - after `trip_after` failures to reach it in a row it *rests* for `rest_ms`: everybody is turned away at once, then one is
//!   let through to look.

use std::{
    collections::HashMap,
    future::Future,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use serde::Deserialize;
use tokio::sync::Semaphore;

use super::SendError;

/// Destinations remembered at most; healthy ones are forgotten first.
const MAX_DESTINATIONS: usize = 4096;

/// Bounds on the sends of one channel.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GateConfig {
    /// Sends at once.
    pub max_concurrent: usize,
    /// Sends at once to a slow destination.
    pub max_concurrent_slow: usize,
    /// Milliseconds to wait for a free place.
    pub patience_ms: u64,
    /// Milliseconds of one send from which a destination counts as slow.
    pub slow_after_ms: u64,
    /// Failures to reach a destination in a row after which it rests.
    pub trip_after: u32,
    /// Milliseconds that a destination rests.
    pub rest_ms: u64,
}

#[derive(Debug, Default)]
struct Health {
    in_flight: usize,
    slow: bool,
    failures: u32,
    resting_until: Option<Instant>,
}

/// The gate of one channel.
#[derive(Debug)]
pub(super) struct Gate {
    config: GateConfig,
    places: Semaphore,
    destinations: Mutex<HashMap<String, Health>>,
}

/// Counts a send in flight, also when its future is dropped.
struct InFlight<'a> {
    gate: &'a Gate,
    destination: &'a str,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.gate.health(self.destination, |health| {
            health.in_flight = health.in_flight.saturating_sub(1);
        });
    }
}

impl Gate {
    pub(super) fn new(config: GateConfig) -> Self {
        Self {
            places: Semaphore::new(config.max_concurrent.max(1)),
            destinations: Mutex::new(HashMap::new()),
            config,
        }
    }

    /// Runs `send` if the destination is fit for it and a place is free.
    pub(super) async fn run<T>(
        &self,
        destination: &str,
        send: impl Future<Output = Result<T, SendError>>,
    ) -> Result<T, SendError> {
        let _in_flight = self.admit(destination)?;
        let patience = Duration::from_millis(self.config.patience_ms);
        let _place = if let Ok(place) = self.places.try_acquire() {
            place
        } else {
            let Ok(Ok(place)) = tokio::time::timeout(patience, self.places.acquire()).await else {
                self.health(destination, |health| health.slow = true);
                return Err(SendError::Transient("every place to send is taken".into()));
            };
            place
        };
        let started = Instant::now();
        let outcome = send.await;
        self.observe(
            destination,
            started.elapsed(),
            matches!(outcome, Err(SendError::Unreachable(_))),
        );
        outcome
    }

    fn admit<'a>(&'a self, destination: &'a str) -> Result<InFlight<'a>, SendError> {
        self.health(destination, |health| {
            if let Some(until) = health.resting_until {
                let now = Instant::now();
                if now < until {
                    return Err(SendError::Transient(format!(
                        "resting after {} failures to connect in a row",
                        health.failures
                    )));
                }
                // This one looks whether it is back; who comes meanwhile is turned away for another rest.
                health.resting_until = Some(now + Duration::from_millis(self.config.rest_ms));
            }
            if health.slow && health.in_flight >= self.config.max_concurrent_slow.max(1) {
                return Err(SendError::Transient("the destination is slow, and busy".into()));
            }
            health.in_flight += 1;
            Ok(())
        })?;
        Ok(InFlight {
            gate: self,
            destination,
        })
    }

    fn observe(&self, destination: &str, took: Duration, unreachable: bool) {
        self.health(destination, |health| {
            health.slow = took > Duration::from_millis(self.config.slow_after_ms);
            if unreachable {
                health.failures = health.failures.saturating_add(1);
                if health.failures >= self.config.trip_after.max(1) {
                    health.resting_until = Some(Instant::now() + Duration::from_millis(self.config.rest_ms));
                }
            } else {
                health.failures = 0;
                health.resting_until = None;
            }
        });
    }

    fn health<T>(&self, destination: &str, act: impl FnOnce(&mut Health) -> T) -> T {
        let mut destinations = self.lock();
        if let Some(health) = destinations.get_mut(destination) {
            return act(health);
        }
        if destinations.len() >= MAX_DESTINATIONS {
            destinations.retain(|_, health| health.in_flight > 0 || health.failures > 0);
        }
        act(destinations.entry(destination.to_owned()).or_default())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Health>> {
        self.destinations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::future::{Ready, ready};

    use super::*;

    fn gate(config: impl FnOnce(&mut GateConfig)) -> Gate {
        let mut settings = GateConfig {
            max_concurrent: 2,
            max_concurrent_slow: 1,
            patience_ms: 50,
            slow_after_ms: 1000,
            trip_after: 3,
            rest_ms: 10_000,
        };
        config(&mut settings);
        Gate::new(settings)
    }

    fn ok() -> Ready<Result<(), SendError>> {
        ready(Ok(()))
    }

    fn dead() -> Ready<Result<(), SendError>> {
        ready(Err(SendError::Unreachable("refused".into())))
    }

    async fn slow() -> Result<(), SendError> {
        tokio::time::sleep(Duration::from_secs(3)).await;
        Ok(())
    }

    #[tokio::test]
    async fn a_dead_destination_rests_and_others_do_not() {
        let gate = gate(|_| ());
        for _ in 0..3 {
            assert!(matches!(
                gate.run("a", dead()).await,
                Err(SendError::Unreachable(_))
            ));
        }
        assert!(matches!(gate.run("a", ok()).await, Err(SendError::Transient(_))));
        assert_eq!(gate.run("b", ok()).await, Ok(()));
    }

    #[tokio::test]
    async fn after_its_rest_one_looks_and_opens_it() {
        let gate = gate(|config| config.rest_ms = 1);
        for _ in 0..3 {
            let _ = gate.run("a", dead()).await;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert_eq!(gate.run("a", ok()).await, Ok(()));
        assert_eq!(gate.run("a", ok()).await, Ok(()));
    }

    #[tokio::test]
    async fn nobody_waits_long_for_a_slow_one() {
        let gate = gate(|_| ());
        let began = Instant::now();
        let (first, second, third) = tokio::join!(gate.run("a", slow()), gate.run("a", slow()), async {
            let third = gate.run("a", ok()).await;
            assert!(
                began.elapsed() < Duration::from_secs(1),
                "turned away only after {:?}",
                began.elapsed()
            );
            third
        });
        assert_eq!((first, second), (Ok(()), Ok(())));
        assert!(matches!(third, Err(SendError::Transient(_))));
        // The last send took three seconds: one place is left for it, and a quick send makes it healthy again.
        let (fourth, fifth) = tokio::join!(
            gate.run("a", async {
                tokio::task::yield_now().await;
                Ok(())
            }),
            gate.run("a", ok())
        );
        assert_eq!(fourth, Ok(()));
        assert!(matches!(fifth, Err(SendError::Transient(_))));
        assert_eq!(gate.run("a", ok()).await, Ok(()));
    }

    #[tokio::test]
    async fn a_dropped_send_frees_its_place() {
        let gate = gate(|config| config.max_concurrent = 1);
        assert!(
            tokio::time::timeout(Duration::from_millis(5), gate.run("a", slow()))
                .await
                .is_err()
        );
        assert_eq!(gate.run("a", ok()).await, Ok(()));
        assert_eq!(gate.health("a", |health| health.in_flight), 0);
    }
}
