//! The PaymentIntent, and what its state means (<https://docs.stripe.com/api/payment_intents/object>).

use std::collections::HashMap;

use serde::Deserialize;

use super::wire::{id_of, own_id};

/// A PaymentIntent.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct PaymentIntent {
    /// `pi_…`
    pub id: String,
    /// Where it stands.
    pub status: IntentStatus,
    /// What was asked for, in minor units.
    pub amount: i64,
    /// What was taken, in minor units; less than `amount` after a partial capture. localstripe does not tell.
    #[serde(default)]
    pub amount_received: Option<i64>,
    /// ISO 4217, in lower case.
    pub currency: String,
    /// `cus_…`
    #[serde(default, deserialize_with = "id_of")]
    pub customer: Option<String>,
    /// What we wrote to it.
    #[serde(default)]
    pub metadata: HashMap<String, String>,
    /// Why the last attempt failed.
    #[serde(default)]
    pub last_payment_error: Option<PaymentError>,
    /// Seconds since 1970.
    pub created: i64,
}

/// Where a PaymentIntent stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IntentStatus {
    /// New, or its last attempt was declined.
    RequiresPaymentMethod,
    /// Not confirmed yet.
    RequiresConfirmation,
    /// The customer has to do something, such as 3-D Secure.
    RequiresAction,
    /// The money is reserved.
    RequiresCapture,
    /// The bank is slow.
    Processing,
    /// Paid.
    Succeeded,
    /// Given up.
    Canceled,
    /// A status that Stripe has made since.
    #[serde(other)]
    Other,
}

/// Why an attempt failed.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct PaymentError {
    /// Such as `card_declined`.
    #[serde(default)]
    pub code: Option<String>,
    /// Such as `insufficient_funds`.
    #[serde(default)]
    pub decline_code: Option<String>,
    /// Stripe's text for the customer.
    #[serde(default)]
    pub message: Option<String>,
}

// Without the message, which is about the customer's card.
impl std::fmt::Debug for PaymentError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PaymentError")
            .field("code", &self.code)
            .field("decline_code", &self.decline_code)
            .finish_non_exhaustive()
    }
}

/// What a PaymentIntent's state means for the payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IntentOutcome {
    /// Paid; what was taken, in minor units, where Stripe says so.
    Succeeded {
        /// [`PaymentIntent::amount_received`].
        received: Option<i64>,
    },
    /// The customer has to do something.
    RequiresAction,
    /// Reserved.
    RequiresCapture,
    /// Given up.
    Canceled,
    /// The last attempt was declined.
    Declined(PaymentError),
    /// Not decided yet, or a status that we do not know.
    Undecided,
}

impl PaymentIntent {
    /// What its state means for the payment.
    pub fn outcome(&self) -> IntentOutcome {
        match (self.status, &self.last_payment_error) {
            (IntentStatus::Succeeded, _) => IntentOutcome::Succeeded {
                received: self.amount_received,
            },
            (IntentStatus::RequiresAction, _) => IntentOutcome::RequiresAction,
            (IntentStatus::RequiresCapture, _) => IntentOutcome::RequiresCapture,
            (IntentStatus::Canceled, _) => IntentOutcome::Canceled,
            (IntentStatus::RequiresPaymentMethod | IntentStatus::RequiresConfirmation, Some(error)) => {
                IntentOutcome::Declined(error.clone())
            }
            _ => IntentOutcome::Undecided,
        }
    }

    /// Our payment, where the intent was made for one.
    pub fn payment_id(&self) -> Option<i64> {
        own_id(self.metadata.get("payment_id")?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intent(status: &str, error: &str) -> PaymentIntent {
        let text = format!(
            r#"{{"id": "pi_1", "object": "payment_intent", "status": "{status}", "amount": 1250, "amount_received": 1000,
                "currency": "kwd", "customer": {{"id": "cus_1"}}, "metadata": {{"payment_id": "7"}}, "created": 1700000000,
                "last_payment_error": {error}, "made_up_since": [1, 2]}}"#
        );
        serde_json::from_str(&text).expect("an intent")
    }

    #[test]
    fn a_status_means_what_it_means_to_the_monolith() {
        let declined = r#"{"code": "card_declined", "message": "No.", "type": "card_error"}"#;
        let outcome = |status, error| intent(status, error).outcome();
        let paid = IntentOutcome::Succeeded { received: Some(1000) };
        assert_eq!(outcome("succeeded", "null"), paid);
        assert_eq!(outcome("succeeded", declined), paid, "an earlier attempt's error");
        assert_eq!(outcome("requires_action", "null"), IntentOutcome::RequiresAction);
        assert_eq!(
            outcome("requires_capture", "null"),
            IntentOutcome::RequiresCapture
        );
        assert_eq!(outcome("canceled", declined), IntentOutcome::Canceled);
        for status in ["requires_payment_method", "requires_confirmation"] {
            assert!(
                matches!(outcome(status, declined), IntentOutcome::Declined(_)),
                "{status}"
            );
            assert_eq!(outcome(status, "null"), IntentOutcome::Undecided, "{status}");
        }
        for status in ["processing", "made_up_since"] {
            assert_eq!(outcome(status, declined), IntentOutcome::Undecided, "{status}");
        }
    }

    #[test]
    fn an_intent_knows_its_payment() {
        let intent = intent("succeeded", "null");
        assert_eq!(intent.payment_id(), Some(7));
        assert_eq!(intent.customer.as_deref(), Some("cus_1"));
    }
}
