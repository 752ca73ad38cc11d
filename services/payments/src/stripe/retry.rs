//! When a request is sent again, and after what pause.
//!
//! The pauses grow exponentially under [full jitter](https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/):
//! each is random between nothing and its bound, so that clients that failed together do not come back together.

use std::time::Duration;

use reqwest::header::HeaderMap;

use super::config::RetryConfig;
use super::error::{NotSent, StripeError, Unknown, UnknownReason};
use super::wire::header;

/// A random duration between nothing and the given one; tests pass one that is not random.
pub type Jitter = fn(Duration) -> Duration;

/// [`Jitter`] by the thread's random number generator.
pub fn full_jitter(bound: Duration) -> Duration {
    let bound = u64::try_from(bound.as_micros()).unwrap_or(u64::MAX);
    Duration::from_micros(rand::random_range(0..=bound))
}

/// What an answer's headers say about sending the request again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Advice {
    /// `Stripe-Should-Retry`.
    pub(super) should_retry: Option<bool>,
    /// `Retry-After`, where it is a number of seconds.
    pub(super) retry_after: Option<Duration>,
    /// `Idempotent-Replayed`: the answer that Stripe keeps for the key, and would give again.
    pub(super) replayed: bool,
}

impl Advice {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let text = |name| header(headers, name);
        Self {
            should_retry: text("stripe-should-retry").and_then(|value| value.parse().ok()),
            retry_after: text("retry-after")
                .and_then(|value| value.parse().ok())
                .map(Duration::from_secs),
            replayed: text("idempotent-replayed").is_some_and(|value| value == "true"),
        }
    }
}

/// The pause before the next try, where there is one. `retries` counts those that were made.
///
/// Only for requests that may be sent twice: GET, and POST with an idempotency key. Stripe's libraries do the same, but for
/// 429, which they leave to the caller; here the caller's deadline bounds it.
pub(super) fn pause(
    config: &RetryConfig,
    jitter: Jitter,
    retries: u32,
    error: &StripeError,
    advice: Advice,
) -> Option<Duration> {
    if retries >= config.max_retries || advice.replayed || !advice.should_retry.unwrap_or(may_pass(error)) {
        return None;
    }
    let pause = jitter(bound(config, retries));
    Some(pause.max(advice.retry_after.unwrap_or_default()))
}

/// Whether the next try may end otherwise.
fn may_pass(error: &StripeError) -> bool {
    match error {
        StripeError::RateLimited(_) | StripeError::NotSent(NotSent::NoConnection) => true,
        StripeError::Unknown(Unknown { reason, .. }) => match reason {
            UnknownReason::Timeout
            | UnknownReason::ConnectionLost
            | UnknownReason::ServerError
            | UnknownReason::Conflict => true,
            UnknownReason::KeyReused | UnknownReason::Unreadable => false,
        },
        _ => false,
    }
}

fn bound(config: &RetryConfig, retries: u32) -> Duration {
    let factor = 1_u64.checked_shl(retries).unwrap_or(u64::MAX);
    let millis = config.base_delay_ms.get().saturating_mul(factor);
    Duration::from_millis(millis.min(config.max_delay_ms.get()))
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use super::*;
    use crate::stripe::error::Answer;

    fn config() -> RetryConfig {
        RetryConfig {
            max_retries: 4,
            base_delay_ms: NonZeroU64::new(100).expect("not zero"),
            max_delay_ms: NonZeroU64::new(350).expect("not zero"),
        }
    }

    fn longest(retries: u32, error: &StripeError, advice: Advice) -> Option<Duration> {
        pause(&config(), |bound| bound, retries, error, advice)
    }

    fn lost() -> StripeError {
        StripeError::no_answer(UnknownReason::ConnectionLost)
    }

    #[test]
    fn the_bound_doubles_up_to_the_longest_and_then_it_ends() {
        let bounds: Vec<_> = (0..6)
            .map(|retries| longest(retries, &lost(), Advice::default()).map(|pause| pause.as_millis()))
            .collect();
        assert_eq!(bounds, [Some(100), Some(200), Some(350), Some(350), None, None]);
        assert_eq!(bound(&config(), 70), Duration::from_millis(350));
    }

    #[test]
    fn a_pause_lies_anywhere_below_its_bound() {
        let bound = Duration::from_millis(100);
        let pauses: Vec<_> = (0..1000).map(|_| full_jitter(bound)).collect();
        assert!(pauses.iter().all(|pause| *pause <= bound));
        assert!(
            pauses.iter().any(|pause| *pause < bound / 4)
                && pauses.iter().any(|pause| *pause > bound / 4 * 3)
        );
        assert_eq!(full_jitter(Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        let tried = |error: &StripeError| longest(0, error, Advice::default()).is_some();
        for reason in [
            UnknownReason::Timeout,
            UnknownReason::ConnectionLost,
            UnknownReason::ServerError,
            UnknownReason::Conflict,
        ] {
            assert!(tried(&StripeError::no_answer(reason)), "{reason}");
        }
        for reason in [UnknownReason::KeyReused, UnknownReason::Unreadable] {
            assert!(!tried(&StripeError::no_answer(reason)), "{reason}");
        }
        assert!(tried(&StripeError::RateLimited(Answer::default())));
        assert!(tried(&StripeError::NotSent(NotSent::NoConnection)));
        assert!(!tried(&StripeError::NotSent(NotSent::BreakerOpen)));
        assert!(!tried(&StripeError::NotSent(NotSent::DeadlinePassed)));
        assert!(!tried(&StripeError::Unauthorized(Answer::default())));
        assert!(!tried(&StripeError::no_such_id()));
    }

    #[test]
    fn stripe_has_the_last_word() {
        let advised = |advice| longest(0, &lost(), advice);
        let no = Advice {
            should_retry: Some(false),
            ..Advice::default()
        };
        assert_eq!(advised(no), None);
        let kept = Advice {
            replayed: true,
            ..Advice::default()
        };
        assert_eq!(advised(kept), None);
        let yes = Advice {
            should_retry: Some(true),
            ..Advice::default()
        };
        assert!(longest(0, &StripeError::no_such_id(), yes).is_some());
        let later = Advice {
            retry_after: Some(Duration::from_secs(7)),
            ..Advice::default()
        };
        assert_eq!(advised(later), Some(Duration::from_secs(7)));
    }

    #[test]
    fn advice_is_read_from_the_headers_and_nonsense_is_ignored() {
        let of = |pairs: &[(&'static str, &str)]| {
            let headers = pairs
                .iter()
                .map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value")));
            Advice::of(&headers.collect::<HeaderMap>())
        };
        let full = of(&[
            ("stripe-should-retry", "true"),
            ("retry-after", "3"),
            ("idempotent-replayed", "true"),
        ]);
        assert_eq!(full.should_retry, Some(true));
        assert_eq!(full.retry_after, Some(Duration::from_secs(3)));
        assert!(full.replayed);
        let nonsense = of(&[
            ("stripe-should-retry", "maybe"),
            ("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT"),
        ]);
        assert_eq!(nonsense, Advice::default());
    }
}
