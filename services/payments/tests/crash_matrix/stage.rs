//! What the service works with, real as in production.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use banyan_events::EventKind;
use banyan_messaging::{Broker, BrokerConfig, topology};
use banyan_service_kit::Service as _;
use banyan_test_support::{
    STRIPE_KEY, ServiceCommand, TestDb, TestKeys, TestStripe, TestVhost, client, wait_until,
};
use payments::Payments;
use time::OffsetDateTime;
use tokio::sync::watch;

use crate::client::Client;
use crate::service::Address;

/// A consumer of every event of this service.
pub(crate) const LISTENER: &str = "listener";

/// The reconciler comes every second.
const BOUND: Duration = Duration::from_mins(1);

pub(crate) struct Stage {
    pub(crate) db: TestDb,
    pub(crate) vhost: TestVhost,
    pub(crate) stripe: TestStripe,
    keys: Arc<TestKeys>,
}

impl Stage {
    pub(crate) async fn set() -> Self {
        let migrator = Payments::migrator();
        let (db, vhost, stripe, keys) = tokio::join!(
            TestDb::create(Some(&migrator)),
            TestVhost::create(),
            TestStripe::start(None),
            TestKeys::start(),
        );
        let config = BrokerConfig::new(vhost.amqp_url.clone(), "test");
        let broker = Broker::connect(&config, "test").await.expect("a broker");
        let channel = broker.channel().await.expect("a channel");
        let kinds = [
            EventKind::PaymentCompleted,
            EventKind::PaymentFailed,
            EventKind::PaymentRefunded,
        ];
        topology::declare(&channel, LISTENER, &kinds)
            .await
            .expect("a queue");
        broker.close().await;
        Self {
            db,
            vhost,
            stripe,
            keys: Arc::new(keys),
        }
    }

    /// Starts the service with a lease of a second, so that what a death left is gone on with soon.
    pub(crate) fn command(&self) -> ServiceCommand {
        ServiceCommand::new(payments_with_fail_points())
            .config("database.url", &self.db.url)
            .config("broker.url", &self.vhost.amqp_url)
            .config("auth.jwks_url", self.keys.jwks_url())
            .config("stripe.base_url", self.stripe.url())
            .config("stripe.secret_key", STRIPE_KEY)
            .config("stripe.webhook_secret", "whsec_only_for_tests")
            .config("stripe.retry.base_delay_ms", "5")
            // One that came to rest would only keep the matrix waiting.
            .config("stripe.breaker.trip_after", "1000000")
            .config("charge.deadline_ms", "900")
            .config("charge.lease_seconds", "1")
            .config("jobs.reconcile_pending_payments.cron", "* * * * * *")
            .config("relay.poll_interval_ms", "100")
            // Each new session costs the database more than what is asked of it before the service dies.
            .config("database.max_connections", "5")
    }

    pub(crate) fn client(&self, address: Address, holds: watch::Receiver<bool>) -> Client {
        Client {
            keys: Arc::clone(&self.keys),
            http: client(),
            address,
            holds,
            counts: Arc::default(),
        }
    }

    /// One number out of the database.
    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql)
            .fetch_one(&self.db.pool)
            .await
            .expect("a number")
    }

    /// Waits until the reconciler has settled all that was begun before this moment.
    pub(crate) async fn nothing_is_left_from_before(&self, moment: OffsetDateTime) {
        let left = async || {
            sqlx::query_scalar::<_, i64>(LEFT_FROM_BEFORE)
                .bind(moment)
                .fetch_one(&self.db.pool)
                .await
                .expect("a number")
        };
        wait_until("the reconciler", BOUND, left, |left| *left == 0).await;
    }

    /// Waits until nothing is under way: no payment, refund, capture or cancellation, no key, no event.
    pub(crate) async fn nothing_is_undecided(&self) {
        let open = async || {
            let mut open = Vec::new();
            for (what, sql) in UNDECIDED {
                open.push((what, self.count(sql).await));
            }
            open
        };
        wait_until("an end of all that was under way", BOUND, open, |open| {
            open.iter().all(|(_, count)| *count == 0)
        })
        .await;
    }
}

/// The service with its fail-points, which is built next to the tests.
fn payments_with_fail_points() -> PathBuf {
    let test = std::env::current_exe().expect("this program has a path");
    let profile = test.ancestors().nth(2).expect("target/<profile>/deps/<test>");
    let program = profile.join("examples/payments");
    assert!(
        program.exists(),
        "{} is missing: `cargo build -p payments --example payments` makes it",
        program.display()
    );
    program
}

const LEFT_FROM_BEFORE: &str = "
    SELECT (SELECT count(*) FROM payment WHERE status = 'pending' AND created_at < $1)
         + (SELECT count(*) FROM refund WHERE status = 'pending' AND created_at < $1)
         + (SELECT count(*) FROM payment_attempt
            WHERE status IN ('started', 'unknown') AND operation <> 'charge' AND started_at < $1)";

const UNDECIDED: [(&str, &str); 6] = [
    (
        "payments",
        "SELECT count(*) FROM payment WHERE status = 'pending'",
    ),
    ("refunds", "SELECT count(*) FROM refund WHERE status = 'pending'"),
    (
        "calls to Stripe",
        "SELECT count(*) FROM payment_attempt WHERE status IN ('started', 'unknown')
           AND (operation <> 'charge' OR status = 'started')",
    ),
    (
        "keys",
        "SELECT count(*) FROM idempotency_key WHERE locked_until IS NOT NULL",
    ),
    ("invoices", "SELECT count(*) FROM invoice WHERE status <> 'paid'"),
    ("events", "SELECT count(*) FROM outbox WHERE published_at IS NULL"),
];
