//! The public API. A handler reads the request, calls one use case and writes the answer.

mod charge;
mod error;
mod fallback;
mod fields;
mod get_balance;
mod get_payment;
mod list_payments;
mod payment_methods;
mod router;
mod schema;
mod stripe_webhook;

pub use error::ApiError;
pub use fallback::{Fallback, FallbackError};
pub use router::{openapi, router};
