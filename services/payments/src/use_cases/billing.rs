//! Making invoices: the price of a period, the credit for unused time, the discount.

use sqlx::PgConnection;
use time::OffsetDateTime;

use crate::domain::invoice::{Invoice, InvoiceLine, Totals};
use crate::domain::money::Minor;
use crate::domain::period;
use crate::domain::subscription::{Plan, Subscription};
use crate::storage::invoice::{self, NewInvoice};

/// What a period is billed with.
pub(super) struct Bill<'a> {
    /// What is subscribed to.
    pub(super) plan: &'a Plan,
    /// Start of the period.
    pub(super) start: OffsetDateTime,
    /// Its end.
    pub(super) end: OffsetDateTime,
    /// The sums, the credit among them.
    pub(super) totals: Totals,
    /// For what the replaced subscription had left.
    pub(super) credit: Option<Credit>,
}

/// Unused time of a plan that is switched from.
pub(super) struct Credit {
    /// The plan.
    pub(super) plan: Plan,
    /// Its worth, below zero.
    pub(super) amount: Minor,
    /// The end of what was paid for.
    pub(super) until: OffsetDateTime,
}

/// An open invoice for one period.
///
/// # Errors
/// The database's; the constraint `invoice_per_period` where the period was billed before.
pub(super) async fn make_invoice(
    connection: &mut PgConnection,
    subscription: &Subscription,
    bill: &Bill<'_>,
    now: OffsetDateTime,
) -> Result<Invoice, sqlx::Error> {
    let mut lines = vec![InvoiceLine {
        plan_id: bill.plan.id,
        description: bill.plan.name.clone(),
        amount: bill.plan.amount,
        period_start: bill.start,
        period_end: bill.end,
        proration: false,
    }];
    lines.extend(bill.credit.as_ref().map(|credit| InvoiceLine {
        plan_id: credit.plan.id,
        description: format!("Unused time of {}", credit.plan.name),
        amount: credit.amount,
        period_start: bill.start,
        period_end: credit.until,
        proration: true,
    }));
    let new = NewInvoice {
        subscription,
        totals: bill.totals,
        period_start: bill.start,
        period_end: bill.end,
        lines: &lines,
        now,
    };
    invoice::insert(connection, &new).await
}

/// The end of the period that begins at `start`, as [`period::period_end`].
///
/// # Errors
/// It would be after the year 9999, which no column here is meant to hold.
pub(super) fn period_end(
    anchor: OffsetDateTime,
    start: OffsetDateTime,
    plan: &Plan,
) -> Result<OffsetDateTime, sqlx::Error> {
    period::period_end(anchor, start, plan.interval).map_err(|error| sqlx::Error::Encode(error.into()))
}
