//! What is not a charge.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{CHARGE, World, answer, new_key, order};

#[tokio::test]
async fn every_wrong_field_is_named_and_nothing_is_kept() {
    let world = World::start().await;
    let good = order("pm_card_visa");
    let with = |field: &str, value: Value| {
        let mut body = good.clone();
        body[field] = value;
        body
    };
    for (body, fields) in [
        (json!({}), vec!["amount", "currency", "paymentMethodId"]),
        (with("amount", json!("0.001")), vec!["amount"]),
        (with("amount", json!(0)), vec!["amount"]),
        (with("amount", json!("-1.00")), vec!["amount"]),
        (with("amount", json!("1e3")), vec!["amount"]),
        (with("amount", json!("123456789012.00")), vec!["amount"]),
        (with("amount", json!(true)), vec!["amount"]),
        (with("currency", json!("XXX")), vec!["currency"]),
        (with("currency", json!("usd")), vec!["currency"]),
        (with("currency", json!("US")), vec!["currency"]),
        (with("paymentMethodId", json!("card")), vec!["paymentMethodId"]),
        (with("paymentMethodId", json!(1.5)), vec!["paymentMethodId"]),
        (with("capture", json!("yes")), vec!["capture"]),
        (with("description", json!("a\u{0}b")), vec!["description"]),
        (with("userId", json!("1")), vec!["userId"]),
    ] {
        let refused = world.charge(1, &body).await;
        assert_eq!(refused.status, 422, "{body}: {refused:?}");
        assert_eq!(refused.fields(), fields, "{body}");
    }
    assert_eq!(world.charge(1, &with("userId", json!(2))).await.status, 403);
    for table in [
        "SELECT count(*) FROM payment",
        "SELECT count(*) FROM idempotency_key",
    ] {
        assert_eq!(world.count(table).await, 0, "{table}");
    }
}

/// A float would make 0.30000000000000004 of it.
#[tokio::test]
async fn a_number_is_read_as_the_text_it_was_written_in() {
    let world = World::start().await;
    let card = world.card(1).await;
    for (amount, currency, shown) in [
        ("0.30", "USD", "0.30"),
        ("500", "JPY", "500"),
        ("1.250", "KWD", "1.250"),
        ("12345678.91", "USD", "12345678.91"),
        ("3e1", "USD", "30.00"),
    ] {
        let body = format!(r#"{{"amount": {amount}, "currency": "{currency}", "paymentMethodId": {card}}}"#);
        let request = world
            .request(Method::POST, CHARGE, 1)
            .header("idempotency-key", new_key())
            .header("content-type", "application/json")
            .body(body);
        let charged = answer(request).await;
        assert_eq!(charged.status, 201, "{amount}: {charged:?}");
        assert_eq!(charged.json()["amount"], shown);
    }
    let intents = world.stripe.all("payment_intents").await;
    let mut amounts: Vec<i64> = intents
        .iter()
        .map(|intent| intent["amount"].as_i64().unwrap())
        .collect();
    amounts.sort_unstable();
    assert_eq!(amounts, [30, 500, 1250, 3000, 1_234_567_891]);
}

#[tokio::test]
async fn the_key_is_asked_for_before_the_body_and_the_caller_before_both() {
    let world = World::start().await;
    let url = format!("{}{CHARGE}", world.service.url());
    let anonymous = answer(world.client.post(url).body("{")).await;
    assert_eq!(anonymous.status, 401);
    for key in ["", &"k".repeat(256), "schlüssel"] {
        let request = world.request(Method::POST, CHARGE, 1).body("{");
        let request = if key.is_empty() {
            request
        } else {
            request.header("idempotency-key", key.as_bytes())
        };
        let refused = answer(request).await;
        assert_eq!(refused.status, 400, "{key}");
        let slug = refused.json()["type"].as_str().unwrap().to_owned();
        assert!(slug.contains("idempotency-key-"), "{slug}");
    }
    let unread = world
        .request(Method::POST, CHARGE, 1)
        .header("idempotency-key", new_key())
        .header("content-type", "application/json")
        .body("{");
    assert_eq!(answer(unread).await.status, 400);
}
