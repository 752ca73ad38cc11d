//! The Stripe client against the Stripe front and localstripe, each test with its own.

mod charges;
mod faults;
mod logs;
mod objects;
mod outage;
mod support;
mod webhooks;
mod wire;
