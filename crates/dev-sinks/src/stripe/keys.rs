//! Idempotency keys and the answers kept for them.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::answer::Answer;
use super::lock;

/// Stripe takes keys of up to 255 characters.
pub(super) const MAX_KEY_LENGTH: usize = 255;
/// Stripe may forget a key once it is this old.
const KEPT_FOR: Duration = Duration::from_hours(24);
/// How many keys are kept at most; beyond that the oldest goes, however young.
pub const MAX_KEYS: usize = 50_000;

/// A key belongs to an account.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// Says which account, without being its secret.
    pub(super) account: [u8; 32],
    pub(super) text: String,
}

/// What must be the same when a key is used again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    /// Method and path.
    pub(super) endpoint: String,
    /// Digest of query and body.
    pub(super) parameters: [u8; 32],
}

/// What a key means for a request.
#[derive(Debug)]
pub(super) enum Begin {
    /// It is the first: execute it.
    First(Lease),
    /// It was executed; the number of the request that did, and its answer.
    Replay(u64, Answer),
    /// The key was used on another path.
    OtherEndpoint(String),
    /// The key was used with other parameters.
    OtherParameters,
    /// The first request still runs.
    InUse,
}

/// The keys of the last day.
#[derive(Debug, Default)]
pub(super) struct Keys(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    entries: HashMap<Key, Entry>,
    /// In order of first use. What was released stays here until it is old.
    order: VecDeque<(Instant, Key)>,
}

#[derive(Debug)]
struct Entry {
    since: Instant,
    request: Request,
    /// Number and answer of the request that was executed; none while it runs.
    done: Option<(u64, Answer)>,
}

impl Keys {
    pub(super) fn begin(&self, key: Key, request: Request, now: Instant) -> Begin {
        let mut state = lock(&self.0);
        state.prune(now);
        if let Some(entry) = state.entries.get(&key) {
            return entry.judge(&request);
        }
        let entry = Entry {
            since: now,
            request,
            done: None,
        };
        state.entries.insert(key.clone(), entry);
        state.order.push_back((now, key.clone()));
        Begin::First(Lease {
            state: Arc::clone(&self.0),
            key: Some(key),
        })
    }
}

impl Entry {
    fn judge(&self, request: &Request) -> Begin {
        if self.request.endpoint != request.endpoint {
            return Begin::OtherEndpoint(self.request.endpoint.clone());
        }
        if self.request.parameters != request.parameters {
            return Begin::OtherParameters;
        }
        match &self.done {
            Some((number, answer)) => Begin::Replay(*number, answer.clone()),
            None => Begin::InUse,
        }
    }
}

impl State {
    fn prune(&mut self, now: Instant) {
        while let Some((since, key)) = self.order.front() {
            let entry = self.entries.get(key).filter(|entry| entry.since == *since);
            let old = now.saturating_duration_since(*since) >= KEPT_FOR || self.entries.len() >= MAX_KEYS;
            match entry {
                // Released, and perhaps used anew since: that use has a place of its own further back.
                None => {}
                Some(entry) if !old || entry.done.is_none() => break,
                Some(_) => drop(self.entries.remove(key)),
            }
            self.order.pop_front();
        }
    }
}

/// The right to execute a request. Dropped without an answer, it frees the key.
#[derive(Debug)]
pub(super) struct Lease {
    state: Arc<Mutex<State>>,
    key: Option<Key>,
}

impl Lease {
    /// Keeps the answer of request `number` for the key.
    pub(super) fn keep(mut self, number: u64, answer: Answer) {
        let Some(key) = self.key.take() else { return };
        if let Some(entry) = lock(&self.state).entries.get_mut(&key) {
            entry.done = Some((number, answer));
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            lock(&self.state).entries.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use super::*;

    fn key(text: &str) -> Key {
        Key {
            account: [0; 32],
            text: text.to_owned(),
        }
    }

    fn request(parameters: u8) -> Request {
        Request {
            endpoint: "POST /v1/refunds".to_owned(),
            parameters: [parameters; 32],
        }
    }

    fn answer() -> Answer {
        Answer::error(StatusCode::INTERNAL_SERVER_ERROR, "api_error", None, "no")
    }

    fn use_up(keys: &Keys, text: &str, now: Instant) {
        match keys.begin(key(text), request(1), now) {
            Begin::First(lease) => lease.keep(1, answer()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_key_is_forgotten_after_a_day_and_not_before() {
        let keys = Keys::default();
        let start = Instant::now();
        use_up(&keys, "a", start);
        let almost = start
            + KEPT_FOR
                .checked_sub(Duration::from_secs(1))
                .expect("a day is longer");
        assert!(matches!(
            keys.begin(key("a"), request(1), almost),
            Begin::Replay(1, _)
        ));
        assert!(matches!(
            keys.begin(key("a"), request(2), almost),
            Begin::OtherParameters
        ));
        assert!(matches!(
            keys.begin(key("a"), request(2), start + KEPT_FOR),
            Begin::First(_)
        ));
    }

    #[test]
    fn a_released_key_can_be_used_anew_with_anything() {
        let keys = Keys::default();
        let now = Instant::now();
        let first = keys.begin(key("a"), request(1), now);
        assert!(matches!(keys.begin(key("a"), request(1), now), Begin::InUse));
        drop(first);
        assert!(matches!(keys.begin(key("a"), request(2), now), Begin::First(_)));
    }

    #[test]
    fn keys_are_bounded_and_the_oldest_goes_first() {
        let keys = Keys::default();
        let now = Instant::now();
        for number in 0..=MAX_KEYS {
            use_up(&keys, &number.to_string(), now);
        }
        assert_eq!(lock(&keys.0).entries.len(), MAX_KEYS);
        assert!(matches!(keys.begin(key("1"), request(1), now), Begin::First(_)));
        assert!(matches!(
            keys.begin(key(&MAX_KEYS.to_string()), request(1), now),
            Begin::Replay(..)
        ));
    }
}
