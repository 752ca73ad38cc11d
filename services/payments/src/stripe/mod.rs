//! A thin, typed client of [Stripe's HTTP API](https://docs.stripe.com/api), with what the payments service uses of it.
//!
//! [`StripeClient`] has one method per operation, in one file per resource. Amounts are Stripe's: `i64` in the currency's minor
//! units as ISO 4217 counts them (1250 for 1.250 KWD, as the monolith sends it). Unknown fields are ignored, unknown values of an
//! enumeration are `Other`.
//!
//! **What an answer means** is [`StripeError`]'s table. Only [`StripeError::Unknown`] leaves open whether Stripe did what it was
//! asked for; that is never a failure. Where it differs from the monolith's gateway:
//!
//! - It tells [`StripeError::NotSent`], [`StripeError::RateLimited`] and [`StripeError::Unauthorized`] apart, where Stripe surely did
//!   nothing. To the monolith all three are unknown; a caller may go on treating them so.
//! - It sends a request again by itself, under the same idempotency key. The monolith leaves that to its reconcile job.
//! - A 404 in words that are not Stripe's is [`StripeError::Unknown`], not "there is none".
//! - A capture or cancellation of an intent that Stripe does not have is [`StripeError::Refused`]. To the monolith it is unknown, and
//!   a caller that holds the intent's id should take it so: it hints at the key of another account, not at a failed payment.
//! - An event's time may be five minutes off both ways, and an empty webhook secret verifies nothing.
//!
//! **Stripe's stand-in** `localstripe` differs from Stripe, and the client bears with it where the base URL is not Stripe's own:
//! declines have the type of a refusal and name only the charge; lists refuse filters (they are applied here instead); the refunds of
//! an intent include what a partial capture gave free; `reason` of a refund is refused; disputes do not exist; payouts are in EUR
//! alone; the test card `pm_card_chargeDeclined` has another name; `amount_received` and `failure_reason` are missing.
//!
//! Why not `async-stripe`: `docs/adr/0006-stripe-client.md`.

mod balance_transactions;
mod breaker;
mod charges;
mod classify;
mod client;
mod config;
mod customers;
mod disputes;
mod error;
mod form;
mod keys;
mod list;
mod payment_intent;
mod payment_intents;
mod payment_methods;
mod payouts;
mod refunds;
mod request;
mod retry;
mod telemetry;
mod webhooks;
mod wire;

pub use balance_transactions::{BalanceTransaction, BalanceTransactionKind, Source};
pub use charges::Charge;
pub use client::{SetupError, StripeClient};
pub use config::{
    BaseUrl, BaseUrlError, BreakerConfig, DEFAULTS as CONFIG_DEFAULTS, RetryConfig,
    SECRETS as CONFIG_SECRETS, StripeConfig,
};
pub use customers::Customer;
pub use disputes::{Dispute, DisputeStatus};
pub use error::{Answer, Decline, NotSent, Refusal, StripeError, Unknown, UnknownReason};
pub use keys::{IdempotencyKey, InvalidKey};
pub use list::Created;
pub use payment_intent::{IntentOutcome, IntentStatus, PaymentError, PaymentIntent};
pub use payment_intents::{CaptureMethod, CreatePaymentIntent};
pub use payment_methods::{Card, PaymentMethod};
pub use payouts::{CreatePayout, Payout, PayoutStatus};
pub use refunds::{CreateRefund, Refund, RefundStatus};
pub use retry::{Jitter, full_jitter};
pub use webhooks::{Event, WebhookError, WebhookVerifier};
