//! Charges: the attempts of PaymentIntents (<https://docs.stripe.com/api/charges>). Used to find the intent that one belongs to.

use serde::Deserialize;
use tokio::time::Instant;

use super::client::StripeClient;
use super::error::StripeError;
use super::form::Form;
use super::request::{Path, Request};
use super::wire::id_of;

/// A charge; also the object of the event `charge.refunded`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Charge {
    /// `ch_…`
    pub id: String,
    /// The PaymentIntent it belongs to.
    #[serde(default, deserialize_with = "id_of")]
    pub payment_intent: Option<String>,
}

impl StripeClient {
    /// A charge as Stripe has it now; `None` when Stripe has none.
    ///
    /// # Errors
    /// [`StripeError`] when Stripe did not say.
    pub async fn retrieve_charge(&self, id: &str, deadline: Instant) -> Result<Option<Charge>, StripeError> {
        let path = Path::one("charges", id);
        self.find(Request::get("charges.retrieve", path, Form::new(), deadline))
            .await
    }
}
