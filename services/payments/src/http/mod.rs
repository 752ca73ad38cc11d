//! The public API. A handler reads the request, calls one use case and writes the answer.

mod authorizations;
mod charge;
mod error;
mod fallback;
mod fields;
mod get_balance;
mod get_payment;
mod list_invoices;
mod list_payments;
mod payment_methods;
mod refunds;
mod router;
mod schema;
mod stripe_webhook;
mod subscriptions;
mod to_its_end;

pub use error::ApiError;
pub use fallback::with_fallback;
pub use router::{openapi, router};
