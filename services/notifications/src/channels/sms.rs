//! Text messages, by way of a provider's HTTP API.

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;

use super::{
    AddressPolicy, GuardedClient, HttpConfig, Outgoing, SendError, SetupError, SigningKey, SigningKeyError,
};
use super::{
    gate::{Gate, GateConfig},
    http::Signed,
};

/// The SMS provider.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SmsConfig {
    /// Where to post; empty: no text messages, e-mail instead.
    pub url: String,
    /// What to sign with: `whsec_` and base64.
    pub secret: SecretString,
    /// Name or number that the message comes from.
    pub sender: String,
    /// Times.
    pub http: HttpConfig,
    /// Bounds.
    pub gate: GateConfig,
    /// What may be connected to.
    #[serde(default)]
    pub addresses: AddressPolicy,
}

/// Why the channel cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SmsSetupError {
    /// The client.
    #[error(transparent)]
    Client(#[from] SetupError),
    /// The secret.
    #[error("[sms] secret: {0}")]
    Secret(#[from] SigningKeyError),
}

/// Sends text messages.
#[derive(Debug)]
pub struct SmsChannel {
    client: GuardedClient,
    url: String,
    sender: String,
    key: SigningKey,
    gate: Gate,
}

impl SmsChannel {
    /// The channel, or none where no provider is configured.
    ///
    /// # Errors
    /// [`SmsSetupError`] names what is wrong with the configuration.
    pub fn new(config: &SmsConfig) -> Result<Option<Self>, SmsSetupError> {
        if config.url.is_empty() {
            return Ok(None);
        }
        Ok(Some(Self {
            client: GuardedClient::new(&config.http, config.addresses.clone())?,
            url: config.url.clone(),
            sender: config.sender.clone(),
            key: SigningKey::parse(config.secret.expose_secret())?,
            gate: Gate::new(config.gate.clone()),
        }))
    }

    pub(super) async fn send(&self, phone: &str, outgoing: &Outgoing<'_>) -> Result<(), SendError> {
        let url = self.client.check(&self.url)?;
        let body = json!({
            "id": outgoing.message_id,
            "from": self.sender,
            "to": phone,
            "text": outgoing.rendered.sms,
        });
        let signed = Signed {
            id: outgoing.message_id,
            timestamp: outgoing.now.unix_timestamp(),
            body: body.to_string().into_bytes(),
            key: &self.key,
        };
        self.gate.run("sms", self.client.post(url, signed)).await
    }
}
