//! A pool of SMTP connections.
//!
//! The protocol is lettre's; the pool is ours for two reasons that were measured. lettre's sockets keep Nagle's algorithm on,
//! and it writes the message and its final dot separately, so each mail waits for the receiver's delayed acknowledgement, up to
//! 40 ms. And its pool asks `NOOP` before every mail, a fifth round trip where four do; here only a connection that has been
//! idle is asked.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use lettre::{
    address::Envelope,
    transport::smtp::{
        Error as SmtpError,
        authentication::{Credentials, DEFAULT_MECHANISMS},
        client::{AsyncSmtpConnection, TlsParameters},
        extension::ClientId,
    },
};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::net::TcpStream;

use super::{SendError, write_behind::WriteBehind};
use crate::domain::notification::scrub;

/// How the connection to the mail server is protected.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum TlsMode {
    /// Not at all: a relay on this machine.
    None,
    /// Upgraded after the greeting; a server without it is refused.
    Starttls,
    /// From the first byte (RFC 8314).
    Implicit,
}

/// The mail server.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SmtpConfig {
    /// Host.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Protection.
    pub tls: TlsMode,
    /// User, where the server asks for one; empty: none.
    pub username: String,
    /// Password.
    pub password: SecretString,
    /// Name given in EHLO.
    pub hello_name: String,
    /// Milliseconds to connect, greeting, TLS and login included.
    pub connect_timeout_ms: u64,
    /// Milliseconds for one mail.
    pub send_timeout_ms: u64,
    /// Connections kept open when idle.
    pub max_idle: usize,
    /// Seconds after which an idle connection is closed instead of used.
    pub idle_timeout_seconds: u64,
    /// Mails after which a connection is closed; many servers have a limit.
    pub max_mails_per_connection: u32,
}

/// An idle connection this old is asked whether it is still there before it is used.
const ASK_AFTER: Duration = Duration::from_secs(1);

struct Idle {
    connection: AsyncSmtpConnection,
    since: Instant,
    mails: u32,
}

/// Keeps connections to one mail server.
pub(super) struct SmtpPool {
    config: SmtpConfig,
    idle: Mutex<Vec<Idle>>,
}

impl std::fmt::Debug for SmtpPool {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("SmtpPool")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl SmtpPool {
    pub(super) fn new(config: SmtpConfig) -> Self {
        Self {
            config,
            idle: Mutex::new(Vec::new()),
        }
    }

    /// Sends one mail and waits until the server accepted it.
    pub(super) async fn send(&self, envelope: &Envelope, mail: &[u8]) -> Result<(), SendError> {
        let (mut connection, mails) = match self.take().await {
            Some(idle) => (idle.connection, idle.mails),
            None => (self.connect().await?, 0),
        };
        let limit = Duration::from_millis(self.config.send_timeout_ms);
        // Dropping the connection on a timeout closes it: nobody can use it half-way through a command.
        let sent = tokio::time::timeout(limit, connection.send(envelope, mail)).await;
        match sent {
            Err(_) => Err(SendError::Unreachable(
                "the mail server did not answer in time".into(),
            )),
            Ok(Err(error)) => Err(classify(&error)),
            Ok(Ok(_)) => {
                self.keep(connection, mails + 1);
                Ok(())
            }
        }
    }

    /// Closes the idle connections with a QUIT.
    pub(super) async fn close(&self) {
        let idle = std::mem::take(&mut *self.lock());
        for mut idle in idle {
            let _ = idle.connection.quit().await;
        }
    }

    async fn take(&self) -> Option<Idle> {
        loop {
            let mut idle = self.lock().pop()?;
            let age = idle.since.elapsed();
            if age > Duration::from_secs(self.config.idle_timeout_seconds) {
                continue;
            }
            if age < ASK_AFTER {
                return Some(idle);
            }
            let asked = tokio::time::timeout(Duration::from_secs(1), idle.connection.test_connected()).await;
            if asked.unwrap_or(false) {
                return Some(idle);
            }
        }
    }

    fn keep(&self, connection: AsyncSmtpConnection, mails: u32) {
        let mut idle = self.lock();
        if mails < self.config.max_mails_per_connection && idle.len() < self.config.max_idle {
            idle.push(Idle {
                connection,
                since: Instant::now(),
                mails,
            });
        }
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, SendError> {
        let limit = Duration::from_millis(self.config.connect_timeout_ms);
        match tokio::time::timeout(limit, self.greet()).await {
            Err(_) => Err(SendError::Unreachable(
                "the mail server could not be reached in time".into(),
            )),
            Ok(connected) => connected,
        }
    }

    async fn greet(&self) -> Result<AsyncSmtpConnection, SendError> {
        let config = &self.config;
        let server = (config.host.as_str(), config.port);
        let hello = ClientId::Domain(config.hello_name.clone());
        let tls = || TlsParameters::new(config.host.clone()).map_err(|error| classify(&error));
        let mut connection = if config.tls == TlsMode::Implicit {
            let limit = Some(Duration::from_millis(config.connect_timeout_ms));
            AsyncSmtpConnection::connect_tokio1(server, limit, &hello, Some(tls()?), None)
                .await
                .map_err(|error| unreachable(&error))?
        } else {
            let stream = TcpStream::connect(server)
                .await
                .map_err(|error| SendError::Unreachable(format!("connecting to the mail server: {error}")))?;
            let _ = stream.set_nodelay(true);
            AsyncSmtpConnection::connect_with_transport(Box::new(WriteBehind::new(stream)), &hello)
                .await
                .map_err(|error| unreachable(&error))?
        };
        if config.tls == TlsMode::Starttls {
            connection
                .starttls(tls()?, &hello)
                .await
                .map_err(|error| unreachable(&error))?;
        }
        if !config.username.is_empty() {
            let credentials = Credentials::new(
                config.username.clone(),
                config.password.expose_secret().to_owned(),
            );
            connection
                .auth(DEFAULT_MECHANISMS, &credentials)
                .await
                .map_err(|error| unreachable(&error))?;
        }
        Ok(connection)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A refusal before any mail was offered speaks of the server or of our login, never of the recipient: retried.
fn unreachable(error: &SmtpError) -> SendError {
    SendError::Unreachable(scrub(&format!("the mail server: {error}")))
}

/// 5xx (RFC 5321 §4.2.1) is permanent; 4xx, timeouts and broken connections are not.
fn classify(error: &SmtpError) -> SendError {
    let text = scrub(&describe(error));
    if error.is_permanent() {
        SendError::Permanent(text)
    } else if error.is_transient() {
        SendError::Transient(text)
    } else if error.is_client() {
        // The mail asks for something that this server cannot do, such as an address that needs SMTPUTF8.
        SendError::Permanent(text)
    } else {
        SendError::Unreachable(text)
    }
}

fn describe(error: &SmtpError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
