//! The service, its database and its Stripe.

use std::ffi::OsString;
use std::num::NonZeroU32;
use std::sync::Arc;

use banyan_dev_sinks::stripe::{Exchange, Fault, FaultRule};
use banyan_service_kit::config::{Loaded, load};
use banyan_service_kit::{Role, Running, Service as _, start};
use banyan_test_support::{STRIPE_KEY, TestDb, TestKeys, TestStripe, client};
use payments::Payments;
use payments::config::Config;
use payments::currencies::Currencies;
use payments::stripe::StripeClient;
use payments::use_cases::Env;
use payments::use_cases::reconcile::{self, Limits};
use payments::use_cases::renew::renew_due;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub(crate) const USER: i64 = 42;
/// 9.99 USD a month.
pub(crate) const BASIC: i64 = 1;
/// 29.00 USD a month.
pub(crate) const PRO: i64 = 2;
/// 290.00 EUR a year.
pub(crate) const TEAM: i64 = 3;
/// 980 JPY a month.
pub(crate) const STARTER: i64 = 4;
/// 3.500 KWD a month.
pub(crate) const GULF: i64 = 5;

pub(crate) const VISA: &str = "pm_card_visa";
pub(crate) const DECLINED: &str = "pm_card_chargeDeclined";

const PATH: &str = "/api/payments/subscriptions";
const INTENTS: &str = "/v1/payment_intents";

pub(crate) struct World {
    pub(crate) db: TestDb,
    pub(crate) stripe: TestStripe,
    /// What the jobs and consumers of the service work with.
    pub(crate) env: Env,
    keys: TestKeys,
    service: Running,
    client: reqwest::Client,
}

/// A status with its body.
pub(crate) type Answer = (u16, Value);

impl World {
    pub(crate) async fn start() -> Self {
        let migrator = Payments::migrator();
        let (db, keys, stripe) = tokio::join!(
            TestDb::create(Some(&migrator)),
            TestKeys::start(),
            TestStripe::start(None)
        );
        let loaded = configuration(&db, &keys, &stripe, "amqp://nobody@127.0.0.1/none");
        let service = start::<Payments>(&loaded, &[Role::Http]).await.unwrap();
        let env = Env {
            stripe: StripeClient::new(loaded.service.stripe.clone(), |bound| bound).unwrap(),
            monolith: None,
            ownership: payments::use_cases::OWNERSHIP,
            first_id: 0,
            currencies: Arc::new(Currencies::new(db.pool.clone())),
            pool: db.pool.clone(),
            charge: loaded.service.charge,
            clock: OffsetDateTime::now_utc,
            new_id: Uuid::now_v7,
        };
        Self {
            db,
            stripe,
            env,
            keys,
            service,
            client: client(),
        }
    }

    /// The configuration of another process of the service, with a broker.
    pub(crate) fn configuration(&self, broker_url: &str) -> Loaded<Config> {
        configuration(&self.db, &self.keys, &self.stripe, broker_url)
    }

    /// The same at that time.
    pub(crate) fn at(&self, clock: fn() -> OffsetDateTime) -> Env {
        Env {
            clock,
            ..self.env.clone()
        }
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        user_id: i64,
        key: Option<&str>,
        body: Option<&Value>,
    ) -> Response {
        let mut request = self
            .client
            .request(method, format!("{}{path}", self.service.url()))
            .bearer_auth(self.keys.token(user_id));
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        request.send().await.unwrap()
    }

    pub(crate) async fn subscribe_raw(&self, user_id: i64, key: &str, body: &Value) -> Response {
        self.send(Method::POST, PATH, user_id, Some(key), Some(body))
            .await
    }

    /// Subscribes user 42 under a new key.
    pub(crate) async fn subscribe(&self, plan_id: i64, method: impl Into<Value>) -> Answer {
        let body = json!({"planId": plan_id, "paymentMethodId": method.into()});
        self.subscribe_with(&Uuid::new_v4().to_string(), &body).await
    }

    pub(crate) async fn subscribe_with(&self, key: &str, body: &Value) -> Answer {
        answer(self.subscribe_raw(USER, key, body).await).await
    }

    /// The id of a subscription of user 42 that is paid.
    pub(crate) async fn subscribed(&self, plan_id: i64) -> i64 {
        let (status, body) = self.subscribe(plan_id, VISA).await;
        assert_eq!((status, &body["status"]), (201, &json!("active")), "{body}");
        body["id"].as_i64().unwrap()
    }

    pub(crate) async fn end(&self, user_id: i64, id: i64) -> Answer {
        answer(
            self.send(Method::DELETE, &format!("{PATH}/{id}"), user_id, None, None)
                .await,
        )
        .await
    }

    /// The id of a card of user 42.
    pub(crate) async fn card(&self, stripe_id: &str) -> i64 {
        let body = json!({"stripePaymentMethodId": stripe_id});
        let sent = self
            .send(Method::POST, "/api/payments/methods", USER, None, Some(&body))
            .await;
        let (status, card) = answer(sent).await;
        assert_eq!(status, 201, "{card}");
        card["id"].as_i64().unwrap()
    }

    /// The invoices of user 42, newest first.
    pub(crate) async fn invoices(&self) -> Vec<Value> {
        let path = "/api/payments/invoices";
        let (status, list) = answer(self.send(Method::GET, path, USER, None, None).await).await;
        assert_eq!(status, 200, "{list}");
        list["items"].as_array().unwrap().clone()
    }

    /// Runs the job that renews.
    pub(crate) async fn renew(&self) -> usize {
        renew_due(&self.env, 500, &CancellationToken::new())
            .await
            .unwrap()
    }

    /// Runs the job that reconciles.
    pub(crate) async fn reconcile(&self) {
        let limits = Limits {
            batch: NonZeroU32::new(10).unwrap(),
            concurrency: NonZeroU32::new(2).unwrap(),
        };
        let tally = reconcile::run(&self.env, limits, &CancellationToken::new())
            .await
            .unwrap();
        assert_eq!(tally.failed, 0);
    }

    /// Shifts all that happened into the past.
    pub(crate) async fn pass(&self, time: &'static str) {
        for (table, columns) in [
            (
                "subscription",
                &[
                    "billing_anchor",
                    "current_period_start",
                    "current_period_end",
                    "next_billing_at",
                ][..],
            ),
            ("invoice", &["period_start", "period_end"]),
            ("payment", &["created_at"]),
            ("payment_attempt", &["started_at"]),
        ] {
            let shifted: Vec<String> = columns
                .iter()
                .map(|column| format!("{column} = {column} - interval '{time}'"))
                .collect();
            let sql = format!("UPDATE {table} SET {}", shifted.join(", "));
            sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
                .execute(&self.db.pool)
                .await
                .unwrap();
        }
    }

    /// A month and an hour.
    pub(crate) async fn pass_a_month(&self) {
        self.pass("31 days 1 hour").await;
    }

    pub(crate) async fn run(&self, sql: &'static str) {
        sqlx::raw_sql(sql).execute(&self.db.pool).await.unwrap();
    }

    /// The first column of all rows, as texts.
    pub(crate) async fn texts(&self, sql: &'static str) -> Vec<String> {
        sqlx::query_scalar(sql).fetch_all(&self.db.pool).await.unwrap()
    }

    pub(crate) async fn number(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.db.pool).await.unwrap()
    }

    /// Payloads of the outbox's events of a type, in their order.
    pub(crate) async fn events(&self, kind: &str) -> Vec<Value> {
        sqlx::query_scalar("SELECT payload FROM outbox WHERE type = $1 ORDER BY created_at, id")
            .bind(kind)
            .fetch_all(&self.db.pool)
            .await
            .unwrap()
    }

    /// How many PaymentIntents Stripe has.
    pub(crate) async fn intents(&self) -> usize {
        self.stripe.all("payment_intents").await.len()
    }

    /// The calls that charge, in their order.
    pub(crate) fn charges(&self) -> Vec<Exchange> {
        let mut seen = self.stripe.requests();
        seen.retain(|one| one.method == "POST" && one.path == INTENTS);
        seen
    }

    /// The next charge goes wrong.
    pub(crate) fn next_charge(&self, fault: Fault) {
        self.stripe.inject(FaultRule::once(fault, "POST", INTENTS));
    }

    /// The ledger as a whole sums to zero, and says what the completed payments do.
    pub(crate) async fn assert_booked(&self) {
        let unbalanced = self
            .number(
                "SELECT count(*) FROM (SELECT FROM ledger_entry GROUP BY transaction_id, currency
                   HAVING sum(amount_minor) <> 0) t",
            )
            .await;
        assert_eq!(unbalanced, 0);
        let (booked, completed) = tokio::join!(
            self.number("SELECT count(*) FROM ledger_transaction WHERE kind = 'charge'"),
            self.number("SELECT count(*) FROM payment WHERE completed_at IS NOT NULL"),
        );
        assert_eq!(booked, completed);
    }
}

fn configuration(db: &TestDb, keys: &TestKeys, stripe: &TestStripe, broker_url: &str) -> Loaded<Config> {
    let (stripe_url, jwks_url) = (stripe.url(), keys.jwks_url());
    let settings = [
        ("DATABASE__URL", db.url.as_str()),
        ("BROKER__URL", broker_url),
        ("AUTH__JWKS_URL", &jwks_url),
        ("HTTP__LISTEN", "127.0.0.1:0"),
        ("STRIPE__BASE_URL", &stripe_url),
        ("STRIPE__SECRET_KEY", STRIPE_KEY),
        ("STRIPE__WEBHOOK_SECRET", "whsec_only_for_tests"),
        // A fault is for one call, so that what is unknown stays so.
        ("STRIPE__RETRY__MAX_RETRIES", "0"),
    ];
    let environment = settings.map(|(key, value)| {
        (
            OsString::from(format!("BANYAN_PAYMENTS__{key}")),
            OsString::from(value),
        )
    });
    load::<Payments>(None, environment).unwrap()
}

pub(crate) async fn answer(response: Response) -> Answer {
    let status = response.status().as_u16();
    (status, response.json().await.unwrap())
}

/// Status and problem type of an answer.
pub(crate) fn problem((status, body): &Answer) -> (u16, &str) {
    let kind = body["type"].as_str().unwrap_or_default();
    (*status, kind.rsplit(':').next().unwrap_or_default())
}

/// The fields that a 422 names.
pub(crate) fn fields((status, body): &Answer) -> Vec<&str> {
    assert_eq!(*status, 422, "{body}");
    let errors = body["errors"].as_array().unwrap();
    errors
        .iter()
        .map(|error| error["field"].as_str().unwrap())
        .collect()
}
