//! Lists, cards and balances.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{World, answer, order};

#[tokio::test]
async fn payments_are_listed_newest_first_page_by_page_and_only_the_caller_s() {
    let world = World::start().await;
    let body = order(world.card(1).await);
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(world.charge(1, &body).await.json()["id"].clone());
    }
    ids.reverse();
    world.charge(2, &order("pm_card_visa")).await;
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = world
            .get(&format!("/api/payments/?limit=2&cursor={cursor}"), 1)
            .await
            .json();
        seen.extend(
            page["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|item| item["id"].clone()),
        );
        match page["nextCursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => break,
        }
    }
    assert_eq!(seen, ids);
    let foreign = world.get(&format!("/api/payments/{}", ids[0]), 2).await;
    assert_eq!(foreign.status, 404);
    assert_eq!(world.get("/api/payments/x", 1).await.status, 404);
    assert_eq!(world.get("/api/payments/?limit=0", 1).await.status, 400);
}

#[tokio::test]
async fn the_first_card_is_the_default_and_its_successor_when_it_goes() {
    let world = World::start().await;
    let (first, second) = (world.card(1).await, world.card(1).await);
    let defaults = |list: &Value| -> Vec<(i64, bool)> {
        let items = list["items"].as_array().unwrap();
        items
            .iter()
            .map(|card| (card["id"].as_i64().unwrap(), card["isDefault"].as_bool().unwrap()))
            .collect()
    };
    let list = world.get("/api/payments/methods", 1).await.json();
    assert_eq!(defaults(&list), [(second, false), (first, true)]);
    let path = format!("/api/payments/methods/{first}");
    assert_eq!(answer(world.request(Method::DELETE, &path, 2)).await.status, 404);
    assert_eq!(answer(world.request(Method::DELETE, &path, 1)).await.status, 204);
    assert_eq!(answer(world.request(Method::DELETE, &path, 1)).await.status, 404);
    let list = world.get("/api/payments/methods", 1).await.json();
    assert_eq!(defaults(&list), [(second, true)]);
    assert_eq!(world.charge(1, &order(first)).await.fields(), ["paymentMethodId"]);
}

#[tokio::test]
async fn the_balance_is_the_ledger_s_and_pending_the_payments() {
    let world = World::start().await;
    assert_eq!(
        world.get("/api/payments/balance", 1).await.json(),
        json!({ "balances": [] })
    );
    let card = world.card(1).await;
    let mut reserved = order(card);
    reserved["capture"] = json!(false);
    let mut yen = order(card);
    (yen["amount"], yen["currency"]) = (json!("500"), json!("JPY"));
    for body in [order(card), order(card), reserved, yen] {
        assert_eq!(world.charge(1, &body).await.status, 201);
    }
    let balance = |currency: &str, paid: &str, zero: &str, pending: &str| json!({ "currency": currency, "paid": paid, "refunded": zero, "disputed": zero, "net": paid, "pending": pending });
    assert_eq!(
        world.get("/api/payments/balance", 1).await.json(),
        json!({ "balances": [balance("JPY", "500", "0", "0"), balance("USD", "20.00", "0.00", "10.00")] })
    );
}
