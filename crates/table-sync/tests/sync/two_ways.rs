//! Both directions at once.

use std::time::Duration;

use banyan_table_sync::Direction::{Back, Forward};
use banyan_table_sync::changes::{self, Ways};
use banyan_table_sync::{Error, Key, status};
use banyan_test_support::wait_until;

use crate::shop::Shop;

async fn both_settled(shop: &Shop) {
    shop.settled(Forward).await;
    shop.settled(Back).await;
    shop.settled(Forward).await;
}

#[tokio::test]
async fn each_side_gets_what_the_other_writes_and_nothing_goes_in_circles() {
    let shop = Shop::new().await;
    shop.seed(20).await;
    let running = shop.start(Ways::Both);
    both_settled(&shop).await;
    shop.assert_equal().await;
    shop.service(
        "INSERT INTO customer (email) VALUES ('new@example.com');
         INSERT INTO payment (customer_id, amount_minor, currency, status, created_at)
           SELECT id, 1234, 'KWD', 'pending', now() FROM customer WHERE id >= 1099511627776;
         UPDATE payment SET status = 'completed', code = NULL WHERE id < 5;
         DELETE FROM payment WHERE id = 6;",
    )
    .await;
    shop.legacy("UPDATE shop_payment SET state = 'done' WHERE id BETWEEN 10 AND 20; DELETE FROM shop_payment WHERE id = 9;").await;
    both_settled(&shop).await;
    shop.assert_equal().await;
    let born: i64 =
        sqlx::query_scalar("SELECT count(*) FROM shop_payment WHERE id >= 1099511627776 AND amount = 1.234")
            .fetch_one(&shop.legacy.pool)
            .await
            .expect("a number");
    assert_eq!(born, 1);
    assert_eq!(
        shop.service_count("SELECT count(*) FROM table_sync.held").await,
        0
    );
    running.stop().await;
}

#[tokio::test]
async fn unique_values_that_move_between_more_rows_than_are_carried_at_once_arrive() {
    let shop = Shop::new().await;
    shop.seed(1_200).await;
    let running = shop.start(Ways::Both);
    both_settled(&shop).await;
    // Everybody gets the next one's: whatever rows are taken first, others are in their way.
    shop.legacy(
        "BEGIN;
         UPDATE shop_customer SET email = 'moving' || id;
         UPDATE shop_customer SET email = 'user' || 1 + id % 1200 || '@example.com';
         COMMIT",
    )
    .await;
    both_settled(&shop).await;
    assert_eq!(
        shop.service_count("SELECT count(*) FROM table_sync.held").await,
        0,
        "none waits for another"
    );
    shop.assert_equal().await;
    running.stop().await;
}

#[tokio::test]
async fn a_row_is_not_locked_against_those_that_come_to_point_to_it() {
    let shop = Shop::new().await;
    shop.seed(3).await;
    shop.legacy("INSERT INTO shop_currency VALUES ('EUR', 2)").await;
    let running = shop.start(Ways::Both);
    both_settled(&shop).await;
    // A payment in the making shares its customer's and its currency's row until it is committed.
    let mut charge = shop.service.pool.begin().await.expect("a transaction");
    sqlx::raw_sql(
        "INSERT INTO payment (customer_id, amount_minor, currency, status, created_at) VALUES (1, 5, 'EUR', 'pending', now())",
    )
    .execute(&mut *charge)
    .await
    .expect("a payment");
    // One that stays as it is over there, and one that does not.
    shop.legacy("UPDATE shop_customer SET note = 'is not carried' WHERE id = 1; UPDATE shop_currency SET decimals = 3 WHERE code = 'EUR'")
        .await;
    shop.settled(Forward).await;
    charge.commit().await.expect("a payment");
    both_settled(&shop).await;
    shop.assert_equal().await;
    running.stop().await;
}

#[tokio::test]
async fn rows_born_before_the_sync_began_go_back_too() {
    let shop = Shop::new().await;
    shop.seed(3).await;
    shop.service(
        "INSERT INTO currency VALUES ('USD', 2);
         INSERT INTO customer (id, email) VALUES (1, 'user1@example.com');
         INSERT INTO payment (customer_id, amount_minor, currency, status, created_at) VALUES (1, 777, 'USD', 'pending', now())",
    )
    .await;
    let running = shop.start(Ways::Both);
    both_settled(&shop).await;
    shop.assert_equal().await;
    assert_eq!(shop.service_count("SELECT count(*) FROM payment").await, 10);
    running.stop().await;
}

#[tokio::test]
async fn a_row_that_both_sides_wrote_is_a_conflict_with_both_versions() {
    let shop = Shop::new().await;
    shop.seed(5).await;
    let running = shop.start(Ways::Both);
    both_settled(&shop).await;
    running.stop().await;
    // While nobody carries anything, that is within the lag.
    shop.legacy(
        "UPDATE shop_payment SET amount = 11 WHERE id = 1; UPDATE shop_payment SET amount = 12 WHERE id = 4;",
    )
    .await;
    shop.service("UPDATE payment SET amount_minor = 2200 WHERE id = 1; UPDATE payment SET amount_minor = 3300 WHERE id = 3;").await;
    let running = shop.start(Ways::Both);
    both_settled(&shop).await;
    let conflicts = "SELECT count(*) FROM table_sync.conflict WHERE resolved_at IS NULL";
    wait_until(
        "the conflict",
        Duration::from_secs(20),
        async || shop.service_count(conflicts).await,
        |count| *count == 1,
    )
    .await;
    let (key, there, here): (serde_json::Value, serde_json::Value, serde_json::Value) =
        sqlx::query_as("SELECT key, there, here FROM table_sync.conflict")
            .fetch_one(&shop.service.pool)
            .await
            .expect("a conflict");
    assert_eq!(key, serde_json::json!(["1"]));
    assert_eq!(
        (&there["amount_minor"], &here["amount_minor"]),
        (&1100.into(), &2200.into())
    );
    assert_eq!(
        shop.service_count("SELECT sum(amount_minor)::bigint FROM payment WHERE id IN (1, 4)")
            .await,
        2200 + 1200,
        "neither is overwritten, and others are carried"
    );
    let legacy: String = sqlx::query_scalar(
        "SELECT string_agg(trim_scale(amount)::text, ' ' ORDER BY id) FROM shop_payment WHERE id IN (1, 3)",
    )
    .fetch_one(&shop.legacy.pool)
    .await
    .expect("amounts");
    assert_eq!(legacy, "11 33");
    let status = status::status(&shop.link).await.expect("a status");
    let told: Vec<_> = status
        .iter()
        .map(|status| (status.is_running, status.conflicts > 0, status.held))
        .collect();
    assert_eq!(told[0], (true, true, 0));

    // Somebody decides for the service's version; after that the row goes both ways as all others do.
    changes::resolve(&shop.link, Back, "payment", &[Key::new(["1".to_owned()])])
        .await
        .expect("decided");
    both_settled(&shop).await;
    shop.assert_equal().await;
    assert_eq!(
        shop.service_count("SELECT amount_minor FROM payment WHERE id = 1")
            .await,
        2200
    );
    let status = status::status(&shop.link).await.expect("a status");
    assert_eq!(status.iter().map(|status| status.conflicts).sum::<i64>(), 0);
    shop.legacy("UPDATE shop_payment SET amount = 44 WHERE id = 1")
        .await;
    shop.service("UPDATE payment SET amount_minor = 5500 WHERE id = 4")
        .await;
    both_settled(&shop).await;
    shop.assert_equal().await;
    assert_eq!(
        shop.service_count("SELECT sum(amount_minor)::bigint FROM payment WHERE id IN (1, 4)")
            .await,
        4400 + 5500
    );
    running.stop().await;
}

#[tokio::test]
async fn where_both_sides_came_to_the_same_there_is_no_conflict() {
    let shop = Shop::new().await;
    shop.seed(8).await;
    let running = shop.start(Ways::Both);
    both_settled(&shop).await;
    running.stop().await;
    // Each by itself within the lag, as when an old row is purged or a user erased; row 9 is not the same.
    shop.legacy(
        "DELETE FROM shop_payment WHERE id <= 4; UPDATE shop_payment SET amount = 7, state = 'done' WHERE id BETWEEN 5 AND 8;
         DELETE FROM shop_payment WHERE id = 9",
    )
    .await;
    shop.service(
        "DELETE FROM payment WHERE id <= 4;
         UPDATE payment p SET amount_minor = 7 * 10 ^ exponent, status = 'completed' FROM currency c
           WHERE c.code = p.currency AND id BETWEEN 5 AND 8;
         UPDATE payment SET code = 'x' WHERE id = 9",
    )
    .await;
    let running = shop.start(Ways::Both);
    both_settled(&shop).await;
    let keys: Vec<serde_json::Value> =
        sqlx::query_scalar("SELECT key FROM table_sync.conflict UNION ALL SELECT key FROM table_sync.held")
            .fetch_all(&shop.service.pool)
            .await
            .expect("keys");
    assert_eq!(keys, [serde_json::json!(["9"]), serde_json::json!(["9"])]);
    // They go on being carried.
    shop.legacy("UPDATE shop_payment SET amount = 8 WHERE id = 5; DELETE FROM shop_payment WHERE id = 6")
        .await;
    shop.service("UPDATE payment SET code = 'z' WHERE id = 7").await;
    both_settled(&shop).await;
    shop.legacy("INSERT INTO shop_payment (id, customer_id, amount, currency) VALUES (9, 1, 1, 'JPY')")
        .await;
    assert_eq!(
        shop.service_count("SELECT count(*) FROM payment WHERE id IN (6, 9)")
            .await,
        1
    );
    let differing: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM shop_payment WHERE id = 5 AND amount = 8 OR id = 7 AND code = 'z'",
    )
    .fetch_one(&shop.legacy.pool)
    .await
    .expect("a number");
    assert_eq!(differing, 2);
    running.stop().await;
}

#[tokio::test]
async fn under_load_on_both_sides_both_end_equal() {
    let shop = Shop::new().await;
    shop.seed(60).await;
    let running = shop.start(Ways::Both);
    both_settled(&shop).await;
    // Each row has one owner, as in a ramp: legacy the odd customers, the service the even ones.
    let legacy = async {
        for number in 0..60 {
            shop.legacy(&format!(
                "UPDATE shop_payment SET amount = amount + 1 WHERE customer_id % 2 = 1 AND id % 7 = {};
                 INSERT INTO shop_payment (customer_id, amount, currency) VALUES ({}, {number} + 1, 'JPY')",
                number % 7,
                2 * (number % 30) + 1,
            ))
            .await;
        }
    };
    let service = async {
        for number in 0..60 {
            shop.service(&format!(
                "UPDATE payment SET amount_minor = amount_minor + 10 WHERE customer_id % 2 = 0 AND id % 7 = {};
                 INSERT INTO payment (customer_id, amount_minor, currency, status, created_at)
                   VALUES ({}, {number} + 1, 'USD', 'pending', now())",
                number % 7,
                2 * (number % 30) + 2,
            ))
            .await;
        }
    };
    tokio::join!(legacy, service);
    both_settled(&shop).await;
    shop.assert_equal().await;
    assert_eq!(
        shop.service_count("SELECT count(*) FROM table_sync.held").await,
        0
    );
    assert_eq!(shop.service_count("SELECT count(*) FROM payment").await, 300);
    running.stop().await;
}

#[tokio::test]
async fn a_resync_that_would_overwrite_the_other_side_is_refused() {
    let shop = Shop::new().await;
    shop.seed(5).await;
    let running = shop.start(Ways::Both);
    both_settled(&shop).await;
    running.stop().await;
    shop.service(
        "INSERT INTO payment (customer_id, amount_minor, currency, status, created_at)
         VALUES (1, 500, 'USD', 'pending', now())",
    )
    .await;
    for direction in [Forward, Back] {
        let refused = changes::resync(&shop.link, direction).await.expect_err("refused");
        assert!(matches!(refused, Error::Refused(_)), "{refused}");
    }
    changes::remove(&shop.link, Forward).await.expect("removed");
    let refused = shop.start(Ways::Both).error().await;
    assert!(
        matches!(refused, Error::Refused(_)),
        "nor begins a new copy: {refused}"
    );
    changes::remove(&shop.link, Back).await.expect("removed");
    assert_eq!(shop.service_count("SELECT count(*) FROM payment").await, 16);
}
