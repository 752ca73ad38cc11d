//! What a handler leaves of a request's body is read before the answer goes out.
//!
//! A server that answers early and closes the connection on bytes it has not read resets it, and the reset may overtake
//! the answer (RFC 9112 §9.6): behind a gateway a 413 then arrives as a 502.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::EXPECT;
use axum::middleware::Next;
use axum::response::Response;
use futures::StreamExt;
use hyper::body::{Frame, SizeHint};
use tokio::sync::oneshot;

/// The most that is read, in bytes: as much as the gateway lets through. Who sends more may see the reset.
const LIMIT: usize = 1024 * 1024;
/// The longest that an answer waits for it.
const PATIENCE: Duration = Duration::from_secs(2);

/// Reads a request's body to its end, within bounds, where the answer was ready before that.
pub(super) async fn read(request: Request, next: Next) -> Response {
    // A client that asks first (RFC 9110 §10.1.1) sends nothing once it has the answer.
    if request.body().is_end_stream() || request.headers().contains_key(EXPECT) {
        return next.run(request).await;
    }
    let (returned, mut left) = oneshot::channel();
    let request = request.map(|body| {
        Body::new(OnLoan {
            body,
            returned: Some(returned),
        })
    });
    let response = next.run(request).await;
    // Who was too slow for the whole request gets no more time.
    if response.status() != StatusCode::REQUEST_TIMEOUT
        && let Ok(body) = left.try_recv()
    {
        // However it ends, the answer goes out.
        let _ = tokio::time::timeout(PATIENCE, discard(body)).await;
    }
    response
}

/// Reads it until it ends, breaks, or is more than [`LIMIT`].
async fn discard(body: Body) {
    let mut chunks = body.into_data_stream();
    let mut read = 0;
    while let Some(Ok(chunk)) = chunks.next().await {
        read += chunk.len();
        if read > LIMIT {
            break;
        }
    }
}

/// A body that goes back to its owner when its reader drops it.
struct OnLoan {
    body: Body,
    returned: Option<oneshot::Sender<Body>>,
}

impl HttpBody for OnLoan {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for OnLoan {
    fn drop(&mut self) {
        if let Some(returned) = self.returned.take()
            && !self.body.is_end_stream()
        {
            // Nobody waits any more where the whole request was dropped.
            let _ = returned.send(std::mem::take(&mut self.body));
        }
    }
}
