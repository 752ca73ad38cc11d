//! Stripe's side: events signed as Stripe signs them, and calls that fail.

use banyan_dev_sinks::stripe::signature;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::api::{Api, Call, Difference};

pub(crate) const WEBHOOK: &str = "/api/payments/webhooks/stripe";

pub(crate) fn now() -> i64 {
    OffsetDateTime::now_utc().unix_timestamp()
}

/// An event about an object.
pub(crate) fn event(id: &str, kind: &str, object: &Value) -> Value {
    json!({
        "id": id, "object": "event", "api_version": "2017-08-15", "created": now(), "livemode": false,
        "pending_webhooks": 1, "request": null, "type": kind, "data": {"object": object},
    })
}

/// Tries of one call, the first among them, that a server may make while its client waits.
const TRIES: u32 = 3;

impl Api {
    /// A call with an event that was signed at that time.
    pub(crate) fn webhook_at(&self, time: i64, event: &Value) -> Call {
        let body = event.to_string();
        let secret = self
            .shared
            .inputs
            .webhook_secret
            .as_ref()
            .map(secrecy::ExposeSecret::expose_secret)
            .unwrap_or_default();
        let signature = signature::sign(secret, time, body.as_bytes());
        self.post(WEBHOOK)
            .header("stripe-signature", signature)
            .json_text(body)
    }

    /// A call with an event that was signed now.
    pub(crate) fn webhook(&self, event: &Value) -> Call {
        self.webhook_at(now(), event)
    }

    /// Has the answers to calls with this idempotency key get lost on their way back from Stripe, as often as a server tries by itself.
    pub(crate) async fn lose_answer(&self, key: &str) -> Result<(), Difference> {
        let front = self.shared.inputs.stripe_front.as_deref().unwrap_or_default();
        let url = format!("{}/_front/faults", front.trim_end_matches('/'));
        let rule = json!({"match": {"method": "POST", "key": key}, "fault": "answer_lost", "times": TRIES});
        let answer = self.shared.client.post(url).json(&rule).send().await;
        let status = answer
            .map_err(|error| Difference::new(format!("the Stripe front: {error}")))?
            .status();
        if status.as_u16() == 201 {
            return Ok(());
        }
        Err(Difference::new(format!(
            "the Stripe front takes no fault: status {status}"
        )))
    }
}
