//! What a user has paid: booked amounts from the ledger, pending ones from the payments.

use std::collections::BTreeMap;

use crate::domain::ledger::{AccountKind, TransactionKind};
use crate::domain::money::{Currency, CurrencyCode, Minor};
use crate::storage::{ledger, payment};
use crate::use_cases::Env;

/// One currency of a user; every amount is in its minor units.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Balance {
    /// The currency.
    pub currency: Currency,
    /// Charged.
    pub paid: Minor,
    /// Given back.
    pub refunded: Minor,
    /// Disputed and not won.
    pub disputed: Minor,
    /// Asked for and not decided.
    pub pending: Minor,
}

impl Balance {
    /// What we keep.
    pub fn net(&self) -> Minor {
        Minor(self.paid.0 - self.refunded.0 - self.disputed.0)
    }
}

/// The user's balances, by currency code.
///
/// # Errors
/// The database's.
pub async fn balances(env: &Env, user_id: i64) -> Result<Vec<Balance>, sqlx::Error> {
    let mut connection = env.pool.acquire().await?;
    let booked = ledger::booked_for(&mut connection, user_id).await?;
    let undecided = payment::undecided(&mut connection, user_id).await?;
    drop(connection);
    let mut sums: BTreeMap<CurrencyCode, [i64; 4]> = BTreeMap::new();
    for row in booked {
        let [paid, refunded, disputed, _] = sums.entry(row.currency).or_default();
        match (row.account, row.kind) {
            (AccountKind::Customer, TransactionKind::Charge) => *paid -= row.sum.0,
            (AccountKind::Customer, TransactionKind::Refund | TransactionKind::RefundFailed) => {
                *refunded += row.sum.0;
            }
            (AccountKind::Disputes, TransactionKind::DisputeOpened | TransactionKind::DisputeWon) => {
                *disputed += row.sum.0;
            }
            _ => {}
        }
    }
    for (code, sum) in undecided {
        sums.entry(code).or_default()[3] += sum.0;
    }
    let mut balances = Vec::with_capacity(sums.len());
    for (code, [paid, refunded, disputed, pending]) in sums {
        balances.push(Balance {
            currency: env.currencies.of(code).await?,
            paid: Minor(paid),
            refunded: Minor(refunded),
            disputed: Minor(disputed),
            pending: Minor(pending),
        });
    }
    Ok(balances)
}
