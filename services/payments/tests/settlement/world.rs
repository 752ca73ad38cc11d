//! The running service, and what the jobs of another process of it work with.

use std::num::NonZeroU32;
use std::ops::Deref;
use std::sync::Arc;

use banyan_dev_sinks::stripe::{Exchange, Fault, FaultRule};
use payments::config::Config;
use payments::currencies::Currencies;
use payments::stripe::{StripeClient, full_jitter};
use payments::use_cases::Env;
use payments::use_cases::reconcile::{self, Limits, Tally};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub(crate) use crate::support::{Answer, answer, new_key};
use crate::support::{World as Running, configuration};

pub(crate) const USER: i64 = 42;
pub(crate) const REFUNDS: &str = "/v1/refunds";
pub(crate) const INTENTS: &str = "/v1/payment_intents";
pub(crate) const CAPTURES: &str = "/v1/payment_intents/*/capture";
pub(crate) const CANCELS: &str = "/v1/payment_intents/*/cancel";

pub(crate) struct World {
    running: Running,
    /// What the jobs work with.
    pub(crate) env: Env,
    pub(crate) config: Config,
}

impl Deref for World {
    type Target = Running;

    fn deref(&self) -> &Running {
        &self.running
    }
}

impl World {
    /// Stripe is asked once and never left alone: no retry mends a fault, no breaker answers in Stripe's place.
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    pub(crate) async fn start_with(settings: &[(&str, &str)]) -> Self {
        let once = [
            ("stripe.retry.max_retries", "0"),
            ("stripe.breaker.trip_after", "1000"),
        ];
        let mut settings: Vec<(&str, &str)> = once.iter().chain(settings).copied().collect();
        let running = Running::start_with(&settings).await;
        let url = running.stripe.url();
        settings.push(("stripe.base_url", &url));
        let config = configuration(&settings).service;
        let pool = running.db.pool.clone();
        let env = Env {
            stripe: StripeClient::new(config.stripe.clone(), full_jitter).expect("a client"),
            monolith: None,
            ownership: payments::use_cases::OWNERSHIP,
            first_id: 0,
            currencies: Arc::new(Currencies::new(pool.clone())),
            pool,
            charge: config.charge,
            clock: OffsetDateTime::now_utc,
            new_id: Uuid::now_v7,
        };
        Self { running, env, config }
    }

    pub(crate) fn stripe_mut(&mut self) -> &mut banyan_test_support::TestStripe {
        &mut self.running.stripe
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.running.get(path, USER).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        answer(self.request(Method::POST, path, USER).json(body)).await
    }

    pub(crate) async fn charge(&self, key: &str, body: &Value) -> Answer {
        self.charge_as(USER, key, body).await
    }

    /// The path of a payment of 10.00 USD that completed.
    pub(crate) async fn paid(&self) -> String {
        self.payment(&order(true)).await
    }

    /// The path of a payment of 10.00 USD that is reserved.
    pub(crate) async fn reserved(&self) -> String {
        self.payment(&order(false)).await
    }

    async fn payment(&self, body: &Value) -> String {
        let made = self.charge(&new_key(), body).await;
        assert_eq!(made.status, 201, "{made:?}");
        format!("/api/payments/{}", made.json()["id"])
    }

    pub(crate) async fn capture(&self, path: &str, body: &Value) -> Answer {
        self.post(&format!("{path}/capture"), body).await
    }

    pub(crate) async fn cancel(&self, path: &str) -> Answer {
        answer(self.request(Method::POST, &format!("{path}/cancel"), USER)).await
    }

    pub(crate) async fn refund(&self, path: &str, key: &str, body: &Value) -> Answer {
        let request = self.request(Method::POST, &format!("{path}/refunds"), USER);
        answer(request.header("idempotency-key", key).json(body)).await
    }

    /// Sends a request, and hangs up once Stripe was asked at a path that ends so.
    pub(crate) async fn hang_up(&self, request: RequestBuilder, path: &'static str) {
        let client = tokio::spawn(request.send());
        let asked = |seen: &[Exchange]| seen.iter().any(|one| one.path.ends_with(path));
        self.stripe.wait_for_requests(asked).await;
        client.abort();
        assert!(
            client.await.is_err_and(|error| error.is_cancelled()),
            "it was answered before"
        );
    }

    /// Has the next requests go wrong.
    pub(crate) fn breaks(&self, fault: Fault, path: &str, times: u32) {
        self.stripe.inject(FaultRule {
            times: NonZeroU32::new(times).unwrap(),
            ..FaultRule::once(fault, "POST", path)
        });
    }

    /// Has everything in the database begin so much earlier.
    pub(crate) async fn age(&self, minutes: i64) {
        for sql in [
            "UPDATE payment SET created_at = created_at - $1 * interval '1 minute' WHERE status = 'pending'",
            "UPDATE payment_attempt SET started_at = started_at - $1 * interval '1 minute'",
            "UPDATE refund SET created_at = created_at - $1 * interval '1 minute',
               started_at = started_at - $1 * interval '1 minute' WHERE status = 'pending'",
        ] {
            sqlx::query(sql)
                .bind(minutes)
                .execute(&self.db.pool)
                .await
                .unwrap();
        }
    }

    /// One run of the job.
    pub(crate) async fn reconcile(&self) -> Tally {
        reconcile_with(&self.env).await
    }

    pub(crate) async fn run(&self, sql: &'static str) {
        sqlx::raw_sql(sql).execute(&self.db.pool).await.unwrap();
    }

    pub(crate) async fn texts(&self, sql: &'static str) -> Vec<String> {
        sqlx::query_scalar(sql).fetch_all(&self.db.pool).await.unwrap()
    }

    pub(crate) async fn json(&self, sql: &'static str) -> Value {
        sqlx::query_scalar(sql).fetch_one(&self.db.pool).await.unwrap()
    }

    /// The amounts that Stripe gave back, what partial captures gave free left out.
    pub(crate) async fn refunded_at_stripe(&self) -> Vec<i64> {
        let all = self.stripe.all("refunds").await;
        let ours = all.iter().filter(|refund| refund["payment_intent"].is_string());
        ours.map(|refund| refund["amount"].as_i64().unwrap()).collect()
    }

    /// The keys of the POSTs to a path of Stripe, oldest first.
    pub(crate) fn keys_sent(&self, path: &str) -> Vec<String> {
        let seen = self.stripe.requests().into_iter();
        let posts = seen.filter(|one| one.method == "POST" && one.path == path);
        posts.filter_map(|one| one.idempotency_key).collect()
    }

    /// Every payment, refund, ledger transaction and event fits the others, to the cent.
    pub(crate) async fn assert_consistent(&self) {
        for (what, sql) in [
            (
                "the ledger's sum",
                "SELECT coalesce(sum(amount_minor), 0)::bigint FROM ledger_entry",
            ),
            (
                "payments whose refunds do not add up",
                "SELECT count(*) FROM payment p WHERE amount_refunded_minor <>
                   (SELECT coalesce(sum(amount_minor), 0) FROM refund r WHERE r.payment_id = p.id AND status = 'succeeded')",
            ),
            (
                "payments that are not what the ledger says",
                "SELECT count(*) FROM payment p WHERE
                   CASE WHEN completed_at IS NULL THEN 0 ELSE amount_minor - amount_refunded_minor END <>
                   (SELECT coalesce(-sum(e.amount_minor), 0) FROM ledger_transaction t
                    JOIN ledger_entry e ON e.transaction_id = t.id JOIN ledger_account a ON a.id = e.account_id
                    WHERE t.payment_id = p.id AND a.kind = 'customer')",
            ),
            (
                "completed payments without exactly one event",
                "SELECT count(*) FROM payment p WHERE (completed_at IS NOT NULL)::int <>
                   (SELECT count(*) FROM outbox WHERE type = 'payment.completed' AND (payload ->> 'paymentId')::bigint = p.id)",
            ),
            (
                "refunds without exactly one event",
                "SELECT count(*) FROM refund r WHERE (completed_at IS NOT NULL)::int <>
                   (SELECT count(*) FROM outbox WHERE type = 'payment.refunded' AND (payload ->> 'refundId')::bigint = r.id)",
            ),
        ] {
            assert_eq!(self.count(sql).await, 0, "{what}");
        }
    }
}

pub(crate) async fn reconcile_with(env: &Env) -> Tally {
    let limits = Limits {
        // Smaller than what is due in the tests with more than one, so that pages are turned.
        batch: NonZeroU32::new(2).unwrap(),
        concurrency: NonZeroU32::new(4).unwrap(),
    };
    let tally = reconcile::run(env, limits, &CancellationToken::new())
        .await
        .unwrap();
    assert_eq!(tally.failed, 0, "{tally:?}");
    tally
}

/// 10.00 USD.
pub(crate) fn order(capture: bool) -> Value {
    json!({ "amount": "10.00", "currency": "USD", "paymentMethodId": "pm_card_visa", "capture": capture })
}
