//! Gathers what many deliveries ask of the database at the same moment into one statement.
//!
//! While a statement runs, further requests wait; the next statement takes all of them. Nobody ever waits for a batch to fill,
//! so a lone request is as quick as without, and under load the round trips are shared.

use tokio::sync::{mpsc, oneshot};

use super::StoreError;

/// Requests in one statement at most.
const MAX_BATCH: usize = 256;

/// Answers requests in batches, one batch at a time.
pub trait Worker: Send + 'static {
    /// A request.
    type Request: Send + 'static;

    /// Handles what has gathered; answers through whatever each request brought along.
    fn run(&mut self, requests: Vec<Self::Request>) -> impl Future<Output = ()> + Send;
}

/// Hands requests to a worker on a task of its own; the task ends when every handle is gone.
#[derive(Debug)]
pub struct Batches<R> {
    sender: mpsc::UnboundedSender<R>,
}

impl<R> Clone for Batches<R> {
    fn clone(&self) -> Self {
        Self {
            sender: self.sender.clone(),
        }
    }
}

impl<R: Send + 'static> Batches<R> {
    /// Starts the worker. Must be called inside a runtime.
    pub fn start<W: Worker<Request = R>>(mut worker: W) -> Self {
        // Bounded by the consumer's prefetch, which bounds the deliveries that can ask.
        let (sender, mut receiver) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            loop {
                let mut requests = Vec::new();
                if receiver.recv_many(&mut requests, MAX_BATCH).await == 0 {
                    return;
                }
                // Deliveries that are ready to ask do so first, as long as more of them come: measured, this makes batches larger.
                loop {
                    let gathered = requests.len();
                    tokio::task::yield_now().await;
                    while requests.len() < MAX_BATCH
                        && let Ok(request) = receiver.try_recv()
                    {
                        requests.push(request);
                    }
                    if requests.len() == gathered || requests.len() == MAX_BATCH {
                        break;
                    }
                }
                worker.run(requests).await;
            }
        });
        Self { sender }
    }

    /// Hands over a request that wants no answer.
    pub fn tell(&self, request: R) {
        // A stopped worker has nothing left to do it for.
        let _ = self.sender.send(request);
    }

    /// Hands over a request and waits for its answer.
    ///
    /// # Errors
    /// The answer's own, or that the worker has stopped.
    pub async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> R,
    ) -> Result<T, StoreError> {
        let (sender, receiver) = oneshot::channel();
        self.tell(request(sender));
        receiver
            .await
            .unwrap_or_else(|_| Err(StoreError::unavailable("the database worker has stopped")))
    }
}
