//! The public API. A handler reads the request, calls one use case and writes the answer.

mod charge;
mod error;
mod fields;
mod get_balance;
mod get_payment;
mod list_invoices;
mod list_payments;
mod payment_methods;
mod router;
mod schema;
mod subscriptions;

pub use error::ApiError;
pub use router::{openapi, router};
