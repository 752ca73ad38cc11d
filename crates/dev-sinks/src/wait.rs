//! Waiting for something to arrive, woken by its arrival.

use std::time::Duration;

use tokio::sync::watch;

/// What was waited for did not come in time.
#[derive(Debug, thiserror::Error)]
#[error("waited {waited:?} for {wanted}, got {got}")]
pub struct WaitTimeout {
    /// How long.
    pub waited: Duration,
    /// What for.
    pub wanted: String,
    /// What there was at the end.
    pub got: String,
}

/// Waits until `check`, run now and after every arrival, gives a value.
pub(crate) async fn wait_for<T>(
    arrivals: &mut watch::Receiver<usize>,
    limit: Duration,
    wanted: &str,
    mut check: impl FnMut() -> Option<T>,
) -> Result<T, WaitTimeout> {
    let found = async {
        loop {
            // Marked as seen before the look, so that an arrival during the look wakes the next round.
            arrivals.borrow_and_update();
            if let Some(value) = check() {
                return value;
            }
            if arrivals.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    let result = tokio::time::timeout(limit, found).await;
    result.map_err(|_| WaitTimeout {
        waited: limit,
        wanted: wanted.to_owned(),
        got: format!("{} arrivals", *arrivals.borrow()),
    })
}
