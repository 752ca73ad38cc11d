//! The Stripe front before a real localstripe.

mod faults;
mod keys;
mod support;
mod webhooks;
