//! Payment methods: cards (<https://docs.stripe.com/api/payment_methods>). Their numbers never come here.

use std::fmt;

use futures::TryStreamExt as _;
use serde::Deserialize;
use tokio::time::Instant;

use super::client::StripeClient;
use super::error::StripeError;
use super::form::Form;
use super::keys::IdempotencyKey;
use super::list::Listed;
use super::request::{Path, Request};
use super::wire::id_of;

const RESOURCE: &str = "payment_methods";

/// localstripe does not know every one of Stripe's test cards by its name.
const TEST_CARD_ALIASES: [(&str, &str); 1] = [("pm_card_chargeDeclined", "pm_card_chargeCustomerFail")];

/// A payment method.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct PaymentMethod {
    /// `pm_…`. For the name of a test card Stripe makes a new one each time, with an id of its own.
    pub id: String,
    /// The customer it is attached to.
    #[serde(default, deserialize_with = "id_of")]
    pub customer: Option<String>,
    /// The card; `None` for anything else, such as a bank account.
    #[serde(default)]
    pub card: Option<Card>,
}

/// What may be shown and stored of a card.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct Card {
    /// Such as `visa`.
    pub brand: String,
    /// The last four digits.
    pub last4: String,
    /// Month of expiry, 1 to 12.
    pub exp_month: u8,
    /// Year of expiry.
    pub exp_year: u16,
    /// The same for the same card number; empty where Stripe tells none.
    #[serde(default, deserialize_with = "text_or_nothing")]
    pub fingerprint: String,
}

// Nothing of a card belongs into a log.
impl fmt::Debug for Card {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Card([redacted])")
    }
}

impl Listed for PaymentMethod {
    fn id(&self) -> &str {
        &self.id
    }
}

impl StripeClient {
    /// A payment method by its id, or by the name of a test card.
    ///
    /// # Errors
    /// [`StripeError::Refused`] when Stripe has none; otherwise Stripe did not say.
    pub async fn retrieve_payment_method(
        &self,
        id: &str,
        deadline: Instant,
    ) -> Result<PaymentMethod, StripeError> {
        let path = Path::one(RESOURCE, self.known_as(id));
        self.call(Request::get(
            "payment_methods.retrieve",
            path,
            Form::new(),
            deadline,
        ))
        .await
    }

    /// Attaches a payment method to a customer.
    ///
    /// The key is one of this call: to attach again what was detached is another call.
    ///
    /// # Errors
    /// [`StripeError::Declined`] when the bank refuses the card, [`StripeError::Refused`] when it is not one that can be attached.
    pub async fn attach_payment_method(
        &self,
        id: &str,
        customer: &str,
        key: &IdempotencyKey,
        deadline: Instant,
    ) -> Result<PaymentMethod, StripeError> {
        let path = Path::action(RESOURCE, id, "attach");
        let parameters = Form::new().with("customer", customer);
        self.call(Request::post(
            "payment_methods.attach",
            path,
            parameters,
            key,
            deadline,
        ))
        .await
    }

    /// Detaches a payment method from its customer; one that is not attached any more, or not there, is fine.
    ///
    /// The key is one of this call, as in [`StripeClient::attach_payment_method`].
    ///
    /// # Errors
    /// [`StripeError`] but [`StripeError::Refused`].
    pub async fn detach_payment_method(
        &self,
        id: &str,
        key: &IdempotencyKey,
        deadline: Instant,
    ) -> Result<(), StripeError> {
        let path = Path::action(RESOURCE, id, "detach");
        let request = Request::post("payment_methods.detach", path, Form::new(), key, deadline);
        match self.call::<PaymentMethod>(request).await {
            Ok(_) | Err(StripeError::Refused(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The cards of a customer.
    ///
    /// # Errors
    /// [`StripeError`] when Stripe did not say.
    pub async fn list_payment_methods(
        &self,
        customer: &str,
        deadline: Instant,
    ) -> Result<Vec<PaymentMethod>, StripeError> {
        let filters = Form::new().with("customer", customer).with("type", "card");
        let keep = |method: &PaymentMethod| method.customer.as_deref() == Some(customer);
        self.list("payment_methods.list", RESOURCE, filters, keep, deadline)
            .try_collect()
            .await
    }

    fn known_as<'a>(&self, id: &'a str) -> &'a str {
        let alias = TEST_CARD_ALIASES
            .iter()
            .find(|(name, _)| *name == id && !self.is_stripe_itself());
        alias.map_or(id, |(_, alias)| alias)
    }
}

fn text_or_nothing<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
