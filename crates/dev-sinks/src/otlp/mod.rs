//! A collector that keeps the spans it is sent.

mod http;
mod span;
mod store;
mod tree;

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::wait::{WaitTimeout, wait_for};
pub use span::Span;
use store::Store;
pub use tree::tree;

/// A running OTLP/HTTP collector on a real port. Dropping it closes the port.
///
/// It takes `POST /v1/traces` as protobuf, plain or gzip, and shows `GET /traces` (the latest), `GET /traces/{trace id}`
/// (a tree) and `GET /traces/{trace id}.json`.
#[derive(Debug)]
pub struct OtlpSink {
    addr: SocketAddr,
    store: Arc<Store>,
    server: JoinHandle<()>,
}

impl OtlpSink {
    /// Listens on `listen` (port 0 takes a free one) and keeps spans in memory, and as JSON lines under `dir` if one is given.
    pub async fn start(listen: SocketAddr, dir: Option<&Path>) -> io::Result<Self> {
        Self::start_with(listen, dir, true).await
    }

    /// As [`start`](Self::start), but keeps spans in files only: for a process that runs for days.
    pub async fn start_on_disk(listen: SocketAddr, dir: &Path) -> io::Result<Self> {
        Self::start_with(listen, Some(dir), false).await
    }

    async fn start_with(listen: SocketAddr, dir: Option<&Path>, in_memory: bool) -> io::Result<Self> {
        let store = Arc::new(Store::open(dir, in_memory)?);
        let listener = TcpListener::bind(listen).await?;
        let addr = listener.local_addr()?;
        let router = http::router(Arc::clone(&store));
        let server = tokio::spawn(async move {
            // Ends only with the task.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { addr, store, server })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The value for `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The spans kept in memory, in order of arrival: children before their parents.
    pub fn spans(&self) -> Vec<Span> {
        self.store.spans()
    }

    /// The spans of one trace.
    pub fn trace(&self, trace_id: &str) -> Vec<Span> {
        self.spans()
            .into_iter()
            .filter(|span| span.trace_id == trace_id)
            .collect()
    }

    /// The trace as a tree of text; empty when no span of it came.
    pub fn tree(&self, trace_id: &str) -> String {
        tree(&self.trace(trace_id))
    }

    /// Waits until the spans in memory satisfy `wanted`, and gives them.
    pub async fn wait_until(
        &self,
        limit: Duration,
        mut wanted: impl FnMut(&[Span]) -> bool,
    ) -> Result<Vec<Span>, WaitTimeout> {
        let mut arrivals = self.store.arrivals.subscribe();
        wait_for(&mut arrivals, limit, "matching spans", || {
            let spans = self.spans();
            wanted(&spans).then_some(spans)
        })
        .await
    }
}

impl Drop for OtlpSink {
    fn drop(&mut self) {
        self.server.abort();
    }
}
