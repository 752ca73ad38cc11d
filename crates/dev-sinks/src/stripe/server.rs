//! The listener: HTTP/1.1 whose connections can also end as in production, without an answer.

use std::convert::Infallible;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tower::ServiceExt as _;

use super::answer::Hangup;

/// Takes connections until aborted; the connections end with it, because their tasks belong to its set.
pub(super) async fn serve(listener: TcpListener, router: Router) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                // Small answers are not worth waiting to fill a packet; where it fails they only come later.
                let _ = stream.set_nodelay(true);
                connections.spawn(serve_connection(stream, router.clone()));
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve_connection(stream: TcpStream, router: Router) {
    let service = service_fn(move |request| answer(router.clone(), request));
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let Err(error) = (&mut connection).await else {
        return;
    };
    let hangup = std::error::Error::source(&error).and_then(|source| source.downcast_ref::<Hangup>());
    if hangup == Some(&Hangup::Reset) {
        // Without lingering the kernel answers what is left with a reset instead of an orderly end.
        let _ = connection.into_parts().io.into_inner().set_zero_linger();
    }
}

async fn answer(router: Router, request: Request<Incoming>) -> Result<Response<Body>, Hangup> {
    let response = router.oneshot(request.map(Body::new)).await;
    let response = response.unwrap_or_else(|never: Infallible| match never {});
    match response.extensions().get::<Hangup>() {
        Some(hangup) => Err(*hangup),
        None => Ok(response),
    }
}
