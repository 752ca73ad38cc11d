//! Payouts: money to our bank (<https://docs.stripe.com/api/payouts>). localstripe sends euros only and refuses the rest.

use std::collections::HashMap;
use std::pin::pin;

use futures::{Stream, TryStreamExt as _};
use serde::Deserialize;
use tokio::time::Instant;

use super::client::StripeClient;
use super::error::StripeError;
use super::form::Form;
use super::keys::IdempotencyKey;
use super::list::{Created, Listed};
use super::request::{Path, Request};
use super::wire::own_id;

const RESOURCE: &str = "payouts";

/// A payout to make.
#[derive(Clone, Copy, Debug)]
pub struct CreatePayout<'a> {
    /// Our payout; written into the metadata, by which it is found again, and the idempotency key.
    pub payout_id: i64,
    /// Minor units of the currency.
    pub amount: i64,
    /// ISO 4217; sent in lower case.
    pub currency: &'a str,
}

/// A payout.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Payout {
    /// `po_…`
    pub id: String,
    /// How far it is.
    pub status: PayoutStatus,
    /// Minor units.
    pub amount: i64,
    /// ISO 4217, in lower case.
    pub currency: String,
    /// Why it failed.
    #[serde(default)]
    pub failure_code: Option<String>,
    /// What we wrote to it.
    #[serde(default)]
    pub metadata: HashMap<String, String>,
    /// Seconds since 1970.
    pub created: i64,
}

/// How far a payout is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PayoutStatus {
    /// Not sent yet.
    Pending,
    /// Sent to the bank.
    InTransit,
    /// There. The bank may still send it back for some days.
    Paid,
    /// The bank did not take it.
    Failed,
    /// Taken back.
    Canceled,
    /// A status that Stripe has made since.
    #[serde(other)]
    Other,
}

impl Payout {
    /// Our payout, where we asked for it.
    pub fn payout_id(&self) -> Option<i64> {
        own_id(self.metadata.get("payout_id")?)
    }
}

impl Listed for Payout {
    fn id(&self) -> &str {
        &self.id
    }
}

impl StripeClient {
    /// Sends money to the bank. The same payout is never sent twice.
    ///
    /// # Errors
    /// [`StripeError::Refused`]: no money left. [`StripeError::Unknown`]: it may have; ask again, or look it up by
    /// [`StripeClient::find_payout`].
    pub async fn create_payout(
        &self,
        new: &CreatePayout<'_>,
        deadline: Instant,
    ) -> Result<Payout, StripeError> {
        let parameters = Form::new()
            .with("amount", new.amount)
            .with("currency", new.currency.to_ascii_lowercase())
            .nested("metadata", "payout_id", new.payout_id);
        let key = IdempotencyKey::payout(new.payout_id);
        let path = Path::all(RESOURCE);
        self.call(Request::post("payouts.create", path, parameters, &key, deadline))
            .await
    }

    /// A payout as Stripe has it now; `None` when Stripe has none.
    ///
    /// # Errors
    /// [`StripeError`] when Stripe did not say.
    pub async fn retrieve_payout(&self, id: &str, deadline: Instant) -> Result<Option<Payout>, StripeError> {
        let path = Path::one(RESOURCE, id);
        self.find(Request::get("payouts.retrieve", path, Form::new(), deadline))
            .await
    }

    /// The payouts that were made in a time, page after page as they are asked for.
    pub fn list_payouts(
        &self,
        created: Created,
        deadline: Instant,
    ) -> impl Stream<Item = Result<Payout, StripeError>> + Send {
        let keep = move |payout: &Payout| created.contains(payout.created);
        self.list(
            "payouts.list",
            RESOURCE,
            created.filter(Form::new()),
            keep,
            deadline,
        )
    }

    /// Looks a payout up by its metadata; `None` when Stripe has none that was made in that time.
    ///
    /// # Errors
    /// [`StripeError`] when Stripe did not say.
    pub async fn find_payout(
        &self,
        payout_id: i64,
        created: Created,
        deadline: Instant,
    ) -> Result<Option<Payout>, StripeError> {
        let mut payouts = pin!(self.list_payouts(created, deadline));
        while let Some(payout) = payouts.try_next().await? {
            if payout.payout_id() == Some(payout_id) {
                return Ok(Some(payout));
            }
        }
        Ok(None)
    }
}
