//! Accepts connections, bounds them, and lets those in flight finish at the end.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::config::HttpConfig;

/// The longest request head in bytes; hyper's own bound of 400 kB is more than any honest client sends.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// How long to wait when the process is out of file descriptors or memory for connections.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A listener and what it serves.
pub(crate) struct Server {
    listener: TcpListener,
    router: Router,
    header_timeout: Duration,
    connections: Arc<Semaphore>,
}

impl Server {
    pub(crate) async fn bind(config: &HttpConfig, router: Router) -> io::Result<Self> {
        Ok(Self {
            listener: TcpListener::bind(config.listen).await?,
            router,
            header_timeout: config.header_timeout(),
            connections: Arc::new(Semaphore::new(config.max_connections.get() as usize)),
        })
    }

    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop`, then closes the listener and waits for the requests in flight, however long they take.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(self.header_timeout)
            .max_buf_size(MAX_HEAD_BYTES);
        let graceful = GracefulShutdown::new();
        while let Some((stream, peer, permit)) = self.next(&stop).await {
            let _ = stream.set_nodelay(true);
            let router = self
                .router
                .clone()
                .map_request(move |request: Request<Incoming>| {
                    let mut request = request.map(Body::new);
                    request.extensions_mut().insert(ConnectInfo(peer));
                    request
                });
            let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
            let connection = graceful.watch(connection);
            tokio::spawn(async move {
                // Timeouts and resets are the client's affair.
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "connection ended early");
                }
                drop(permit);
            });
        }
        drop(self.listener);
        graceful.shutdown().await;
    }

    /// The next connection; `None` when it is time to stop.
    async fn next(
        &self,
        stop: &CancellationToken,
    ) -> Option<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
        let accept = async {
            // The semaphore is never closed.
            let permit = Arc::clone(&self.connections).acquire_owned().await.ok()?;
            loop {
                match self.listener.accept().await {
                    Ok((stream, peer)) => return Some((stream, peer, permit)),
                    Err(error) if is_of_one_connection(&error) => {}
                    Err(error) => {
                        tracing::error!(%error, "cannot accept connections");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => None,
            accepted = accept => accepted,
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset
    )
}
