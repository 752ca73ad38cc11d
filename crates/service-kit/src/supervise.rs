//! Keeps the parts beside the HTTP server running: one that fails or panics is started again after a pause.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::service::Task;

/// The first pause; it doubles up to [`MAX_PAUSE`].
const MIN_PAUSE: Duration = Duration::from_millis(250);
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// A task that ran this long before it failed begins with the shortest pause again.
const STEADY: Duration = Duration::from_mins(1);

/// Runs `task` until `shutdown`, and then until it has finished what it had in hand.
pub(crate) async fn supervise(task: Task, shutdown: CancellationToken) {
    let mut pause = MIN_PAUSE;
    while !shutdown.is_cancelled() {
        let started = Instant::now();
        // A task of its own, so that a panic ends here and nowhere else.
        let running = AbortOnDropHandle::new(tokio::spawn((task.start)(shutdown.clone())));
        let reason = match running.await {
            Ok(Ok(())) if shutdown.is_cancelled() => return,
            Ok(Ok(())) => "it ended although nobody asked it to".to_owned(),
            Ok(Err(error)) => chain(error.as_ref()),
            Err(error) if error.is_panic() => "it panicked".to_owned(),
            Err(_) => return,
        };
        if shutdown.is_cancelled() {
            tracing::warn!(task = task.name, reason, "task failed while stopping");
            return;
        }
        if started.elapsed() >= STEADY {
            pause = MIN_PAUSE;
        }
        metrics::counter!("banyan_task_restarts_total", "task" => task.name.clone()).increment(1);
        let wait = jitter(pause);
        tracing::error!(
            task = task.name,
            reason,
            restart_in_ms = wait.as_millis(),
            "task failed"
        );
        pause = (pause * 2).min(MAX_PAUSE);
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = shutdown.cancelled() => return,
        }
    }
}

/// Between half of the pause and all of it: processes that failed together do not come back together.
fn jitter(pause: Duration) -> Duration {
    let half = pause / 2;
    half + half.mul_f64(rand::random())
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Many errors repeat their source in their own message.
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
