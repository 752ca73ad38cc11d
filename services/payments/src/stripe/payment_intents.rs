//! PaymentIntents: charging, capturing, canceling, and finding out what became of one
//! (<https://docs.stripe.com/api/payment_intents>).

use std::pin::pin;

use futures::{Stream, TryStreamExt as _};
use time::OffsetDateTime;
use tokio::time::Instant;

use super::client::StripeClient;
use super::error::StripeError;
use super::form::Form;
use super::keys::IdempotencyKey;
use super::list::{Created, Listed};
use super::payment_intent::PaymentIntent;
use super::request::{Path, Request};

const RESOURCE: &str = "payment_intents";

/// How far Stripe's clock and ours may differ when a payment is looked up by the time at which it was made.
const CLOCKS_DIFFER: time::Duration = time::Duration::minutes(5);

/// A PaymentIntent to make. The same for the same payment each time, or Stripe refuses its key.
#[derive(Clone, Copy, Debug)]
pub struct CreatePaymentIntent<'a> {
    /// Our payment; written into the metadata, by which it is found again.
    pub payment_id: i64,
    /// Minor units of the currency.
    pub amount: i64,
    /// ISO 4217; sent in lower case.
    pub currency: &'a str,
    /// `cus_…`
    pub customer: &'a str,
    /// `pm_…`
    pub payment_method: &'a str,
    /// Whether the money is taken at once.
    pub capture: CaptureMethod,
    /// Whether the customer is away, as in a renewal: the bank cannot ask for anything then, and declines instead.
    pub off_session: bool,
}

/// When the money is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaptureMethod {
    /// At once.
    Automatic,
    /// Reserved now, and taken by [`StripeClient::capture_payment_intent`].
    Manual,
}

impl Listed for PaymentIntent {
    fn id(&self) -> &str {
        &self.id
    }
}

impl StripeClient {
    /// Makes and confirms a PaymentIntent: charges, or reserves. The same key never does so twice.
    ///
    /// # Errors
    /// [`StripeError::Declined`] names the PaymentIntent. [`StripeError::Refused`]: nothing was charged, and a retry would not change it.
    /// [`StripeError::Unknown`]: it may have been charged; ask again under the same key, or look it up by
    /// [`StripeClient::find_payment_intent`].
    pub async fn create_payment_intent(
        &self,
        new: &CreatePaymentIntent<'_>,
        key: &IdempotencyKey,
        deadline: Instant,
    ) -> Result<PaymentIntent, StripeError> {
        let path = Path::all(RESOURCE);
        let request = Request::post("payment_intents.create", path, parameters(new), key, deadline);
        self.call(request).await
    }

    /// A PaymentIntent as Stripe has it now; `None` when Stripe has none.
    ///
    /// # Errors
    /// [`StripeError`] when Stripe did not say.
    pub async fn retrieve_payment_intent(
        &self,
        id: &str,
        deadline: Instant,
    ) -> Result<Option<PaymentIntent>, StripeError> {
        let path = Path::one(RESOURCE, id);
        self.find(Request::get(
            "payment_intents.retrieve",
            path,
            Form::new(),
            deadline,
        ))
        .await
    }

    /// The PaymentIntents of a customer, page after page as they are asked for.
    pub fn list_payment_intents(
        &self,
        customer: &str,
        created: Created,
        deadline: Instant,
    ) -> impl Stream<Item = Result<PaymentIntent, StripeError>> + Send {
        let filters = created.filter(Form::new().with("customer", customer));
        let keep = move |intent: &PaymentIntent| {
            intent.customer.as_deref() == Some(customer) && created.contains(intent.created)
        };
        self.list("payment_intents.list", RESOURCE, filters, keep, deadline)
    }

    /// Looks a payment's PaymentIntent up by its metadata; `None` when Stripe has none. `created_at` is the payment's.
    ///
    /// # Errors
    /// [`StripeError`] when Stripe did not say.
    pub async fn find_payment_intent(
        &self,
        payment_id: i64,
        customer: &str,
        created_at: OffsetDateTime,
        deadline: Instant,
    ) -> Result<Option<PaymentIntent>, StripeError> {
        let created = Created::since(created_at - CLOCKS_DIFFER);
        let mut intents = pin!(self.list_payment_intents(customer, created, deadline));
        while let Some(intent) = intents.try_next().await? {
            if intent.payment_id() == Some(payment_id) {
                return Ok(Some(intent));
            }
        }
        Ok(None)
    }

    /// Takes what was reserved, or a part of it (`amount`, in minor units); the rest is given free.
    ///
    /// Gives the intent as it is afterwards, also where Stripe refused: its [`PaymentIntent::outcome`] says why, as when it was
    /// captured or canceled before.
    ///
    /// # Errors
    /// [`StripeError`] but [`StripeError::Declined`]; [`StripeError::Refused`] when there is no such intent.
    pub async fn capture_payment_intent(
        &self,
        id: &str,
        amount: i64,
        key: &IdempotencyKey,
        deadline: Instant,
    ) -> Result<PaymentIntent, StripeError> {
        let path = Path::action(RESOURCE, id, "capture");
        let parameters = Form::new().with("amount_to_capture", amount);
        let request = Request::post("payment_intents.capture", path, parameters, key, deadline);
        let captured = self.call(request).await;
        self.or_as_it_is(captured, id, deadline).await
    }

    /// Gives free what was reserved, or gives up what waits for the customer.
    ///
    /// Gives the intent as it is afterwards, as [`StripeClient::capture_payment_intent`] does.
    ///
    /// # Errors
    /// [`StripeError`] but [`StripeError::Declined`]; [`StripeError::Refused`] when there is no such intent.
    pub async fn cancel_payment_intent(
        &self,
        id: &str,
        key: &IdempotencyKey,
        deadline: Instant,
    ) -> Result<PaymentIntent, StripeError> {
        let path = Path::action(RESOURCE, id, "cancel");
        let request = Request::post("payment_intents.cancel", path, Form::new(), key, deadline);
        let canceled = self.call(request).await;
        self.or_as_it_is(canceled, id, deadline).await
    }

    /// Where Stripe refused a change, the PaymentIntent says why.
    async fn or_as_it_is(
        &self,
        changed: Result<PaymentIntent, StripeError>,
        id: &str,
        deadline: Instant,
    ) -> Result<PaymentIntent, StripeError> {
        match changed {
            Err(refused @ (StripeError::Declined(_) | StripeError::Refused(_))) => {
                match self.retrieve_payment_intent(id, deadline).await? {
                    Some(intent) => Ok(intent),
                    None => Err(refused),
                }
            }
            result => result,
        }
    }
}

fn parameters(new: &CreatePaymentIntent<'_>) -> Form {
    let capture = match new.capture {
        CaptureMethod::Automatic => "automatic",
        CaptureMethod::Manual => "manual",
    };
    let form = Form::new()
        .with("amount", new.amount)
        .with("currency", new.currency.to_ascii_lowercase())
        .with("customer", new.customer)
        .with("payment_method", new.payment_method)
        .nested("payment_method_types", 0, "card")
        .with("capture_method", capture)
        .with("confirm", true)
        .nested("metadata", "payment_id", new.payment_id);
    if new.off_session {
        form.with("off_session", true)
    } else {
        form
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `stripe.StripeClient` 16.1.0 sends for the monolith's parameters.
    #[test]
    fn the_parameters_are_the_monolith_s_to_the_letter() {
        let new = CreatePaymentIntent {
            payment_id: 7,
            amount: 1250,
            currency: "KWD",
            customer: "cus_1",
            payment_method: "pm_1",
            capture: CaptureMethod::Manual,
            off_session: true,
        };
        let sent = parameters(&new).encode().replace("%5B", "[").replace("%5D", "]");
        assert_eq!(
            sent,
            "amount=1250&currency=kwd&customer=cus_1&payment_method=pm_1&payment_method_types[0]=card\
             &capture_method=manual&confirm=true&metadata[payment_id]=7&off_session=true"
        );
        let automatic = CreatePaymentIntent {
            capture: CaptureMethod::Automatic,
            off_session: false,
            ..new
        };
        let sent = parameters(&automatic).encode();
        assert!(sent.contains("capture_method=automatic") && !sent.contains("off_session"));
    }
}
