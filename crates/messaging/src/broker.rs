//! Connections to RabbitMQ.

use std::{str::FromStr, time::Duration};

use lapin::{
    Channel, Connection, ConnectionProperties,
    options::{ConfirmSelectOptions, QueueDeclareOptions},
    types::FieldTable,
    uri::AMQPUri,
};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

/// Seconds between heartbeats where the URL does not say: a peer that vanished is noticed within about twice as long.
const HEARTBEAT_SECONDS: u16 = 10;

/// Largest AMQP frame. lapin keeps buffers of 32 frames both ways, so the broker's 128 KiB would cost 8 MiB a connection.
const FRAME_MAX: u32 = 32 * 1024;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long lapin's own loop has for what it is asked: see [`answered`].
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Section `[broker]` of a service's configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrokerConfig {
    /// `amqp://user:password@host:port/vhost`, `amqps` for TLS.
    pub url: SecretString,
    /// What the broker's management shows, so that a connection can be told from others: the service's name.
    #[serde(default = "default_connection_name")]
    pub connection_name: String,
}

fn default_connection_name() -> String {
    "banyan".into()
}

impl BrokerConfig {
    /// A broker by its URL.
    pub fn new(url: impl Into<SecretString>, connection_name: &str) -> Self {
        Self {
            url: url.into(),
            connection_name: connection_name.into(),
        }
    }
}

/// Why the broker cannot be used. Names the server and the vhost, never the password.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// The URL cannot be read. The parser's own message is left out, because it may repeat the URL.
    #[error("the broker URL cannot be read: it must look like amqp://user:password@host:port/vhost")]
    Url,
    /// It does not answer, or refuses the login or the vhost.
    #[error("broker {target} cannot be reached: {source}; is it running, and do user and vhost exist?")]
    Unreachable {
        /// `vhost at host:port`.
        target: String,
        /// What the client says.
        source: lapin::Error,
    },
    /// It did not answer in time.
    #[error("broker {target} did not answer within {} seconds", CONNECT_TIMEOUT.as_secs())]
    Timeout {
        /// `vhost at host:port`.
        target: String,
    },
    /// An operation failed, or the connection was lost.
    #[error("broker operation failed: {0}")]
    Amqp(#[from] lapin::Error),
}

/// One connection. It does not reconnect by itself: the owner starts over, because what was unacknowledged is void.
pub struct Broker {
    connection: Connection,
}

impl Broker {
    /// Connects; `purpose` (relay, consumer …) is appended to the connection's name.
    ///
    /// # Errors
    /// [`BrokerError`] names the server and the vhost.
    pub async fn connect(config: &BrokerConfig, purpose: &str) -> Result<Self, BrokerError> {
        let mut uri = AMQPUri::from_str(config.url.expose_secret()).map_err(|_| BrokerError::Url)?;
        uri.query.heartbeat.get_or_insert(HEARTBEAT_SECONDS);
        uri.query.frame_max.get_or_insert(FRAME_MAX);
        let target = format!("{:?} at {}:{}", uri.vhost, uri.authority.host, uri.authority.port);
        let name = format!("{} {purpose}", config.connection_name);
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        match tokio::time::timeout(CONNECT_TIMEOUT, Connection::connect_uri(uri, properties)).await {
            Ok(Ok(connection)) => Ok(Self { connection }),
            Ok(Err(source)) => Err(BrokerError::Unreachable { target, source }),
            Err(_) => Err(BrokerError::Timeout { target }),
        }
    }

    /// A new channel.
    ///
    /// # Errors
    /// [`BrokerError::Amqp`] where the connection was lost.
    pub async fn channel(&self) -> Result<Channel, BrokerError> {
        Ok(answered(self.connection.create_channel()).await?)
    }

    /// A new channel with publisher confirms.
    ///
    /// # Errors
    /// [`BrokerError::Amqp`] where the connection was lost.
    pub async fn confirm_channel(&self) -> Result<Channel, BrokerError> {
        let channel = self.channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        Ok(channel)
    }

    /// Whether the connection still stands, for `/readyz`.
    pub fn connected(&self) -> bool {
        self.connection.status().connected()
    }

    /// Closes the connection; waits until the broker has read everything sent before, acknowledgements too.
    pub async fn close(self) {
        if let Err(error) = answered(self.connection.close(200, "OK".into())).await {
            tracing::debug!(%error, "broker connection was gone before it was closed");
        }
    }
}

/// lapin ends a consumer's stream without an error where the connection was closed; this is that error.
pub(crate) fn lost() -> BrokerError {
    BrokerError::Amqp(std::io::Error::from(std::io::ErrorKind::ConnectionAborted).into())
}

/// Waits for an answer of lapin's own loop: to a new channel, an acknowledgement or a close. What it is asked in the moment in
/// which the connection breaks, after its last round and before it is known, it never answers; that is an error here after a
/// few seconds. (Everything else is put to the broker, and fails with the connection.)
pub(crate) async fn answered<T>(asked: impl Future<Output = lapin::Result<T>>) -> lapin::Result<T> {
    match tokio::time::timeout(ANSWER_TIMEOUT, asked).await {
        Ok(answer) => answer,
        Err(_) => Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
    }
}

/// How many messages are ready in `queue`; fails, and closes the channel, where there is no such queue.
pub(crate) async fn queue_depth(channel: &Channel, queue: &str) -> Result<u32, lapin::Error> {
    let options = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    let declared = channel
        .queue_declare(queue.into(), options, FieldTable::default())
        .await?;
    Ok(declared.message_count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn errors_name_the_server_and_not_the_password() {
        let absent = BrokerConfig::new("amqp://banyan:s3cret@127.0.0.1:1/banyan", "test");
        let message = Broker::connect(&absent, "test").await.err().unwrap().to_string();
        assert!(message.contains("\"banyan\" at 127.0.0.1:1"), "{message}");
        assert!(!message.contains("s3cret"), "{message}");
        let bad = BrokerConfig::new("http://banyan:s3cret@127.0.0.1", "test");
        let error = Broker::connect(&bad, "test").await.err().unwrap();
        assert!(matches!(error, BrokerError::Url));
        assert!(!format!("{error} {bad:?}").contains("s3cret"));
    }
}
