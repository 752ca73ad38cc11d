//! A circuit breaker: while Stripe does not answer, nobody waits for it.
//!
//! *Closed*, requests pass; after `trip_after` failures in a row it is *open* and turns everybody away; after `cool_down_ms`
//! it is *half-open* and lets one request through to look, which closes it or opens it again. A failure is a request that got
//! no answer, or a 5xx. The time is passed in, so that tests need not wait.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::config::BreakerConfig;

/// The breaker of one client.
#[derive(Debug)]
pub(super) struct Breaker {
    trip_after: u32,
    cool_down: Duration,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    state: State,
    /// Counts the changes of state: who began before one has nothing to say after it.
    generation: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed { failures: u32 },
    Open { until: Instant },
    HalfOpen { since: Instant },
}

/// The breaker is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rejected;

/// The right to send one request. Dropped without a word, as when the caller hung up, it proves nothing: the next one looks.
#[derive(Debug)]
pub(super) struct Permit<'a> {
    breaker: &'a Breaker,
    generation: u64,
}

impl Breaker {
    pub(super) fn new(config: &BreakerConfig) -> Self {
        let state = State::Closed { failures: 0 };
        show(state);
        Self {
            trip_after: config.trip_after.get(),
            cool_down: config.cool_down(),
            inner: Mutex::new(Inner { state, generation: 0 }),
        }
    }

    /// Asks for the right to send a request.
    pub(super) fn admit(&self, now: Instant) -> Result<Permit<'_>, Rejected> {
        let mut inner = self.lock();
        match inner.state {
            State::Closed { .. } => {}
            State::Open { until } if until <= now => inner.change(State::HalfOpen { since: now }),
            State::Open { .. } | State::HalfOpen { .. } => return Err(Rejected),
        }
        let generation = inner.generation;
        Ok(Permit {
            breaker: self,
            generation,
        })
    }

    /// Whether a request would be let through now.
    pub(super) fn is_passable(&self, now: Instant) -> bool {
        match self.lock().state {
            State::Closed { .. } => true,
            State::Open { until } => until <= now,
            State::HalfOpen { .. } => false,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn change(&mut self, state: State) {
        self.state = state;
        self.generation += 1;
        show(state);
        let name = state.name();
        metrics::counter!("banyan_stripe_breaker_changes_total", "to" => name).increment(1);
        if matches!(state, State::Open { .. }) {
            tracing::warn!(
                state = name,
                "Stripe does not answer: the circuit breaker changes its state"
            );
        } else {
            tracing::info!(state = name, "the circuit breaker for Stripe changes its state");
        }
    }
}

impl Permit<'_> {
    /// Stripe has answered, whatever it said.
    pub(super) fn answered(self) {
        let mut inner = self.breaker.lock();
        if inner.generation != self.generation {
            return;
        }
        match &mut inner.state {
            State::Closed { failures } => *failures = 0,
            State::HalfOpen { .. } => inner.change(State::Closed { failures: 0 }),
            State::Open { .. } => {}
        }
    }

    /// Stripe has not answered, or with a 5xx.
    pub(super) fn failed(self, now: Instant) {
        let mut inner = self.breaker.lock();
        if inner.generation != self.generation {
            return;
        }
        let trips = match &mut inner.state {
            State::Closed { failures } => {
                *failures = failures.saturating_add(1);
                *failures >= self.breaker.trip_after
            }
            State::HalfOpen { .. } => true,
            State::Open { .. } => false,
        };
        if trips {
            let until = now + self.breaker.cool_down;
            inner.change(State::Open { until });
        }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let mut inner = self.breaker.lock();
        // After `answered` and `failed` of a half-open breaker the generation is another one.
        if inner.generation == self.generation
            && let State::HalfOpen { since } = inner.state
        {
            inner.change(State::Open { until: since });
        }
    }
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Closed { .. } => "closed",
            Self::Open { .. } => "open",
            Self::HalfOpen { .. } => "half-open",
        }
    }
}

/// `banyan_stripe_breaker_state`: 0 closed, 1 half-open, 2 open.
fn show(state: State) {
    let value: u32 = match state {
        State::Closed { .. } => 0,
        State::HalfOpen { .. } => 1,
        State::Open { .. } => 2,
    };
    metrics::gauge!("banyan_stripe_breaker_state").set(value);
}

#[cfg(test)]
mod tests {
    use std::num::{NonZeroU32, NonZeroU64};

    use super::*;

    const COOL_DOWN: Duration = Duration::from_secs(5);
    const TICK: Duration = Duration::from_millis(1);

    fn breaker() -> (Breaker, Instant) {
        let config = BreakerConfig {
            trip_after: NonZeroU32::new(3).expect("not zero"),
            cool_down_ms: NonZeroU64::new(5000).expect("not zero"),
        };
        (Breaker::new(&config), Instant::now())
    }

    fn fail(breaker: &Breaker, times: usize, now: Instant) {
        for _ in 0..times {
            breaker.admit(now).expect("let through").failed(now);
        }
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_not_before() {
        let (breaker, now) = breaker();
        fail(&breaker, 2, now);
        breaker.admit(now).expect("still closed").answered();
        fail(&breaker, 2, now);
        assert!(breaker.is_passable(now));
        fail(&breaker, 1, now);
        assert!(breaker.admit(now).is_err());
        assert!(!breaker.is_passable(now + COOL_DOWN - TICK));
    }

    #[test]
    fn after_the_cool_down_one_looks_and_closes_it() {
        let (breaker, now) = breaker();
        fail(&breaker, 3, now);
        let later = now + COOL_DOWN;
        assert!(breaker.admit(later - TICK).is_err());
        assert!(breaker.is_passable(later));
        let probe = breaker.admit(later).expect("the probe");
        assert!(breaker.admit(later).is_err(), "one at a time");
        assert!(!breaker.is_passable(later));
        probe.answered();
        assert!(breaker.admit(later).is_ok());
        fail(&breaker, 2, later);
        assert!(breaker.is_passable(later), "it counts from the beginning again");
    }

    #[test]
    fn a_probe_that_fails_opens_it_for_another_cool_down() {
        let (breaker, now) = breaker();
        fail(&breaker, 3, now);
        let probed = now + COOL_DOWN * 2;
        breaker.admit(probed).expect("the probe").failed(probed);
        assert!(breaker.admit(probed + COOL_DOWN - TICK).is_err());
        assert!(breaker.admit(probed + COOL_DOWN).is_ok());
    }

    #[test]
    fn a_probe_whose_caller_hung_up_leaves_its_place_to_the_next() {
        let (breaker, now) = breaker();
        fail(&breaker, 3, now);
        let later = now + COOL_DOWN;
        drop(breaker.admit(later).expect("the probe"));
        breaker.admit(later).expect("the next probe").answered();
        assert!(breaker.is_passable(later));
    }

    #[test]
    fn who_began_before_a_change_has_nothing_to_say_after_it() {
        let (breaker, now) = breaker();
        let (slow, late) = (breaker.admit(now), breaker.admit(now));
        fail(&breaker, 3, now);
        slow.expect("let through").answered();
        assert!(breaker.admit(now).is_err(), "an old answer does not close it");
        let later = now + COOL_DOWN;
        let probe = breaker.admit(later).expect("the probe");
        late.expect("let through").failed(later);
        probe.answered();
        assert!(breaker.is_passable(later), "an old failure does not open it");
    }
}
