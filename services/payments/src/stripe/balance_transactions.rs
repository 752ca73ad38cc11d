//! Balance transactions: every movement of the money that Stripe holds for us, to tie our ledger out against
//! (<https://docs.stripe.com/api/balance_transactions>).

use futures::Stream;
use serde::Deserialize;
use tokio::time::Instant;

use super::client::StripeClient;
use super::error::StripeError;
use super::form::Form;
use super::list::{Created, Listed};
use super::wire::id_of;

/// A movement of money at Stripe.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct BalanceTransaction {
    /// `txn_…`
    pub id: String,
    /// What kind of movement.
    #[serde(rename = "type")]
    pub kind: BalanceTransactionKind,
    /// Minor units; negative where money left.
    pub amount: i64,
    /// What Stripe took of it, in minor units. localstripe takes nothing.
    pub fee: i64,
    /// `amount` less `fee`.
    pub net: i64,
    /// ISO 4217, in lower case.
    pub currency: String,
    /// What caused it: a charge, a refund, a dispute, a payout.
    #[serde(default)]
    pub source: Option<Source>,
    /// Seconds since 1970.
    pub created: i64,
}

/// What caused a movement of money.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "Sent")]
pub struct Source {
    /// `ch_…`, `re_…`, `dp_…`, `po_…`
    pub id: String,
    /// The PaymentIntent of a charge or a refund.
    pub payment_intent: Option<String>,
    /// What moved by its own account, in minor units of its own currency: the movement itself may be in another, where Stripe
    /// converted.
    pub moved: Option<(i64, String)>,
    /// A charge whose money is only reserved. Stripe lists it when it is captured, localstripe at once.
    pub is_reserved: bool,
}

/// A source as Stripe sends it: its id, or the object where Stripe was asked to expand it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Sent {
    Id(String),
    Object {
        id: String,
        #[serde(default, deserialize_with = "id_of")]
        payment_intent: Option<String>,
        #[serde(default)]
        amount: Option<i64>,
        /// Of a charge: less than its amount after a partial capture.
        #[serde(default)]
        amount_captured: Option<i64>,
        #[serde(default)]
        currency: Option<String>,
        #[serde(default)]
        captured: Option<bool>,
    },
}

impl From<Sent> for Source {
    fn from(sent: Sent) -> Self {
        match sent {
            Sent::Id(id) => Self {
                id,
                payment_intent: None,
                moved: None,
                is_reserved: false,
            },
            Sent::Object {
                id,
                payment_intent,
                amount,
                amount_captured,
                currency,
                captured,
            } => Self {
                id,
                payment_intent,
                moved: amount_captured.or(amount).zip(currency),
                is_reserved: captured == Some(false),
            },
        }
    }
}

/// The kinds of movement that our ledger knows (<https://docs.stripe.com/reports/balance-transaction-types>).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BalanceTransactionKind {
    /// A payment.
    Charge,
    /// A payment by other means than a card.
    Payment,
    /// A refund.
    Refund,
    /// A refund of a payment by other means than a card.
    PaymentRefund,
    /// A refund that the bank sent back.
    RefundFailure,
    /// A dispute, or what became of one.
    Adjustment,
    /// Money to our bank.
    Payout,
    /// A payout that was taken back.
    PayoutCancel,
    /// A payout that the bank sent back.
    PayoutFailure,
    /// Stripe's own fees.
    StripeFee,
    /// Any other.
    #[serde(other)]
    Other,
}

impl Listed for BalanceTransaction {
    fn id(&self) -> &str {
        &self.id
    }
}

impl StripeClient {
    /// The movements of a time with what caused them, newest first, page after page as they are asked for.
    pub fn list_balance_transactions(
        &self,
        created: Created,
        deadline: Instant,
    ) -> impl Stream<Item = Result<BalanceTransaction, StripeError>> + Send {
        let keep = move |transaction: &BalanceTransaction| created.contains(transaction.created);
        let filters = created.filter(Form::new().nested("expand", 0, "data.source"));
        self.list(
            "balance_transactions.list",
            "balance_transactions",
            filters,
            keep,
            deadline,
        )
    }
}
