//! Accounts that were closed while tokens of theirs are still valid.
//!
//! A token says who somebody was when it was made (RFC 7519 §4.1.4 bounds for how long). A service learns from an event that an account is
//! gone; from then on its tokens are refused here, by whatever instance.

use std::collections::HashSet;
use std::fmt::Display;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// How often the service is asked who is closed.
const EVERY: Duration = Duration::from_secs(1);

/// The users whose tokens count no more. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct ClosedAccounts(Arc<RwLock<HashSet<i64>>>);

impl ClosedAccounts {
    pub(super) fn contains(&self, user_id: i64) -> bool {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(&user_id)
    }

    /// Asks `read` again and again until `shutdown`. While it fails, those that are known stay closed.
    pub(crate) async fn follow<Fut, E>(self, read: impl Fn() -> Fut, shutdown: CancellationToken)
    where
        Fut: Future<Output = Result<Vec<i64>, E>>,
        E: Display,
    {
        let mut fails = false;
        loop {
            match read().await {
                Ok(users) => {
                    fails = false;
                    let users = users.into_iter().collect();
                    *self.0.write().unwrap_or_else(PoisonError::into_inner) = users;
                }
                Err(error) if !fails => {
                    fails = true;
                    tracing::warn!(%error, "closed accounts cannot be read; those that are known stay closed");
                }
                Err(_) => {}
            }
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                () = shutdown.cancelled() => return,
            }
        }
    }
}
