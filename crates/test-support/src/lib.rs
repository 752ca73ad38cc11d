//! What tests against real servers need: a database, a vhost and a Stripe per test, a PostgreSQL to be killed, a proxy for faults, token keys,
//! services as real processes, and waits that end.
//!
//! The servers are [`banyan_local_stack::TestServers`]: started by the first test that asks, shared by all, or named by
//! `BANYAN_TEST_POSTGRES_URL`, `BANYAN_TEST_AMQP_URL` and `BANYAN_TEST_MANAGEMENT_URL`.
//!
//! Everything here panics where it cannot do its work, with a message that says what was tried: in a test there is
//! nothing better to do with an error.

mod crash_stage;
mod db;
pub mod dose;
mod http;
mod keys;
mod monolith;
mod own_postgres;
mod process;
mod proxy;
mod schemathesis;
mod stripe;
mod vhost;
mod wait;

pub use crash_stage::{CrashStage, Victim, is_of_a_kill};
pub use db::TestDb;
pub use http::client;
pub use keys::TestKeys;
pub use monolith::{Company, manage_monolith};
pub use own_postgres::{OwnPostgres, PostgresRelease};
pub use process::{ServiceCommand, ServiceProcess, binary, example};
pub use proxy::TcpProxy;
pub use schemathesis::schemathesis;
pub use stripe::{STRIPE_KEY, TestStripe};
pub use vhost::{QueuedMessage, TestVhost};
pub use wait::{wait_for, wait_until};

use banyan_local_stack::TestServers;
use tokio::sync::OnceCell;

/// The servers of this test process, asked for once.
pub async fn servers() -> &'static TestServers {
    static SERVERS: OnceCell<TestServers> = OnceCell::const_new();
    SERVERS
        .get_or_init(|| async {
            http::install_tls();
            TestServers::ensure().await.unwrap_or_else(|error| {
                panic!("the PostgreSQL and RabbitMQ for tests cannot be started: {error}")
            })
        })
        .await
}
