//! Requests that run to their end although the client hung up.

use std::panic::resume_unwind;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use banyan_service_kit::Problem;
use banyan_service_kit::problem::UNAVAILABLE;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

/// Runs the handler on a task that a shutdown waits for: hyper drops a handler's future when the client hangs up, and half of a
/// capture is worse than none.
pub(super) async fn to_its_end(State(tasks): State<TaskTracker>, request: Request, next: Next) -> Response {
    match tasks.spawn(next.run(request).in_current_span()).await {
        Ok(response) => response,
        Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
        Err(_) => Problem::new(&UNAVAILABLE).retry_after(1).into_response(),
    }
}
