//! What all instances share, and how they are asked.

use std::time::Duration;

use banyan_service_kit::Service as _;
use banyan_test_support::{
    STRIPE_KEY, ServiceCommand, ServiceProcess, TestDb, TestKeys, TestStripe, TestVhost, client, wait_for,
};
use payments::Payments;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

/// Where events go that nobody is bound to: here, all of them.
const UNROUTED: &str = "domain-events.unrouted";
/// What undecided work may take on a busy machine.
const BOUND: Duration = Duration::from_mins(1);

pub(crate) struct Stage {
    pub(crate) db: TestDb,
    pub(crate) stripe: TestStripe,
    vhost: TestVhost,
    keys: TestKeys,
    client: reqwest::Client,
}

impl Stage {
    pub(crate) async fn start() -> Self {
        let migrator = Payments::migrator();
        let (db, vhost, keys, stripe) = tokio::join!(
            TestDb::create(Some(&migrator)),
            TestVhost::create(),
            TestKeys::start(),
            TestStripe::start(None)
        );
        Self {
            db,
            stripe,
            vhost,
            keys,
            client: client(),
        }
    }

    /// A ready instance with all roles, whose jobs run every second.
    pub(crate) async fn instance(&self) -> ServiceProcess {
        let mut command = ServiceCommand::new(env!("CARGO_BIN_EXE_payments"))
            .config("database.url", &self.db.url)
            .config("broker.url", &self.vhost.amqp_url)
            .config("auth.jwks_url", self.keys.jwks_url())
            .config("stripe.base_url", self.stripe.url())
            .config("stripe.secret_key", STRIPE_KEY)
            .config("stripe.webhook_secret", "whsec_only_for_tests")
            // A fault is for one call, so that what is unknown stays so.
            .config("stripe.retry.max_retries", "0")
            .config("shutdown.grace_ms", "4000");
        for job in [
            "reconcile_pending_payments",
            "renew_subscriptions",
            "create_payouts",
        ] {
            command = command.config(&format!("jobs.{job}.cron"), "* * * * * *");
        }
        let instance = command.args(["serve"]).start().await;
        instance.ready().await;
        instance
    }

    /// Asks until there is an answer that is no longer "not yet": as a client does, with the same key.
    pub(crate) async fn settle(&self, url: &str, user_id: i64, key: &str, body: &Value) -> (u16, Value) {
        loop {
            let request = self
                .client
                .post(url)
                .bearer_auth(self.keys.token(user_id))
                .header("idempotency-key", key)
                .json(body);
            let answer = request.send().await.unwrap();
            let status = answer.status().as_u16();
            let body: Value = answer.json().await.unwrap();
            match status {
                202 | 409 => tokio::time::sleep(Duration::from_millis(50)).await,
                _ => return (status, body),
            }
        }
    }

    /// One request as it is, without a second try.
    pub(crate) async fn once(
        &self,
        method: Method,
        url: &str,
        user_id: i64,
        body: Option<&Value>,
    ) -> Result<u16, reqwest::Error> {
        let mut request = self
            .client
            .request(method, url)
            .bearer_auth(self.keys.token(user_id));
        if let Some(body) = body {
            request = request
                .header("idempotency-key", Uuid::new_v4().to_string())
                .json(body);
        }
        let answer = request.send().await?;
        let status = answer.status().as_u16();
        answer.bytes().await?;
        Ok(status)
    }

    pub(crate) async fn is_ready(&self, url: &str) -> bool {
        let answer = self.client.get(format!("{url}/readyz")).send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.db.pool).await.unwrap()
    }

    pub(crate) async fn run(&self, sql: &'static str) {
        sqlx::raw_sql(sql).execute(&self.db.pool).await.unwrap();
    }

    /// Waits until a query counts so many.
    pub(crate) async fn wait_count(&self, what: &str, sql: &'static str, wanted: i64) {
        wait_for(what, BOUND, async || match self.count(sql).await {
            found if found == wanted => Ok(()),
            found => Err(found),
        })
        .await;
    }

    /// The types of all events that were published, sorted; each event came once.
    pub(crate) async fn published(&self) -> Vec<String> {
        self.wait_count(
            "the outbox to drain",
            "SELECT count(*) FROM outbox WHERE published_at IS NULL",
            0,
        )
        .await;
        let messages = self.vhost.take(UNROUTED).await;
        let mut ids: Vec<_> = messages
            .iter()
            .map(|message| message.message_id.clone())
            .collect();
        ids.sort();
        let came = ids.len();
        ids.dedup();
        assert_eq!(ids.len(), came, "an event came twice");
        let mut types: Vec<String> = messages.into_iter().map(|message| message.routing_key).collect();
        types.sort();
        types
    }

    /// Payments, PaymentIntents that succeeded and ledger charges agree, and the ledger balances.
    pub(crate) async fn assert_charged(&self, completed: i64) {
        let intents = self.stripe.all("payment_intents").await;
        let succeeded = intents
            .iter()
            .filter(|intent| intent["status"] == "succeeded")
            .count();
        assert_eq!(i64::try_from(succeeded).unwrap(), completed, "at Stripe");
        for sql in [
            "SELECT count(*) FROM payment WHERE completed_at IS NOT NULL",
            "SELECT count(*) FROM ledger_transaction WHERE kind = 'charge'",
        ] {
            assert_eq!(self.count(sql).await, completed, "{sql}");
        }
        let sum = "SELECT coalesce(sum(amount_minor), 0)::bigint FROM ledger_entry";
        assert_eq!(self.count(sum).await, 0);
        let open = "SELECT count(*) FROM payment WHERE status = 'pending'";
        assert_eq!(self.count(open).await, 0);
    }
}

/// 10.00 USD by a card that is attached on the fly.
pub(crate) fn order() -> Value {
    json!({ "amount": "10.00", "currency": "USD", "paymentMethodId": "pm_card_visa" })
}
