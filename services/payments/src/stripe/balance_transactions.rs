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
    #[serde(default, deserialize_with = "id_of")]
    pub source: Option<String>,
    /// Seconds since 1970.
    pub created: i64,
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
    /// The movements of a time, newest first, page after page as they are asked for.
    pub fn list_balance_transactions(
        &self,
        created: Created,
        deadline: Instant,
    ) -> impl Stream<Item = Result<BalanceTransaction, StripeError>> + Send {
        let keep = move |transaction: &BalanceTransaction| created.contains(transaction.created);
        let filters = created.filter(Form::new());
        self.list(
            "balance_transactions.list",
            "balance_transactions",
            filters,
            keep,
            deadline,
        )
    }
}
