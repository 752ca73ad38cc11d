//! How long to wait before trying again.

use std::time::Duration;

use rand::Rng;

/// Doubling waits with full jitter in their upper half, so that many processes do not come back at the same moment.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    first: Duration,
    last: Duration,
    next: Duration,
}

impl Backoff {
    /// Waits that grow from `first` to `last`.
    pub(crate) const fn new(first: Duration, last: Duration) -> Self {
        Self {
            first,
            last,
            next: first,
        }
    }

    /// For servers that went away: soon at first, never longer than five seconds.
    pub(crate) const fn reconnect() -> Self {
        Self::new(Duration::from_millis(100), Duration::from_secs(5))
    }

    /// The next wait.
    pub(crate) fn next(&mut self) -> Duration {
        let wait = self.next;
        self.next = (wait * 2).min(self.last);
        let wait = u64::try_from(wait.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(rand::rng().random_range(wait / 2..=wait))
    }

    /// It worked: begin at the first wait again.
    pub(crate) fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_last_and_start_over() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_millis(350));
        for expected in [100, 200, 350, 350] {
            let wait = backoff.next();
            assert!(wait <= Duration::from_millis(expected), "{wait:?}");
            assert!(wait >= Duration::from_millis(expected / 2), "{wait:?}");
        }
        backoff.reset();
        assert!(backoff.next() <= Duration::from_millis(100));
    }
}
