//! The sections that every service has.

use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::time::Duration;

use banyan_db::DbConfig;
use banyan_messaging::{BrokerConfig, ConsumerConfig, RelayConfig};
use serde::Deserialize;
use url::Url;

/// The defaults of the sections below.
pub(super) const DEFAULTS: &str = include_str!("../../config.default.toml");

/// The names of the sections below.
pub(super) const SECTIONS: &[&str] = &[
    "http", "database", "broker", "auth", "relay", "consumer", "shutdown", "runtime",
];

/// The secrets among them.
pub(super) const SECRETS: &[&str] = &["database.url", "broker.url"];

/// The sections that every service has.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KitConfig {
    /// The HTTP server.
    pub http: HttpConfig,
    /// The service's own database.
    pub database: DbConfig,
    /// The message broker.
    pub broker: BrokerConfig,
    /// How callers are known.
    pub auth: AuthConfig,
    /// The outbox relay.
    pub relay: RelayConfig,
    /// The event consumer.
    pub consumer: ConsumerConfig,
    /// How the process stops.
    pub shutdown: ShutdownConfig,
    /// The size of the process.
    pub runtime: RuntimeConfig,
}

/// `[http]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpConfig {
    /// The address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The largest request body, in bytes.
    pub body_limit_bytes: NonZeroUsize,
    /// The longest time for a request from its headers to the first byte of the answer, in milliseconds.
    pub request_timeout_ms: NonZeroU64,
    /// The longest time that a connection may be idle or take to send the headers of a request, in milliseconds. Keep
    /// it above the gateway's upstream keep-alive time, or the gateway may send on a connection that is just closing.
    pub header_timeout_ms: NonZeroU64,
    /// The most connections at once; more wait in the backlog.
    pub max_connections: NonZeroU32,
}

/// `[auth]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthConfig {
    /// Where the public keys of access tokens are; needed by a service with operations for known callers.
    #[serde(default)]
    pub jwks_url: Option<Url>,
    /// The `iss` that a token must have, where one is demanded.
    #[serde(default)]
    pub issuer: Option<String>,
    /// The `aud` that a token must have, where one is demanded.
    #[serde(default)]
    pub audience: Option<String>,
    /// How often the keys are fetched again, in seconds.
    pub refresh_seconds: NonZeroU64,
    /// The shortest time between two fetches caused by tokens with an unknown `kid`, in milliseconds.
    pub refetch_min_ms: u64,
    /// The longest time for one fetch, in milliseconds.
    pub fetch_timeout_ms: NonZeroU64,
    /// How far clocks may differ when `exp` and `nbf` are checked, in seconds.
    pub leeway_seconds: u64,
}

/// `[shutdown]`
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShutdownConfig {
    /// How long the service goes on accepting requests after it was told to stop, while `/readyz` answers 503, in
    /// milliseconds. Set it above the interval of the load balancer's probe; 0 where nothing probes.
    pub grace_ms: u64,
    /// How long requests, handlers and tasks in flight may take to finish after that, in seconds.
    pub drain_seconds: u64,
}

/// `[runtime]`
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuntimeConfig {
    /// The threads that run the service.
    pub worker_threads: NonZeroUsize,
}

impl HttpConfig {
    /// [`HttpConfig::request_timeout_ms`] as a duration.
    pub fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms.get())
    }

    /// [`HttpConfig::header_timeout_ms`] as a duration.
    pub fn header_timeout(&self) -> Duration {
        Duration::from_millis(self.header_timeout_ms.get())
    }
}

impl ShutdownConfig {
    /// [`ShutdownConfig::grace_ms`] as a duration.
    pub fn grace(&self) -> Duration {
        Duration::from_millis(self.grace_ms)
    }

    /// [`ShutdownConfig::drain_seconds`] as a duration.
    pub fn drain(&self) -> Duration {
        Duration::from_secs(self.drain_seconds)
    }
}
