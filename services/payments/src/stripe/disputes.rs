//! Disputes: cardholders who tell their bank that a payment was wrong (<https://docs.stripe.com/api/disputes>).

use futures::Stream;
use serde::Deserialize;
use tokio::time::Instant;

use super::client::StripeClient;
use super::error::{StripeError, UnknownReason};
use super::form::Form;
use super::list::{Created, Listed};
use super::request::{Path, Request};
use super::wire::id_of;

const RESOURCE: &str = "disputes";

/// A dispute; also the object of the events `charge.dispute.…`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Dispute {
    /// `dp_…`
    pub id: String,
    /// Where it stands.
    pub status: DisputeStatus,
    /// Minor units.
    pub amount: i64,
    /// ISO 4217, in lower case.
    #[serde(default)]
    pub currency: Option<String>,
    /// Why, such as `fraudulent`.
    #[serde(default)]
    pub reason: Option<String>,
    /// The disputed charge.
    #[serde(default, deserialize_with = "id_of")]
    pub charge: Option<String>,
    /// The PaymentIntent of the charge; old events lack it, then [`StripeClient::retrieve_charge`] tells.
    #[serde(default, deserialize_with = "id_of")]
    pub payment_intent: Option<String>,
    #[serde(default)]
    evidence_details: Option<EvidenceDetails>,
    /// Seconds since 1970.
    #[serde(default)]
    pub created: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct EvidenceDetails {
    #[serde(default)]
    due_by: Option<i64>,
}

/// Where a dispute stands. The `Warning…` ones are inquiries: no money has moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisputeStatus {
    /// An inquiry that wants evidence.
    WarningNeedsResponse,
    /// An inquiry that is looked at.
    WarningUnderReview,
    /// An inquiry that came to nothing.
    WarningClosed,
    /// The money was taken back; evidence is wanted.
    NeedsResponse,
    /// The bank looks at the evidence.
    UnderReview,
    /// The money is ours again.
    Won,
    /// The money is gone.
    Lost,
    /// Settled before it became one.
    Prevented,
    /// A status that Stripe has made since.
    #[serde(other)]
    Other,
}

impl Dispute {
    /// Until when evidence is taken, in seconds since 1970.
    pub fn due_by(&self) -> Option<i64> {
        // Stripe sends 0 where there is no date.
        self.evidence_details.as_ref()?.due_by.filter(|due| *due != 0)
    }
}

impl Listed for Dispute {
    fn id(&self) -> &str {
        &self.id
    }
}

impl StripeClient {
    /// A dispute as Stripe has it now; `None` when Stripe has none, and at localstripe, which knows no disputes.
    ///
    /// # Errors
    /// [`StripeError`] when Stripe did not say.
    pub async fn retrieve_dispute(
        &self,
        id: &str,
        deadline: Instant,
    ) -> Result<Option<Dispute>, StripeError> {
        let path = Path::one(RESOURCE, id);
        let found = self.find(Request::get("disputes.retrieve", path, Form::new(), deadline));
        match found.await {
            // The web server of localstripe says so, not localstripe.
            Err(StripeError::Unknown(unknown))
                if !self.is_stripe_itself()
                    && unknown.reason == UnknownReason::Unreadable
                    && unknown.answer.as_ref().is_some_and(|answer| answer.status == 404) =>
            {
                Ok(None)
            }
            result => result,
        }
    }

    /// The disputes that came in a time, page after page as they are asked for. An error at localstripe, which knows none.
    pub fn list_disputes(
        &self,
        created: Created,
        deadline: Instant,
    ) -> impl Stream<Item = Result<Dispute, StripeError>> + Send {
        let keep = move |dispute: &Dispute| dispute.created.is_none_or(|moment| created.contains(moment));
        self.list(
            "disputes.list",
            RESOURCE,
            created.filter(Form::new()),
            keep,
            deadline,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the example at <https://docs.stripe.com/api/disputes/object>.
    const EXAMPLE: &str = r#"{"id": "du_1", "object": "dispute", "amount": 1000, "balance_transactions": [],
        "charge": "ch_1", "created": 1680651737, "currency": "usd", "evidence": {"customer_name": null},
        "evidence_details": {"due_by": 1682294399, "has_evidence": false, "past_due": false, "submission_count": 0},
        "is_charge_refundable": true, "livemode": false, "metadata": {}, "payment_intent": null, "reason": "general",
        "status": "warning_needs_response"}"#;

    #[test]
    fn the_documented_example_is_read() {
        let dispute: Dispute = serde_json::from_str(EXAMPLE).expect("a dispute");
        assert_eq!(dispute.status, DisputeStatus::WarningNeedsResponse);
        assert_eq!(dispute.due_by(), Some(1_682_294_399));
        assert_eq!(
            (dispute.charge.as_deref(), dispute.payment_intent),
            (Some("ch_1"), None)
        );
    }

    #[test]
    fn a_dispute_of_an_event_may_be_sparse_and_its_status_new() {
        let sparse =
            r#"{"id": "dp_1", "amount": 5, "status": "made_up_since", "evidence_details": {"due_by": 0}}"#;
        let dispute: Dispute = serde_json::from_str(sparse).expect("a dispute");
        assert_eq!((dispute.status, dispute.due_by()), (DisputeStatus::Other, None));
    }
}
