//! What a client of the public API may rely on, as checks over HTTP.
//!
//! The checks know a base URL and nothing of what is behind it: monolith, extracted service or gateway. Each makes users of
//! its own, so they run side by side, against a system in use. Every answer that any of them gets is also held to the
//! OpenAPI document (`openapi.yaml`): its status must be documented there for the operation, its headers and its body must be
//! as documented.
//!
//! ```text
//! contract-suite --base-url http://127.0.0.1:8080 --maildir .banyan/mail --filter payments/charge
//! ```

pub mod api;
pub mod check;
pub mod document;
pub mod inputs;
mod mails;
mod notifications;
mod payments;
mod people;
pub mod report;
mod reporting;
mod rules;
pub mod runner;
mod stripe;
mod users;

use document::Document;

/// Every check, in the order of the document's operations.
pub fn checks(document: &Document) -> Vec<check::Check> {
    let mut checks = rules::checks(document);
    checks.extend(users::checks());
    checks.extend(payments::checks());
    checks.extend(notifications::checks());
    checks.extend(reporting::checks());
    let order: Vec<String> = document.operations().iter().map(ToString::to_string).collect();
    checks.sort_by_key(|check| order.iter().position(|operation| *operation == check.operation));
    checks
}
