//! All SQL of the service.
//!
//! Functions take a connection; the use case owns the transaction, or leaves a single statement to be one by itself. Look-ups return an
//! `Option`.

pub mod attempt;
pub mod charge;
pub mod coupon;
pub mod currency;
pub mod customer;
pub mod dispute;
pub mod invoice;
pub mod invoice_payment;
pub mod ledger;
pub mod method;
pub mod payment;
pub mod payout;
pub mod plan;
pub mod refund;
pub mod subscription;
pub mod tie_out;
pub mod webhook_event;

use sqlx::FromRow;
use time::OffsetDateTime;

use crate::domain::text;

/// Something that a job has to look at, and its place in the order in which jobs do.
#[derive(Clone, Debug, Eq, FromRow, PartialEq)]
pub struct Due {
    /// Since when, UTC.
    pub at: OffsetDateTime,
    /// Id of the row that makes it due.
    pub id: i64,
    /// Id of what is to be looked at.
    pub subject: i64,
}

/// A column that holds what its CHECK does not allow.
fn unknown(column: &'static str) -> sqlx::Error {
    sqlx::Error::Decode(format!("{column} has an unknown value").into())
}
