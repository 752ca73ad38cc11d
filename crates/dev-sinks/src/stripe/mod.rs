//! A front before localstripe that adds what clients of Stripe must be able to rely on, and what tests need.
//!
//! `localstripe` keeps Stripe's objects, but ignores `Idempotency-Key` and sends a webhook once. The front is a reverse
//! proxy that
//!
//! - honours [idempotency keys](https://docs.stripe.com/api/idempotent_requests) of POST requests: the first answer of an
//!   execution is kept, errors of the server too, and given again with `Idempotent-Replayed: true`; other parameters are
//!   refused with 400, a request while the first one runs with 409. What failed validation (4xx but 402) is not kept;
//! - names the PaymentIntent in a decline, where localstripe names its charge;
//! - delivers webhooks signed as [Stripe signs them](https://docs.stripe.com/webhooks#verify-manually), with a new
//!   timestamp at each try, until they are answered with 2xx or a dozen tries are over;
//! - does what goes wrong in production when told to ([`Fault`]): the answer lost after the charge, a delay, 429, 500, a
//!   connection reset;
//! - lists what it was asked, for tests.
//!
//! It belongs to the local stack and to tests; production talks to Stripe itself. **Its state is in memory**: keys, deliveries
//! to be tried again and the lists are gone when it ends, though localstripe keeps its objects. The keys of the last 24 hours
//! are kept, at most [`MAX_KEYS`] of them; the lists hold the latest [`MAX_LISTED`] entries.

mod answer;
mod control;
mod faults;
mod journal;
mod keys;
mod proxy;
mod server;
pub mod signature;
mod webhooks;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::wait::{WaitTimeout, wait_for};
pub use faults::{Fault, FaultRule, Match};
pub use journal::{Delivery, Exchange};
pub use keys::MAX_KEYS;
pub use webhooks::Target;

/// How many requests and how many deliveries are listed at most.
pub const MAX_LISTED: usize = 10_000;

/// Where the front stands.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where localstripe is, such as `http://127.0.0.1:8421`.
    pub upstream: String,
    /// Who gets the webhooks, if anybody.
    pub webhook: Option<Target>,
}

/// A running front on a real port. Dropping it closes the port and every connection.
#[derive(Debug)]
pub struct StripeFront {
    addr: SocketAddr,
    front: Arc<Front>,
    tasks: Vec<JoinHandle<()>>,
}

impl StripeFront {
    /// Listens, and has localstripe send its events here as soon as it answers.
    pub async fn start(settings: Settings) -> io::Result<Self> {
        let listener = TcpListener::bind(settings.listen).await?;
        let addr = listener.local_addr()?;
        let client = client()?;
        let upstream = proxy::Upstream::new(client.clone(), &settings.upstream);
        let (webhooks, deliveries) = webhooks::Webhooks::new(client, &upstream, addr, settings.webhook);
        let front = Arc::new(Front {
            keys: keys::Keys::default(),
            faults: faults::Faults::default(),
            journal: journal::Journal::default(),
            upstream,
            webhooks,
        });
        let tasks = vec![
            tokio::spawn(server::serve(listener, control::router(Arc::clone(&front)))),
            tokio::spawn(webhooks::deliver(Arc::clone(&front), deliveries)),
            tokio::spawn(webhooks::register_first(Arc::clone(&front))),
        ];
        Ok(Self { addr, front, tasks })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The base URL for clients of Stripe.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Has something go wrong with requests to come.
    pub fn inject(&self, rule: FaultRule) {
        self.front.faults.add(rule);
    }

    /// The latest requests, oldest first.
    pub fn requests(&self) -> Vec<Exchange> {
        self.front.journal.exchanges()
    }

    /// The latest webhooks, oldest first, with what became of them.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.front.journal.deliveries()
    }

    /// Waits until the requests satisfy `wanted`, and gives them.
    pub async fn wait_for_requests(
        &self,
        limit: Duration,
        mut wanted: impl FnMut(&[Exchange]) -> bool,
    ) -> Result<Vec<Exchange>, WaitTimeout> {
        let mut changes = self.front.journal.changes();
        wait_for(&mut changes, limit, "matching requests", || {
            let exchanges = self.requests();
            wanted(&exchanges).then_some(exchanges)
        })
        .await
    }
}

impl Drop for StripeFront {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// Everything that a request may need.
#[derive(Debug)]
struct Front {
    keys: keys::Keys,
    faults: faults::Faults,
    journal: journal::Journal,
    upstream: proxy::Upstream,
    webhooks: webhooks::Webhooks,
}

static PROVIDER: Once = Once::new();

/// A client for the loopback interface.
fn client() -> io::Result<reqwest::Client> {
    // reqwest panics without a crypto provider, even for plain HTTP; a second install is refused, which is fine.
    PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(5))
        .timeout(Duration::from_mins(1))
        .build()
        .map_err(io::Error::other)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
