//! The running service with a database, a Stripe and signing keys of its own.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::collections::BTreeMap;
use std::ffi::OsString;

use banyan_service_kit::config::{Loaded, load};
use banyan_service_kit::{Role, Running, Service as _, start};
use banyan_test_support::{STRIPE_KEY, TestDb, TestKeys, TestStripe, client};
use payments::Payments;
use payments::config::Config;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

pub(crate) const WEBHOOK_SECRET: &str = "whsec_only_for_tests";
pub(crate) const CHARGE: &str = "/api/payments/charge";

/// What a test sets otherwise than the defaults, as `section.key`.
pub(crate) type Settings<'a> = &'a [(&'a str, &'a str)];

pub(crate) struct World {
    pub(crate) db: TestDb,
    pub(crate) keys: TestKeys,
    pub(crate) stripe: TestStripe,
    pub(crate) service: Running,
    pub(crate) client: reqwest::Client,
}

/// An answer, read whole.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// With its API only: jobs and consumer are stepped by hand.
    pub(crate) async fn start_with(settings: Settings<'_>) -> Self {
        let migrator = Payments::migrator();
        let (db, stripe) = tokio::join!(TestDb::create(Some(&migrator)), TestStripe::start(None));
        let keys = TestKeys::start().await;
        let (jwks_url, stripe_url) = (keys.jwks_url(), stripe.url());
        let own = [
            ("database.url", db.url.as_str()),
            ("auth.jwks_url", &jwks_url),
            ("stripe.base_url", &stripe_url),
        ];
        let settings: Vec<(&str, &str)> = own.iter().chain(settings).copied().collect();
        let service = start::<Payments>(&configuration(&settings), &[Role::Http])
            .await
            .expect("started");
        Self {
            db,
            keys,
            stripe,
            service,
            client: client(),
        }
    }

    pub(crate) fn request(&self, method: Method, path: &str, user_id: i64) -> RequestBuilder {
        let url = format!("{}{path}", self.service.url());
        self.client
            .request(method, url)
            .bearer_auth(self.keys.token(user_id))
    }

    pub(crate) async fn get(&self, path: &str, user_id: i64) -> Answer {
        answer(self.request(Method::GET, path, user_id)).await
    }

    /// A charge with a key of its own.
    pub(crate) async fn charge(&self, user_id: i64, body: &Value) -> Answer {
        self.charge_as(user_id, &new_key(), body).await
    }

    pub(crate) async fn charge_as(&self, user_id: i64, key: &str, body: &Value) -> Answer {
        answer(self.charge_request(user_id, key, body)).await
    }

    pub(crate) fn charge_request(&self, user_id: i64, key: &str, body: &Value) -> RequestBuilder {
        self.request(Method::POST, CHARGE, user_id)
            .header("idempotency-key", key)
            .json(body)
    }

    /// A card of the user's: its id here.
    pub(crate) async fn card(&self, user_id: i64) -> i64 {
        let added = self
            .request(Method::POST, "/api/payments/methods", user_id)
            .json(&json!({ "stripePaymentMethodId": "pm_card_visa" }));
        let added = answer(added).await;
        assert_eq!(added.status, 201, "{added:?}");
        added.json()["id"].as_i64().expect("an id")
    }

    /// One number out of the database.
    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql)
            .fetch_one(&self.db.pool)
            .await
            .expect("a number")
    }

    /// Payments, PaymentIntents at Stripe that succeeded, ledger charges and events agree, and the ledger balances.
    pub(crate) async fn assert_property_one(&self, completed: i64) {
        let at_stripe = self
            .stripe
            .all("payment_intents")
            .await
            .iter()
            .filter(|intent| intent["status"] == "succeeded")
            .count();
        assert_eq!(i64::try_from(at_stripe).unwrap_or(-1), completed, "at Stripe");
        for (what, sql) in [
            (
                "payments",
                "SELECT count(*) FROM payment WHERE completed_at IS NOT NULL",
            ),
            (
                "ledger charges",
                "SELECT count(*) FROM ledger_transaction WHERE kind = 'charge'",
            ),
            (
                "events",
                "SELECT count(DISTINCT subject) FROM outbox WHERE type = 'payment.completed'",
            ),
            (
                "event rows",
                "SELECT count(*) FROM outbox WHERE type = 'payment.completed'",
            ),
        ] {
            assert_eq!(self.count(sql).await, completed, "{what}");
        }
        let sum = "SELECT coalesce(sum(amount_minor), 0)::bigint FROM ledger_entry";
        assert_eq!(self.count(sum).await, 0, "the ledger");
    }
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    pub(crate) fn is_replayed(&self) -> bool {
        self.headers
            .get("idempotent-replayed")
            .is_some_and(|value| value == "true")
    }

    /// The fields that a 422 names.
    pub(crate) fn fields(&self) -> Vec<String> {
        let errors = self.json()["errors"].as_array().cloned().unwrap_or_default();
        let mut fields: Vec<String> = errors
            .iter()
            .filter_map(|error| Some(error["field"].as_str()?.to_owned()))
            .collect();
        fields.sort();
        fields
    }
}

pub(crate) async fn answer(request: RequestBuilder) -> Answer {
    let response = request.send().await.expect("an answer");
    let headers = response.headers().iter().map(|(name, value)| {
        let value = value.to_str().expect("ASCII").to_owned();
        (name.as_str().to_owned(), value)
    });
    Answer {
        status: response.status(),
        headers: headers.collect(),
        body: response.bytes().await.expect("a body").to_vec(),
    }
}

pub(crate) fn new_key() -> String {
    Uuid::new_v4().to_string()
}

/// 10.00 USD with this card, an id here or at Stripe.
pub(crate) fn order(card: impl Into<Value>) -> Value {
    json!({ "amount": "10.00", "currency": "USD", "paymentMethodId": card.into() })
}

/// The configuration as a process would load it, with short pauses.
pub(crate) fn configuration(settings: Settings<'_>) -> Loaded<Config> {
    let needed = [
        ("database.url", "postgres://nobody@127.0.0.1/none"),
        ("broker.url", "amqp://nobody@127.0.0.1/none"),
        ("http.listen", "127.0.0.1:0"),
        ("stripe.secret_key", STRIPE_KEY),
        ("stripe.webhook_secret", WEBHOOK_SECRET),
        ("stripe.retry.base_delay_ms", "5"),
    ];
    // The later of two settings of one key counts.
    let settings: BTreeMap<&str, &str> = needed.iter().chain(settings).copied().collect();
    let environment = settings.into_iter().map(|(key, value)| {
        let name = format!("BANYAN_PAYMENTS__{}", key.to_uppercase().replace('.', "__"));
        (OsString::from(name), OsString::from(value))
    });
    load::<Payments>(None, environment.collect::<Vec<_>>()).expect("a configuration")
}
