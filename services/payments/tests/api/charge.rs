//! One charge per key, whatever happens.

use std::sync::Arc;
use std::time::Duration;

use banyan_test_support::wait_until;
use futures::future::join_all;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::support::{CHARGE, World, new_key, order};

#[tokio::test]
async fn a_repetition_is_answered_byte_for_byte_and_charges_nothing() {
    let world = World::start().await;
    let (key, body) = (new_key(), order(world.card(1).await));
    let first = world.charge_as(1, &key, &body).await;
    assert_eq!(first.status, 201, "{first:?}");
    assert!(!first.is_replayed());
    let payment = first.json();
    assert_eq!(payment["status"], "completed");
    assert_eq!(
        first.headers["location"],
        format!("/api/payments/{}", payment["id"])
    );
    let read = world.get(&first.headers["location"], 1).await;
    assert_eq!(read.json(), payment, "what was stored is what is in the row");
    let second = world.charge_as(1, &key, &body).await;
    assert!(second.is_replayed());
    assert_eq!((second.status, &second.body), (first.status, &first.body));
    assert_eq!(second.headers["location"], first.headers["location"]);
    world.assert_property_one(1).await;
}

#[tokio::test]
async fn of_fifty_at_once_one_charges() {
    let world = World::start().await;
    let (key, body) = (new_key(), order(world.card(1).await));
    let answers = join_all((0..50).map(|_| world.charge_as(1, &key, &body))).await;
    let mut charged = 0;
    for answer in &answers {
        match answer.status.as_u16() {
            201 if !answer.is_replayed() => charged += 1,
            201 => {}
            409 => assert_eq!(answer.headers["retry-after"], "1"),
            _ => panic!("{answer:?}"),
        }
    }
    assert_eq!(charged, 1);
    assert_eq!(world.charge_as(1, &key, &body).await.status, 201);
    world.assert_property_one(1).await;
}

#[tokio::test]
async fn a_used_key_with_another_request_is_refused() {
    let world = World::start().await;
    let (key, card) = (new_key(), world.card(1).await);
    assert_eq!(world.charge_as(1, &key, &order(card)).await.status, 201);
    let mut other = order(card);
    other["amount"] = json!("10.01");
    let refused = world.charge_as(1, &key, &other).await;
    assert_eq!(refused.status, 422);
    assert_eq!(
        refused.json()["type"],
        "urn:banyan:problem:idempotency-key-reused"
    );
    // Keys are a user's own.
    let card = world.card(2).await;
    assert_eq!(world.charge_as(2, &key, &order(card)).await.status, 201);
    world.assert_property_one(2).await;
}

/// The other side made the payment, and the sync brought its row: there is no row of the key here.
#[tokio::test]
async fn a_payment_that_the_monolith_made_is_found_by_its_key() {
    let world = World::start().await;
    let (key, body) = (new_key(), order(world.card(1).await));
    let first = world.charge_as(1, &key, &body).await;
    sqlx::query("DELETE FROM idempotency_key")
        .execute(&world.db.pool)
        .await
        .unwrap();
    let mut other = body.clone();
    other["description"] = json!("another one");
    assert_eq!(world.charge_as(1, &key, &other).await.status, 422);
    let again = world.charge_as(1, &key, &body).await;
    assert!(again.is_replayed());
    assert_eq!((again.status, again.json()), (first.status, first.json()));
    world.assert_property_one(1).await;
}

#[tokio::test]
async fn a_request_that_was_refused_leaves_its_key_free() {
    let world = World::start().await;
    let (key, card) = (new_key(), world.card(1).await);
    let foreign = world.card(2).await;
    for wrong in [order(foreign), order(card + 1000), order("pm_no_such_card")] {
        let refused = world.charge_as(1, &key, &wrong).await;
        assert_eq!(refused.status, 422, "{wrong}: {refused:?}");
        assert_eq!(refused.fields(), ["paymentMethodId"], "{wrong}");
    }
    assert_eq!(world.charge_as(1, &key, &order(card)).await.status, 201);
    world.assert_property_one(1).await;
}

#[tokio::test]
async fn a_card_is_attached_on_the_fly_once() {
    let world = World::start().await;
    let first = world.charge(1, &order("pm_card_visa")).await;
    assert_eq!(first.status, 201, "{first:?}");
    let second = world.charge(1, &order("pm_card_visa")).await;
    assert_eq!(second.json()["paymentMethodId"], first.json()["paymentMethodId"]);
    let methods = world.get("/api/payments/methods", 1).await.json();
    assert_eq!(methods["items"].as_array().unwrap().len(), 1);
    world.assert_property_one(2).await;
}

/// hyper drops a handler when its client hangs up: the charge runs to its end all the same.
#[tokio::test]
async fn a_client_that_hangs_up_leaves_nothing_pending() {
    const HANG_UPS: u64 = 40;
    let world = Arc::new(World::start().await);
    let body = order(world.card(1).await).to_string();
    let address = world.service.url().replace("http://", "");
    let token = world.keys.token(1);
    for hang_up in 0..HANG_UPS {
        let request = format!(
            "POST {CHARGE} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\nidempotency-key: {hang_up}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut socket = TcpStream::connect(&address).await.unwrap();
        socket.write_all(request.as_bytes()).await.unwrap();
        // Every moment of a charge, from before it is read to after its end.
        tokio::time::sleep(Duration::from_micros(hang_up * hang_up * 25)).await;
        drop(socket);
    }
    let open = "SELECT count(*) FROM payment WHERE status = 'pending'";
    wait_until(
        "an end of every charge",
        Duration::from_secs(30),
        async || {
            let running = world
                .count("SELECT count(*) FROM idempotency_key WHERE locked_until IS NOT NULL")
                .await;
            (world.count(open).await, running)
        },
        |left| *left == (0, 0),
    )
    .await;
    let made = world.count("SELECT count(*) FROM payment").await;
    assert!(made > 0, "no request was read to its end");
    world.assert_property_one(made).await;
}

#[tokio::test]
async fn an_erased_user_is_not_charged() {
    let world = World::start().await;
    let card = world.card(1).await;
    // So long ago that the refusal of tokens is over: the operation itself refuses.
    sqlx::query("INSERT INTO erased_user (user_id, erased_at) SELECT id, now() - interval '2 days' FROM generate_series(1, 2) id")
        .execute(&world.db.pool)
        .await
        .unwrap();
    for (user, body) in [
        (1, order(card)),
        (1, order("pm_card_visa")),
        (2, order("pm_card_visa")),
    ] {
        let refused = world.charge(user, &body).await;
        assert_eq!(refused.status, 403, "{refused:?}");
    }
    world.assert_property_one(0).await;
}
