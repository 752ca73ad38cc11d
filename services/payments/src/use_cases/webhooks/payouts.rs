//! A payout has a new state.

use super::WebhookError;
use crate::domain::webhook::WebhookStatus;
use crate::storage::payout;
use crate::use_cases::Env;
use crate::use_cases::payouts::{outcome_of, settle};

/// Brings a payout to where Stripe has it.
pub(super) async fn changed(env: &Env, stripe_id: &str) -> Result<WebhookStatus, WebhookError> {
    let Some(found) = env.stripe.retrieve_payout(stripe_id, env.deadline()).await? else {
        return Ok(WebhookStatus::Ignored);
    };
    let ours = payout::of_stripe(&mut *env.pool.acquire().await?, stripe_id, found.payout_id()).await?;
    let is_same =
        |amount, currency: &str| amount == found.amount && currency.eq_ignore_ascii_case(&found.currency);
    match ours.filter(|ours| is_same(ours.amount.0, ours.currency.as_str())) {
        Some(ours) => {
            settle(env, ours.id, &outcome_of(&found)).await?;
            Ok(WebhookStatus::Processed)
        }
        None => Ok(WebhookStatus::Ignored),
    }
}
