//! Clients that ask again as soon as they have their answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use banyan_test_support::TestKeys;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::http1::Wire;

/// What is asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// A charge under a key of its own.
    Charge,
    /// The repetition of a charge that is done, of the first so many of [`Clients::keep`].
    Replay,
}

/// Users with their tokens, and the keys used so far. The card of a user has the user's id.
pub(crate) struct Clients {
    tokens: Vec<String>,
    next: AtomicU64,
    /// Charges that are done: the numbers of their keys begin and end here.
    done: (u64, u64),
}

/// What was measured between two instants.
#[derive(Default)]
pub(crate) struct Measured {
    /// Answers of the expected kind that came in the window.
    pub(crate) answers: u64,
    /// Their latencies in microseconds, in order.
    latencies: Vec<u64>,
    /// Other answers, at any time.
    pub(crate) others: u64,
    /// The first of those.
    pub(crate) other: Option<String>,
    pub(crate) window: Duration,
}

impl Measured {
    pub(crate) fn per_second(&self) -> u64 {
        let micros = u64::try_from(self.window.as_micros()).unwrap_or(u64::MAX).max(1);
        self.answers * 1_000_000 / micros
    }

    /// The latency that so many of a hundred do not exceed, in microseconds.
    pub(crate) fn percentile(&self, percent: usize) -> u64 {
        let at = self.latencies.len() * percent / 100;
        self.latencies
            .get(at.min(self.latencies.len().saturating_sub(1)))
            .copied()
            .unwrap_or(0)
    }

    pub(crate) fn none_failed(&self) -> anyhow::Result<()> {
        let other = self.other.as_deref().unwrap_or_default();
        ensure!(
            self.others == 0,
            "{} unexpected answers, such as {other}",
            self.others
        );
        Ok(())
    }
}

impl Clients {
    /// Tokens for the users from 1 to `users`, good for 15 minutes.
    pub(crate) fn new(keys: &TestKeys, users: u64) -> anyhow::Result<Self> {
        let tokens = (1..=users).map(|user| Ok(keys.token(i64::try_from(user)?)));
        Ok(Self {
            tokens: tokens.collect::<anyhow::Result<_>>()?,
            next: AtomicU64::new(1),
            done: (0, 0),
        })
    }

    /// The number of the key that comes next.
    pub(crate) fn next(&self) -> u64 {
        self.next.load(Ordering::Relaxed)
    }

    /// Tells which charges are done, to be replayed.
    pub(crate) fn keep(&mut self, from: u64, to: u64) {
        self.done = (from, to);
    }

    /// The request, with a key and a user that its number gives.
    fn request(&self, kind: Kind) -> Vec<u8> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let number = match kind {
            Kind::Charge => number,
            Kind::Replay => self.done.0 + number % (self.done.1 - self.done.0),
        };
        let scattered = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let key = Uuid::from_u64_pair(scattered, number);
        let users = self.tokens.len() as u64;
        let user = (scattered >> 20) % users;
        let token = &self.tokens[usize::try_from(user).unwrap_or_default()];
        let body = format!(
            r#"{{"amount":"10.00","currency":"USD","paymentMethodId":{},"description":"An order of the benchmark"}}"#,
            user + 1
        );
        format!(
            "POST /api/payments/charge HTTP/1.1\r\nhost: payments\r\nauthorization: Bearer {token}\r\nidempotency-key: {key}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    }
}

/// A load under way.
pub(crate) struct Load {
    tasks: JoinSet<anyhow::Result<Seen>>,
    stop: Arc<AtomicBool>,
}

#[derive(Default)]
struct Seen {
    /// When each expected answer came, and after how long.
    answers: Vec<(Instant, Duration)>,
    others: Vec<String>,
}

impl Load {
    /// Opens the connections and begins.
    pub(crate) fn start(clients: &Arc<Clients>, kind: Kind, address: SocketAddr, connections: usize) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let mut tasks = JoinSet::new();
        for _ in 0..connections {
            let (clients, stop) = (Arc::clone(clients), Arc::clone(&stop));
            tasks.spawn(async move { ask(&clients, kind, address, &stop).await });
        }
        Self { tasks, stop }
    }

    /// Lets the requests under way end; what was answered between the two instants.
    pub(crate) async fn end(mut self, from: Instant, to: Instant) -> anyhow::Result<Measured> {
        self.stop.store(true, Ordering::Relaxed);
        let mut measured = Measured {
            window: to - from,
            ..Measured::default()
        };
        while let Some(seen) = self.tasks.join_next().await {
            let seen = seen??;
            measured.others += seen.others.len() as u64;
            measured.other = measured.other.or_else(|| seen.others.into_iter().next());
            let within = seen.answers.into_iter().filter(|(at, _)| *at >= from && *at < to);
            measured
                .latencies
                .extend(within.map(|(_, taken)| u64::try_from(taken.as_micros()).unwrap_or(u64::MAX)));
        }
        measured.answers = measured.latencies.len() as u64;
        measured.latencies.sort_unstable();
        Ok(measured)
    }
}

async fn ask(clients: &Clients, kind: Kind, address: SocketAddr, stop: &AtomicBool) -> anyhow::Result<Seen> {
    let stream = TcpStream::connect(address)
        .await
        .context("the service does not listen")?;
    let mut wire = Wire::new(stream)?;
    let mut seen = Seen::default();
    while !stop.load(Ordering::Relaxed) {
        let request = clients.request(kind);
        let began = Instant::now();
        wire.send(&request).await?;
        let answer = wire.receive().await?.context("the service hung up")?;
        let ended = Instant::now();
        if is_expected(kind, answer.head()) {
            seen.answers.push((ended, ended - began));
        } else {
            let text = [answer.head(), answer.body()].concat();
            seen.others.push(String::from_utf8_lossy(&text).into_owned());
        }
    }
    Ok(seen)
}

fn is_expected(kind: Kind, head: &[u8]) -> bool {
    let replayed = || {
        head.windows(20)
            .any(|name| name.eq_ignore_ascii_case(b"idempotent-replayed:"))
    };
    head.starts_with(b"HTTP/1.1 201 ") && (kind == Kind::Charge || replayed())
}
