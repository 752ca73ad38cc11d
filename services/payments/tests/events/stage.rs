//! What these tests ask of the world.

use std::sync::Arc;

use banyan_dev_sinks::stripe::signature;
use banyan_test_support::STRIPE_KEY;
use payments::currencies::Currencies;
use payments::stripe::StripeClient;
use payments::use_cases::Env;
use reqwest::Method;
use serde_json::{Value, json};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::support::{Answer, WEBHOOK_SECRET, World, answer, configuration, order};

pub(crate) const WEBHOOK: &str = "/api/payments/webhooks/stripe";
pub(crate) const USER: i64 = 42;

pub(crate) fn now() -> i64 {
    OffsetDateTime::now_utc().unix_timestamp()
}

pub(crate) fn event(id: &str, kind: &str, created: i64, object: &Value) -> Value {
    json!({ "id": id, "object": "event", "type": kind, "created": created, "data": { "object": object } })
}

impl World {
    /// A body, signed with that secret at that time.
    pub(crate) async fn deliver(&self, body: &str, secret: &str, time: i64) -> Answer {
        let signature = signature::sign(secret, time, body.as_bytes());
        self.deliver_as(body, Some(&signature)).await
    }

    pub(crate) async fn deliver_as(&self, body: &str, signature: Option<&str>) -> Answer {
        let request = self
            .client
            .post(format!("{}{WEBHOOK}", self.service.url()))
            .header("content-type", "application/json")
            .body(body.to_owned());
        answer(match signature {
            Some(signature) => request.header("stripe-signature", signature),
            None => request,
        })
        .await
    }

    /// An event as Stripe sends it.
    pub(crate) async fn send(&self, event: &Value) -> Answer {
        self.deliver(&event.to_string(), WEBHOOK_SECRET, now()).await
    }

    /// News with an event id of their own, which must be taken.
    pub(crate) async fn tell(&self, kind: &str, object: &Value) {
        let id = format!("evt_{}", Uuid::new_v4().simple());
        let answer = self.send(&event(&id, kind, now(), object)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.json(), json!({ "received": true }));
    }

    /// A payment of so much: its id and its PaymentIntent's.
    pub(crate) async fn pay(&self, amount: &str, currency: &str) -> (i64, String) {
        let mut body = order("pm_card_visa");
        (body["amount"], body["currency"]) = (amount.into(), currency.into());
        body["description"] = "Coffee".into();
        let paid = self.charge(USER, &body).await;
        assert_eq!(paid.status, 201, "{paid:?}");
        ids(&paid.json())
    }

    /// A payment of 10.00 USD whose money is only reserved.
    pub(crate) async fn reserve(&self) -> (i64, String) {
        let mut body = order("pm_card_visa");
        body["capture"] = false.into();
        let reserved = self.charge(USER, &body).await;
        assert_eq!(reserved.json()["status"], "requires_capture", "{reserved:?}");
        ids(&reserved.json())
    }

    pub(crate) async fn payment(&self, id: i64) -> Value {
        self.get(&format!("/api/payments/{id}"), USER).await.json()
    }

    pub(crate) async fn status(&self, id: i64) -> String {
        self.payment(id).await["status"].as_str().unwrap().to_owned()
    }

    /// What somebody does at Stripe without us; what is left of the faults that a test asked for is used up first.
    pub(crate) async fn at_stripe(&self, path: &str, form: &str) -> Value {
        for _ in 0..10 {
            let request = self
                .client
                .post(format!("{}/v1/{path}", self.stripe.url()))
                .bearer_auth(STRIPE_KEY)
                .header("content-type", "application/x-www-form-urlencoded")
                .body(form.to_owned());
            if let Ok(answer) = request.send().await
                && answer.status().is_success()
            {
                return answer.json().await.unwrap();
            }
        }
        panic!("{path} fails at Stripe")
    }

    /// All of a kind that Stripe has.
    pub(crate) async fn at_stripe_now(&self, kind: &str) -> Value {
        let request = self
            .client
            .get(format!("{}/v1/{kind}", self.stripe.url()))
            .bearer_auth(STRIPE_KEY);
        request.send().await.unwrap().json().await.unwrap()
    }

    pub(crate) async fn refund(&self, payment_id: i64, body: &Value) -> Answer {
        let path = format!("/api/payments/{payment_id}/refunds");
        let request = self.request(Method::POST, &path, USER);
        let key = Uuid::new_v4().to_string();
        answer(request.header("idempotency-key", key).json(body)).await
    }

    pub(crate) async fn texts(&self, sql: &'static str) -> Vec<String> {
        sqlx::query_scalar(sql).fetch_all(&self.db.pool).await.unwrap()
    }

    /// Runs statements of a test.
    pub(crate) async fn run(&self, sql: &'static str) {
        sqlx::raw_sql(sql).execute(&self.db.pool).await.unwrap();
    }

    /// Payloads of the events of a type.
    pub(crate) async fn events(&self, kind: &str) -> Vec<Value> {
        sqlx::query_scalar("SELECT payload FROM outbox WHERE type = $1 ORDER BY sequence")
            .bind(kind)
            .fetch_all(&self.db.pool)
            .await
            .unwrap()
    }

    /// The balance of an account of the house.
    pub(crate) async fn account(&self, kind: &str, currency: &str) -> i64 {
        let sql = "SELECT coalesce(sum(balance_minor), 0)::bigint FROM ledger_account_balance WHERE kind = $1 AND currency = $2";
        sqlx::query_scalar(sql)
            .bind(kind)
            .bind(currency)
            .fetch_one(&self.db.pool)
            .await
            .unwrap()
    }

    /// What a job of another process would work with.
    pub(crate) fn env(&self) -> Env {
        let stripe_url = self.stripe.url();
        let config = configuration(&[("stripe.base_url", &stripe_url)]).service;
        Env {
            stripe: StripeClient::new(config.stripe, |bound| bound).unwrap(),
            monolith: None,
            ownership: payments::use_cases::OWNERSHIP,
            first_id: 0,
            currencies: Arc::new(Currencies::new(self.db.pool.clone())),
            pool: self.db.pool.clone(),
            charge: config.charge,
            clock: OffsetDateTime::now_utc,
            new_id: Uuid::now_v7,
        }
    }
}

fn ids(payment: &Value) -> (i64, String) {
    let intent = payment["stripePaymentIntentId"].as_str().unwrap();
    (payment["id"].as_i64().unwrap(), intent.to_owned())
}
