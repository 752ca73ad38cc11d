//! Webhooks: taken from localstripe, signed, and tried until they arrive.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use backon::{ExponentialBuilder, Retryable as _};
use bytes::Bytes;
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::sync::{Semaphore, mpsc};

use super::journal::Delivery;
use super::proxy::Upstream;
use super::{Front, MAX_LISTED, lock, signature};

/// localstripe waits a second before it sends an event: what is registered within that time gets it.
const REGISTER_EVERY: Duration = Duration::from_millis(250);
const AT_ONCE: usize = 16;
/// Seconds; both clocks are the same one.
const TOLERANCE: u64 = 300;
/// With the first try, over about ten minutes.
const RETRIES: usize = 12;

/// Who gets the webhooks.
#[derive(Clone)]
pub struct Target {
    /// Where they are sent.
    pub url: String,
    /// What they are signed with.
    pub secret: String,
}

impl std::fmt::Debug for Target {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Target({}, [redacted])", self.url)
    }
}

/// An event on its way.
#[derive(Debug)]
pub(super) struct Event {
    id: String,
    kind: String,
    body: Bytes,
}

impl Event {
    /// Reads an event as Stripe writes it.
    pub(super) fn parse(body: Bytes) -> Option<Self> {
        let event: Value = serde_json::from_slice(&body).ok()?;
        Some(Self {
            id: event.get("id")?.as_str()?.to_owned(),
            kind: event.get("type")?.as_str()?.to_owned(),
            body,
        })
    }

    /// An event that localstripe does not know, about an object that need not exist there.
    pub(super) fn made(id: Option<String>, kind: &str, object: &Value) -> Self {
        let id = id.unwrap_or_else(|| format!("evt_{:032x}", rand::random::<u128>()));
        let body = json!({
            "id": id,
            "object": "event",
            "api_version": "2017-08-15",
            "created": now(),
            "livemode": false,
            "pending_webhooks": 1,
            "request": null,
            "type": kind,
            "data": {"object": object},
        });
        Self {
            id,
            kind: kind.to_owned(),
            body: body.to_string().into(),
        }
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }
}

/// Why an event was not taken.
#[derive(Debug, Clone, Copy, thiserror::Error)]
pub(super) enum NotTaken {
    #[error("nobody gets webhooks: start the front with --webhook-url and --webhook-secret")]
    NoTarget,
    #[error("{MAX_LISTED} webhooks wait to be delivered already")]
    Full,
}

/// The way from localstripe to the target.
#[derive(Debug)]
pub(super) struct Webhooks {
    client: reqwest::Client,
    registration: String,
    callback: String,
    /// What localstripe signs with, so that nobody else hands events in.
    inner_secret: String,
    target: Option<Target>,
    queue: mpsc::Sender<Event>,
    registered: Mutex<Option<Instant>>,
}

impl Webhooks {
    pub(super) fn new(
        client: reqwest::Client,
        upstream: &Upstream,
        addr: SocketAddr,
        target: Option<Target>,
    ) -> (Self, mpsc::Receiver<Event>) {
        let (queue, events) = mpsc::channel(MAX_LISTED);
        let webhooks = Self {
            client,
            registration: upstream.url("/_config/webhooks/front"),
            callback: format!("http://{addr}/_front/webhooks"),
            inner_secret: format!("{:032x}", rand::random::<u128>()),
            target,
            queue,
            registered: Mutex::default(),
        };
        (webhooks, events)
    }

    /// Whether localstripe sent this.
    pub(super) fn is_from_localstripe(&self, header: &str, body: &[u8]) -> bool {
        signature::verify(&self.inner_secret, header, body, now(), TOLERANCE)
    }

    /// Takes an event for delivery.
    pub(super) fn take(&self, event: Event) -> Result<(), NotTaken> {
        if self.target.is_none() {
            return Err(NotTaken::NoTarget);
        }
        self.queue.try_send(event).map_err(|_| NotTaken::Full)
    }

    async fn register(&self) -> bool {
        let registration = json!({"url": self.callback, "secret": self.inner_secret});
        let answer = self
            .client
            .post(&self.registration)
            .json(&registration)
            .send()
            .await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    async fn send(&self, target: &Target, event: &Event) -> Option<u16> {
        let request = self
            .client
            .post(&target.url)
            .header("Content-Type", "application/json; charset=utf-8")
            .header("User-Agent", "Stripe/1.0 (+https://stripe.com/docs/webhooks)")
            .header(
                signature::HEADER,
                signature::sign(&target.secret, now(), &event.body),
            )
            .body(event.body.clone());
        Some(request.send().await.ok()?.status().as_u16())
    }
}

/// Has localstripe send its events here, as soon as it runs.
pub(super) async fn register_first(front: Arc<Front>) {
    if front.webhooks.target.is_none() {
        return;
    }
    while !front.webhooks.register().await {
        tokio::time::sleep(REGISTER_EVERY).await;
    }
}

/// Registers again after a call that may cause an event: localstripe forgets who wants events when it is restarted.
pub(super) fn register_soon(front: &Arc<Front>) {
    if front.webhooks.target.is_none() {
        return;
    }
    let now = Instant::now();
    let before = lock(&front.webhooks.registered).replace(now);
    if before.is_some_and(|before| now.saturating_duration_since(before) < REGISTER_EVERY) {
        *lock(&front.webhooks.registered) = before;
        return;
    }
    let front = Arc::clone(front);
    tokio::spawn(async move { front.webhooks.register().await });
}

/// Delivers what comes, several at once, until the front ends.
pub(super) async fn deliver(front: Arc<Front>, mut events: mpsc::Receiver<Event>) {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut deliveries = tokio::task::JoinSet::new();
    while let Some(event) = events.recv().await {
        while deliveries.try_join_next().is_some() {}
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let front = Arc::clone(&front);
        deliveries.spawn(async move {
            deliver_one(&front, &event).await;
            drop(place);
        });
    }
}

async fn deliver_one(front: &Front, event: &Event) {
    let Some(target) = &front.webhooks.target else {
        return;
    };
    let attempts = Mutex::new(0_u32);
    let attempt = || async {
        let status = front.webhooks.send(target, event).await;
        let delivered = status.is_some_and(|status| (200..300).contains(&status));
        let attempts = {
            let mut attempts = lock(&attempts);
            *attempts += 1;
            *attempts
        };
        front.journal.deliver(Delivery {
            event_id: event.id.clone(),
            event_type: event.kind.clone(),
            attempts,
            status,
            delivered,
        });
        if delivered { Ok(()) } else { Err(()) }
    };
    let pauses = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(500))
        .with_max_delay(Duration::from_mins(2))
        .with_max_times(RETRIES)
        .with_jitter();
    // The journal has how it ended.
    let _ = attempt.retry(pauses).await;
}

fn now() -> i64 {
    OffsetDateTime::now_utc().unix_timestamp()
}
