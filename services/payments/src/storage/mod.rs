//! All SQL of the service.
//!
//! Functions take a connection; the use case owns the transaction, or leaves a single statement to be one by itself. Look-ups return an
//! `Option`.

pub mod charge;
pub mod coupon;
pub mod currency;
pub mod customer;
pub mod invoice;
pub mod invoice_payment;
pub mod ledger;
pub mod method;
pub mod payment;
pub mod plan;
pub mod subscription;

use crate::domain::text;

/// A column that holds what its CHECK does not allow.
fn unknown(column: &'static str) -> sqlx::Error {
    sqlx::Error::Decode(format!("{column} has an unknown value").into())
}
