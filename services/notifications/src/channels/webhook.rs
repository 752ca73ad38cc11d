//! Webhooks that users registered, signed as Standard Webhooks asks for.

use serde::Deserialize;
use serde_json::json;
use time::format_description::well_known::Rfc3339;

use super::{AddressPolicy, GuardedClient, HttpConfig, Outgoing, SendError, SetupError, SigningKey};
use super::{
    gate::{Gate, GateConfig},
    http::Signed,
};
use crate::domain::routing::Webhook;

/// Webhooks of users.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// Times.
    pub http: HttpConfig,
    /// Bounds; slowness and failures are counted per host.
    pub gate: GateConfig,
    /// What may be connected to.
    #[serde(default)]
    pub addresses: AddressPolicy,
}

/// Posts to webhooks.
#[derive(Debug)]
pub struct WebhookChannel {
    client: GuardedClient,
    gate: Gate,
}

impl WebhookChannel {
    /// The channel.
    ///
    /// # Errors
    /// [`SetupError`] when the HTTP client cannot be set up.
    pub fn new(config: &WebhookConfig) -> Result<Self, SetupError> {
        Ok(Self {
            client: GuardedClient::new(&config.http, config.addresses.clone())?,
            gate: Gate::new(config.gate.clone()),
        })
    }

    pub(super) async fn send(&self, webhook: &Webhook, outgoing: &Outgoing<'_>) -> Result<(), SendError> {
        let url = self.client.check(&webhook.url)?;
        let key =
            SigningKey::parse(&webhook.secret).map_err(|error| SendError::Permanent(error.to_string()))?;
        let body = json!({
            "type": outgoing.event_type,
            "timestamp": outgoing.now.format(&Rfc3339).unwrap_or_default(),
            "data": outgoing.data,
        });
        let signed = Signed {
            id: outgoing.message_id,
            timestamp: outgoing.now.unix_timestamp(),
            body: body.to_string().into_bytes(),
            key: &key,
        };
        let host = url.host_str().unwrap_or_default().to_owned();
        self.gate.run(&host, self.client.post(url, signed)).await
    }
}
