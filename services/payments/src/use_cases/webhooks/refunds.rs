//! Refunds were made, by us or in Stripe's dashboard, or one has a new state.

use super::{WebhookError, payments};
use crate::domain::webhook::WebhookStatus;
use crate::stripe::{Charge, Event};
use crate::use_cases::Env;

/// Finds the payment that the event is about. Settling its refunds is not done here yet: the event stays `received`, and Stripe sends
/// it again.
pub(super) async fn changed(env: &Env, event: &Event) -> Result<WebhookStatus, WebhookError> {
    let intent_id = if event.kind == "charge.refunded" {
        event
            .object::<Charge>()
            .ok()
            .and_then(|charge| charge.payment_intent)
    } else {
        let found = env
            .stripe
            .retrieve_refund(&event.object_id, env.deadline())
            .await?;
        found.and_then(|refund| refund.payment_intent)
    };
    let payment = match intent_id {
        Some(intent_id) => payments::completed_of(env, &intent_id).await?,
        None => None,
    };
    Ok(match payment {
        Some(_) => WebhookStatus::Received,
        None => WebhookStatus::Ignored,
    })
}
