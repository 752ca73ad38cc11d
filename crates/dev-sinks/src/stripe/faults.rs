//! What goes wrong on purpose.

use std::num::NonZeroU32;
use std::sync::Mutex;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::lock;

/// What goes wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The request is executed and its answer kept, but the connection closes without one: the client cannot know.
    AnswerLost,
    /// The request is executed, but only after `delayMs`; its key is in use all the while.
    Delay,
    /// 429: nothing is executed or kept.
    RateLimit,
    /// 500: nothing is charged, and the answer is kept for the key, as Stripe keeps it. Not for what is replayed.
    ServerError,
    /// The connection is reset (TCP RST) before anything is executed or kept.
    Reset,
}

/// Which requests a fault is for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Match {
    /// The method; any where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The path; a segment `*` stands for any one segment. Any path where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The `Idempotency-Key`; any request, with or without one, where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

impl Match {
    fn fits(&self, method: &str, path: &str, key: Option<&str>) -> bool {
        let method_fits = self
            .method
            .as_ref()
            .is_none_or(|wanted| wanted.eq_ignore_ascii_case(method));
        let key_fits = self.key.as_ref().is_none_or(|wanted| key == Some(wanted));
        method_fits && key_fits && self.path.as_ref().is_none_or(|pattern| path_fits(pattern, path))
    }
}

fn path_fits(pattern: &str, path: &str) -> bool {
    let (wanted, found) = (pattern.split('/'), path.split('/'));
    wanted.clone().count() == found.clone().count()
        && wanted
            .zip(found)
            .all(|(wanted, found)| wanted == "*" || wanted == found)
}

/// A fault, for which requests, and how often.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FaultRule {
    /// Which requests.
    #[serde(rename = "match", default)]
    pub matching: Match,
    /// What goes wrong.
    pub fault: Fault,
    /// How many requests it hits; then it is gone.
    #[serde(default = "once")]
    pub times: NonZeroU32,
    /// For [`Fault::Delay`], in milliseconds.
    #[serde(default)]
    pub delay_ms: u32,
}

fn once() -> NonZeroU32 {
    NonZeroU32::MIN
}

impl FaultRule {
    /// A fault that hits the next request with this method and path.
    pub fn once(fault: Fault, method: &str, path: &str) -> Self {
        Self {
            matching: Match {
                method: Some(method.to_owned()),
                path: Some(path.to_owned()),
                key: None,
            },
            fault,
            times: once(),
            delay_ms: 0,
        }
    }

    /// Sets the delay.
    #[must_use]
    pub fn delayed_by(mut self, delay: Duration) -> Self {
        self.delay_ms = u32::try_from(delay.as_millis()).unwrap_or(u32::MAX);
        self
    }
}

/// The faults that wait for their requests, oldest first.
#[derive(Debug, Default)]
pub(super) struct Faults(Mutex<Vec<FaultRule>>);

impl Faults {
    pub(super) fn add(&self, rule: FaultRule) {
        lock(&self.0).push(rule);
    }

    pub(super) fn list(&self) -> Vec<FaultRule> {
        lock(&self.0).clone()
    }

    pub(super) fn clear(&self) {
        lock(&self.0).clear();
    }

    /// Uses up one hit of the first fault of one of these kinds that fits.
    pub(super) fn take(
        &self,
        kinds: &[Fault],
        method: &str,
        path: &str,
        key: Option<&str>,
    ) -> Option<FaultRule> {
        let mut rules = lock(&self.0);
        let at = rules
            .iter()
            .position(|rule| kinds.contains(&rule.fault) && rule.matching.fits(method, path, key))?;
        let taken = rules[at].clone();
        match NonZeroU32::new(taken.times.get() - 1) {
            Some(left) => rules[at].times = left,
            None => drop(rules.remove(at)),
        }
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_hits_what_it_is_for_as_often_as_it_says() {
        let faults = Faults::default();
        let mut rule = FaultRule::once(Fault::Reset, "post", "/v1/payment_intents/*/capture");
        rule.times = NonZeroU32::new(2).expect("two");
        faults.add(rule);
        let take = |method, path| faults.take(&[Fault::Reset], method, path, None).is_some();
        assert!(!take("GET", "/v1/payment_intents/pi_1/capture"));
        assert!(!take("POST", "/v1/payment_intents/pi_1"));
        assert!(!take("POST", "/v1/payment_intents/pi_1/capture/more"));
        assert!(
            faults
                .take(&[Fault::Delay], "POST", "/v1/payment_intents/pi_1/capture", None)
                .is_none()
        );
        assert!(take("POST", "/v1/payment_intents/pi_1/capture"));
        assert!(take("POST", "/v1/payment_intents/pi_2/capture"));
        assert!(!take("POST", "/v1/payment_intents/pi_3/capture"));
    }

    #[test]
    fn a_fault_for_a_key_leaves_other_requests_alone() {
        let faults = Faults::default();
        let rule = r#"{"match": {"key": "charge:1:a"}, "fault": "server_error"}"#;
        faults.add(serde_json::from_str(rule).expect("a rule"));
        let take = |key| {
            faults
                .take(&[Fault::ServerError], "POST", "/v1/refunds", key)
                .is_some()
        };
        assert!(!take(None) && !take(Some("charge:1:b")));
        assert!(take(Some("charge:1:a")));
    }

    #[test]
    fn a_misspelt_fault_is_refused() {
        let parse = serde_json::from_str::<FaultRule>;
        assert!(parse(r#"{"match": {"path": "/v1/refunds"}, "fault": "answer_lost", "times": 3}"#).is_ok());
        assert!(parse(r#"{"fault": "answer-lost"}"#).is_err());
        assert!(parse(r#"{"fault": "reset", "time": 3}"#).is_err());
        assert!(parse(r#"{"fault": "reset", "times": 0}"#).is_err());
    }
}
