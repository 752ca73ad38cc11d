//! Work beside the measurement, on threads of its own: what it does must not hold up who takes the time.

use std::future::Future;
use std::thread::JoinHandle;

use anyhow::{Context as _, anyhow};
use banyan_table_sync::changes::{self, Ways};
use banyan_table_sync::{Link, snapshot};
use tokio_util::sync::CancellationToken;

/// Ends when it is told to, or dropped.
pub(crate) struct Running {
    shutdown: CancellationToken,
    thread: Option<JoinHandle<anyhow::Result<()>>>,
}

impl Running {
    /// The sync.
    pub(crate) fn start(link: &Link, limits: snapshot::Limits) -> Self {
        let link = link.clone();
        Self::with(async move |shutdown| Ok(changes::run(&link, Ways::Forward, limits, &shutdown).await?))
    }

    /// Anything that ends at its token.
    pub(crate) fn with<F: Future<Output = anyhow::Result<()>>>(
        work: impl FnOnce(CancellationToken) -> F + Send + 'static,
    ) -> Self {
        let shutdown = CancellationToken::new();
        let token = shutdown.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()?;
            runtime.block_on(work(token))
        });
        Self {
            shutdown,
            thread: Some(thread),
        }
    }

    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        self.shutdown.cancel();
        let thread = self.thread.take().context("it was stopped before")?;
        let ended = tokio::task::spawn_blocking(move || thread.join()).await?;
        ended.map_err(|_| anyhow!("it panicked"))?
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}
