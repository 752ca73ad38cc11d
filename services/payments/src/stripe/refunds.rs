//! Refunds (<https://docs.stripe.com/api/refunds>).

use std::collections::HashMap;

use futures::TryStreamExt as _;
use serde::Deserialize;
use tokio::time::Instant;

use super::client::StripeClient;
use super::error::StripeError;
use super::form::Form;
use super::keys::IdempotencyKey;
use super::list::Listed;
use super::request::{Path, Request};
use super::wire::{id_of, own_id};

const RESOURCE: &str = "refunds";

/// A refund to make. The same for the same refund each time, or Stripe refuses its key.
#[derive(Clone, Copy, Debug)]
pub struct CreateRefund<'a> {
    /// Our refund; written into the metadata, by which it is found again.
    pub refund_id: i64,
    /// `pi_…`
    pub payment_intent: &'a str,
    /// Minor units of the payment's currency.
    pub amount: i64,
    /// `duplicate`, `fraudulent` or `requested_by_customer`; empty for none.
    pub reason: &'a str,
}

/// A refund.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Refund {
    /// `re_…`
    pub id: String,
    /// Where it stands.
    pub status: RefundStatus,
    /// Minor units.
    pub amount: i64,
    /// ISO 4217, in lower case.
    pub currency: String,
    /// The PaymentIntent that is refunded.
    #[serde(default, deserialize_with = "id_of")]
    pub payment_intent: Option<String>,
    /// Why it failed.
    #[serde(default)]
    pub failure_reason: Option<String>,
    /// What we wrote to it.
    #[serde(default)]
    pub metadata: HashMap<String, String>,
    /// Seconds since 1970.
    pub created: i64,
}

/// Where a refund stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundStatus {
    /// Stripe has it and will tell how it ends.
    Pending,
    /// Stripe waits for the customer's bank details.
    RequiresAction,
    /// The money is on its way back.
    Succeeded,
    /// The bank did not take it.
    Failed,
    /// Taken back.
    Canceled,
    /// A status that Stripe has made since.
    #[serde(other)]
    Other,
}

impl Refund {
    /// Our refund, where we asked for it.
    pub fn refund_id(&self) -> Option<i64> {
        own_id(self.metadata.get("refund_id")?)
    }

    /// Why it came to nothing; `None` while it may still come to something.
    pub fn failure_code(&self) -> Option<&str> {
        let otherwise = match self.status {
            RefundStatus::Failed => "failed",
            RefundStatus::Canceled => "canceled",
            _ => return None,
        };
        let reason = self.failure_reason.as_deref();
        Some(reason.filter(|reason| !reason.is_empty()).unwrap_or(otherwise))
    }
}

impl Listed for Refund {
    fn id(&self) -> &str {
        &self.id
    }
}

impl StripeClient {
    /// Gives money back. The same key never does so twice.
    ///
    /// # Errors
    /// [`StripeError::Declined`] and [`StripeError::Refused`]: no money went back. [`StripeError::Unknown`]: it may have; ask again
    /// under the same key, or look among [`StripeClient::refunds_of`].
    pub async fn create_refund(
        &self,
        new: &CreateRefund<'_>,
        key: &IdempotencyKey,
        deadline: Instant,
    ) -> Result<Refund, StripeError> {
        let mut parameters = Form::new()
            .with("payment_intent", new.payment_intent)
            .with("amount", new.amount)
            .nested("metadata", "refund_id", new.refund_id);
        if !new.reason.is_empty() {
            parameters = parameters.nested("metadata", "reason", new.reason);
            if self.is_stripe_itself() {
                // localstripe refuses the parameter.
                parameters = parameters.with("reason", new.reason);
            }
        }
        let path = Path::all(RESOURCE);
        self.call(Request::post("refunds.create", path, parameters, key, deadline))
            .await
    }

    /// A refund as Stripe has it now; `None` when Stripe has none.
    ///
    /// # Errors
    /// [`StripeError`] when Stripe did not say.
    pub async fn retrieve_refund(&self, id: &str, deadline: Instant) -> Result<Option<Refund>, StripeError> {
        let path = Path::one(RESOURCE, id);
        self.find(Request::get("refunds.retrieve", path, Form::new(), deadline))
            .await
    }

    /// All refunds of a PaymentIntent, ours and those made in Stripe's dashboard.
    ///
    /// # Errors
    /// [`StripeError`] when Stripe did not say.
    pub async fn refunds_of(
        &self,
        payment_intent: &str,
        deadline: Instant,
    ) -> Result<Vec<Refund>, StripeError> {
        let filters = Form::new().with("payment_intent", payment_intent);
        // localstripe lists here what a partial capture gave free, which is no refund of the payment.
        let keep = |refund: &Refund| refund.payment_intent.as_deref() == Some(payment_intent);
        self.list("refunds.list", RESOURCE, filters, keep, deadline)
            .try_collect()
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refund_that_came_to_nothing_says_why() {
        let code = |status: &str, reason: &str| {
            let text = format!(
                r#"{{"id": "re_1", "status": "{status}", "failure_reason": {reason}, "amount": 5, "currency": "usd",
                    "payment_intent": "pi_1", "metadata": {{"refund_id": "9"}}, "created": 1}}"#
            );
            let refund: Refund = serde_json::from_str(&text).expect("a refund");
            assert_eq!(refund.refund_id(), Some(9));
            refund.failure_code().map(str::to_owned)
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            code("failed", r#""lost_or_stolen_card""#),
            some("lost_or_stolen_card")
        );
        assert_eq!(code("failed", "null"), some("failed"));
        assert_eq!(code("canceled", r#""""#), some("canceled"));
        for status in ["pending", "requires_action", "succeeded", "made_up_since"] {
            assert_eq!(code(status, "null"), None, "{status}");
        }
    }
}
