//! Users whom the monolith serves: nothing begins here, and the gateway is told where to go on.

use std::time::Duration;

use banyan_ownership::{Decision, decide, settle};
use banyan_test_support::wait_until;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use time::OffsetDateTime;

use crate::support::{Answer, World, answer, new_key, order};

const USER: i64 = 42;
/// All that a request could begin.
const TABLES: [&str; 8] = [
    "customer",
    "payment",
    "payment_attempt",
    "payment_method",
    "refund",
    "subscription",
    "idempotency_key",
    "outbox",
];

/// Something of every kind, made while the user is ours.
struct Rows {
    card: i64,
    paid: i64,
    reserved: i64,
    subscription: i64,
}

impl Rows {
    async fn new(world: &World) -> Self {
        let card = world.card(USER).await;
        let id = |made: &Answer| {
            assert_eq!(made.status, 201, "{made:?}");
            made.json()["id"].as_i64().expect("an id")
        };
        let mut reserved = order(card);
        reserved["capture"] = json!(false);
        let plan = json!({ "planId": 1, "paymentMethodId": card });
        Self {
            card,
            paid: id(&world.charge(USER, &order(card)).await),
            reserved: id(&world.charge(USER, &reserved).await),
            subscription: id(&ask(world, Method::POST, "subscriptions", Some(plan)).await),
        }
    }

    fn writes(&self) -> Vec<(Method, String, Option<Value>)> {
        let Self {
            card,
            paid,
            reserved,
            subscription,
        } = self;
        let plan = json!({ "planId": 3, "paymentMethodId": card });
        vec![
            (Method::POST, "charge".to_owned(), Some(order(*card))),
            (Method::POST, format!("{reserved}/capture"), Some(json!({}))),
            (Method::POST, format!("{reserved}/cancel"), Some(json!({}))),
            (Method::POST, format!("{paid}/refunds"), Some(json!({}))),
            (
                Method::POST,
                "methods".to_owned(),
                Some(json!({ "stripePaymentMethodId": "pm_card_chargeDeclined" })),
            ),
            (Method::DELETE, format!("methods/{card}"), None),
            (Method::POST, "subscriptions".to_owned(), Some(plan)),
            (Method::DELETE, format!("subscriptions/{subscription}"), None),
        ]
    }

    fn reads(&self) -> Vec<String> {
        let paid = self.paid;
        let mut paths = vec![paid.to_string(), format!("{paid}/refunds")];
        paths.extend(["", "methods", "invoices", "balance"].map(str::to_owned));
        paths
    }
}

async fn ask(world: &World, method: Method, path: &str, body: Option<Value>) -> Answer {
    let request = world.request(method, &format!("/api/payments/{path}"), USER);
    let request = request.header("idempotency-key", new_key());
    answer(match body {
        Some(body) => request.json(&body),
        None => request,
    })
    .await
}

async fn decided(world: &World, generation: i64, basis_points: u16) {
    let mut connection = world.db.pool.acquire().await.unwrap();
    let decision = Decision {
        generation,
        basis_points,
        ..Decision::default()
    };
    decide(&mut connection, "payments", &decision).await.unwrap();
}

async fn everything(world: &World) -> Vec<Value> {
    let mut all = Vec::new();
    for table in TABLES {
        let sql = format!("SELECT coalesce(jsonb_agg(t ORDER BY t), '[]') FROM {table} t");
        let rows = sqlx::query_scalar(AssertSqlSafe(sql));
        all.push(rows.fetch_one(&world.db.pool).await.unwrap());
    }
    all
}

fn assert_handed_over(answer: &Answer) {
    assert_eq!(answer.status, 421, "{answer:?}");
    assert_eq!(answer.headers["x-accel-redirect"], "@legacy");
    assert_eq!(answer.problem(), "misdirected");
}

#[tokio::test]
async fn each_operation_is_handed_over() {
    let world = World::start().await;
    let rows = Rows::new(&world).await;
    decided(&world, 1, 0).await;
    let before = everything(&world).await;
    for path in rows.reads() {
        assert_handed_over(&ask(&world, Method::GET, &path, None).await);
    }
    for (method, path, body) in rows.writes() {
        assert_handed_over(&ask(&world, method, &path, body).await);
    }
    assert_eq!(everything(&world).await, before);
    let nobody = world.client.get(format!("{}/api/payments/", world.service.url()));
    assert_eq!(answer(nobody).await.status, 401);
}

/// The layer finds the user here; by the time of the transaction they have moved, or are being moved.
#[tokio::test]
async fn nothing_begins_for_who_moves_just_after_the_layer_has_asked() {
    let world = World::start().await;
    let rows = Rows::new(&world).await;
    let before = everything(&world).await;
    for (sqlstate, status) in [("BN421", 421), ("BN503", 503)] {
        let sql = format!(
            "CREATE OR REPLACE FUNCTION ownership_hold(p_domain text, p_side text, p_user bigint, p_position integer)
               RETURNS void LANGUAGE plpgsql AS
             $$ BEGIN RAISE EXCEPTION 'user % of % moves', p_user, p_domain USING ERRCODE = '{sqlstate}'; END $$"
        );
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&world.db.pool)
            .await
            .unwrap();
        for (method, path, body) in rows.writes() {
            let refused = ask(&world, method, &path, body).await;
            assert_eq!(refused.status, status, "{path}: {refused:?}");
            if status == 421 {
                assert_handed_over(&refused);
            } else {
                assert!(refused.has_retry_after());
            }
        }
    }
    assert_eq!(everything(&world).await, before);
}

#[tokio::test]
async fn who_comes_over_is_served_once_all_has_come_over() {
    let world = World::start().await;
    let rows = Rows::new(&world).await;
    decided(&world, 1, 0).await;
    decided(&world, 2, 10_000).await;
    let path = format!("/api/payments/{}", rows.paid);
    let began: OffsetDateTime = sqlx::query_scalar("SELECT clock_timestamp()")
        .fetch_one(&world.db.pool)
        .await
        .unwrap();
    let read = tokio::spawn(answer(world.request(Method::GET, &path, USER)));
    let looked = async || -> i64 {
        sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
               AND query LIKE '%ownership_look%' AND query_start > $1 AND state = 'idle'",
        )
        .bind(began)
        .fetch_one(&world.db.pool)
        .await
        .unwrap()
    };
    wait_until("the request to look", Duration::from_secs(10), looked, |looks| {
        *looks > 0
    })
    .await;
    assert!(!read.is_finished(), "it did not wait");
    let mut connection = world.db.pool.acquire().await.unwrap();
    assert!(settle(&mut connection, "payments", 2).await.unwrap());
    assert_eq!(read.await.unwrap().status, 200);
}

/// A retry of what the monolith has under way, for a user who has moved meanwhile.
#[tokio::test]
async fn a_payment_that_the_monolith_began_is_left_to_it() {
    let world = World::start_with(&[
        ("fallback.phase", "ramp"),
        ("fallback.legacy_url", "http://127.0.0.1:9"),
    ])
    .await;
    let body = order(world.card(USER).await);
    assert_eq!(world.charge_as(USER, "ours", &body).await.status, 201);
    sqlx::raw_sql(
        r#"INSERT INTO payment SELECT (jsonb_populate_record(p, '{"id": 7, "idempotency_key": "theirs", "status": "pending",
             "completed_at": null, "payout_due": false, "stripe_payment_intent_id": null}')).* FROM payment p"#,
    )
    .execute(&world.db.pool)
    .await
    .unwrap();
    for _ in 0..2 {
        let answer = world.charge_as(USER, "theirs", &body).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.json()["id"]),
            (202, &json!(7)),
            "{answer:?}"
        );
    }
    assert_eq!(world.stripe.all("payment_intents").await.len(), 1);
    assert_eq!(
        world
            .count("SELECT count(*) FROM payment WHERE status = 'pending'")
            .await,
        1
    );
}
