//! Customers: whom cards belong to (<https://docs.stripe.com/api/customers>). Stripe gets no name and no address of ours.

use serde::Deserialize;
use tokio::time::Instant;

use super::client::StripeClient;
use super::error::StripeError;
use super::form::Form;
use super::keys::IdempotencyKey;
use super::request::{Path, Request};

const RESOURCE: &str = "customers";

/// A customer.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Customer {
    /// `cus_…`
    pub id: String,
    /// Whether it was deleted: Stripe still knows it, but it can pay no more.
    #[serde(default)]
    pub deleted: bool,
}

impl StripeClient {
    /// Makes a user's customer; asked again within a day, Stripe gives the same one.
    ///
    /// # Errors
    /// [`StripeError`]. An unknown outcome leaves at worst a customer that nobody uses.
    pub async fn create_customer(&self, user_id: i64, deadline: Instant) -> Result<Customer, StripeError> {
        let parameters = Form::new().nested("metadata", "user_id", user_id);
        let key = IdempotencyKey::customer(user_id);
        self.call(Request::post(
            "customers.create",
            Path::all(RESOURCE),
            parameters,
            &key,
            deadline,
        ))
        .await
    }

    /// A customer as Stripe has it now; `None` when Stripe has none.
    ///
    /// # Errors
    /// [`StripeError`] when Stripe did not say.
    pub async fn retrieve_customer(
        &self,
        id: &str,
        deadline: Instant,
    ) -> Result<Option<Customer>, StripeError> {
        let path = Path::one(RESOURCE, id);
        self.find(Request::get("customers.retrieve", path, Form::new(), deadline))
            .await
    }
}
