//! Following the changes in one direction.

use std::time::Duration;

use banyan_table_sync::Direction::Forward;
use banyan_table_sync::changes::{self, Ways};
use banyan_table_sync::{Error, Key};
use banyan_test_support::wait_until;

use crate::shop::Shop;

#[tokio::test]
async fn every_kind_of_change_is_carried() {
    let shop = Shop::new().await;
    shop.seed(20).await;
    let running = shop.start(Ways::Forward);
    shop.settled(Forward).await;
    for sql in [
        "INSERT INTO shop_payment (customer_id, amount, currency) VALUES (1, 0.001, 'KWD'), (1, 99999999999.99, 'USD')",
        "UPDATE shop_payment SET state = 'done', code = 'x' WHERE id < 10",
        "DELETE FROM shop_payment WHERE id = 11",
        "UPDATE shop_payment SET id = 5000 WHERE id = 12",
        "UPDATE shop_membership SET list = 'offers', since = '2026-02-03' WHERE customer_id = 3",
        "BEGIN; UPDATE shop_customer SET email = 'none' || id; ROLLBACK",
        "TRUNCATE shop_membership",
        "INSERT INTO shop_membership VALUES (1, 'after', '2026-05-05')",
        "ALTER TABLE shop_customer ALTER COLUMN email TYPE text",
        "UPDATE shop_customer SET email = 'näme ''\"\\ {}' WHERE id = 5",
    ] {
        shop.legacy(sql).await;
        shop.settled(Forward).await;
        shop.assert_equal().await;
    }
    running.stop().await;
}

#[tokio::test]
async fn unique_values_that_move_between_rows_arrive() {
    let shop = Shop::new().await;
    shop.seed(5).await;
    shop.legacy("INSERT INTO shop_card (customer_id) SELECT n FROM generate_series(1, 5) n")
        .await;
    let running = shop.start(Ways::Forward);
    shop.settled(Forward).await;
    shop.service("UPDATE card SET mark = 'kept' WHERE id = 1").await;
    shop.legacy(
        "BEGIN;
         UPDATE shop_card SET is_default = false WHERE id = 1; UPDATE shop_card SET is_default = true WHERE id = 6;
         UPDATE shop_customer SET email = 'free' WHERE id = 1; UPDATE shop_customer SET email = 'user1@example.com' WHERE id = 2;
         UPDATE shop_customer SET email = 'user2@example.com' WHERE id = 1;
         COMMIT",
    )
    .await;
    shop.settled(Forward).await;
    shop.assert_equal().await;
    assert_eq!(
        shop.service_count("SELECT count(*) FROM card WHERE mark = 'kept'")
            .await,
        1,
        "what is not carried stays as it was"
    );
    assert_eq!(
        shop.service_count("SELECT count(*) FROM table_sync.held").await,
        0
    );
    running.stop().await;
}

#[tokio::test]
async fn a_large_transaction_arrives_whole() {
    let shop = Shop::new().await;
    shop.seed(10).await;
    let running = shop.start(Ways::Forward);
    shop.settled(Forward).await;
    shop.legacy(
        "BEGIN;
         INSERT INTO shop_customer (email) SELECT 'bulk' || n FROM generate_series(1, 20000) n;
         UPDATE shop_customer SET note = 'x';
         DELETE FROM shop_customer WHERE email LIKE 'bulk%7';
         COMMIT",
    )
    .await;
    shop.settled(Forward).await;
    shop.assert_equal().await;
    running.stop().await;
}

#[tokio::test]
async fn nothing_is_lost_however_often_it_is_killed() {
    let shop = Shop::new().await;
    shop.seed(50).await;
    for round in 0..8 {
        let running = shop.start(Ways::Forward);
        for number in 0..20 {
            shop.legacy(&format!(
                "UPDATE shop_payment SET amount = amount + 1 WHERE id % 20 = {number};
                 INSERT INTO shop_customer (email) VALUES ('{round}-{number}');
                 DELETE FROM shop_payment WHERE id = {}",
                round * 20 + number
            ))
            .await;
        }
        running.kill().await;
    }
    let running = shop.start(Ways::Forward);
    shop.settled(Forward).await;
    shop.assert_equal().await;
    running.stop().await;
}

#[tokio::test]
async fn a_row_that_is_not_taken_is_held_back_alone_and_carried_once_mended() {
    let shop = Shop::new().await;
    shop.seed(5).await;
    let running = shop.start(Ways::Forward);
    shop.settled(Forward).await;
    shop.legacy(
        "BEGIN;
         UPDATE shop_payment SET amount = 0 WHERE id = 3;
         UPDATE shop_payment SET amount = 1.005 WHERE id = 1;
         UPDATE shop_payment SET state = 'done' WHERE id > 3;
         COMMIT",
    )
    .await;
    shop.settled(Forward).await;
    let held: Vec<(serde_json::Value, String)> =
        sqlx::query_as("SELECT key, problem FROM table_sync.held ORDER BY key")
            .fetch_all(&shop.service.pool)
            .await
            .expect("held rows");
    assert_eq!(held.len(), 2, "{held:?}");
    assert_eq!(held[0].0, serde_json::json!(["1"]));
    assert!(
        held[0]
            .1
            .contains("invalid input syntax for type bigint: \"100.5\""),
        "{held:?}"
    );
    assert!(held[1].1.contains("\"positive\""), "{held:?}");
    assert_eq!(
        shop.service_count("SELECT count(*) FROM payment WHERE id > 3 AND status <> 'completed'")
            .await,
        0
    );
    shop.legacy("UPDATE shop_payment SET amount = 7 WHERE id IN (1, 3)")
        .await;
    shop.settled(Forward).await;
    shop.assert_equal().await;
    assert_eq!(
        shop.service_count("SELECT count(*) FROM table_sync.held").await,
        0
    );
    running.stop().await;
}

#[tokio::test]
async fn a_new_column_stops_its_table_alone_until_the_mapping_knows_it() {
    let shop = Shop::new().await;
    shop.seed(5).await;
    let running = shop.start(Ways::Forward);
    shop.settled(Forward).await;
    shop.legacy(
        "ALTER TABLE shop_payment ADD COLUMN tip numeric NOT NULL DEFAULT 0;
         UPDATE shop_payment SET tip = 5 WHERE id = 1;
         UPDATE shop_customer SET email = 'goes@on' WHERE id = 1;",
    )
    .await;
    shop.settled(Forward).await;
    let stopped: (String, String) =
        sqlx::query_as("SELECT name, stopped FROM table_sync.stream_table WHERE stopped IS NOT NULL")
            .fetch_one(&shop.service.pool)
            .await
            .expect("a stopped table");
    assert_eq!(stopped.0, "payment");
    assert!(
        stopped
            .1
            .starts_with("table shop_payment has a column that the mapping does not know: tip"),
        "{stopped:?}"
    );
    assert_eq!(
        shop.service_count("SELECT count(*) FROM customer WHERE email = 'goes@on'")
            .await,
        1
    );
    shop.legacy("UPDATE shop_payment SET state = 'done'; DELETE FROM shop_payment WHERE id = 2")
        .await;
    shop.settled(Forward).await;
    assert_eq!(
        shop.service_count("SELECT count(*) FROM payment WHERE id = 2")
            .await,
        1
    );
    running.kill().await;

    let running = shop.start(Ways::Forward);
    shop.settled(Forward).await;
    assert_eq!(
        shop.service_count("SELECT count(*) FROM payment WHERE id = 2")
            .await,
        1
    );
    shop.legacy("ALTER TABLE shop_payment DROP COLUMN tip").await;
    wait_until(
        "the table",
        Duration::from_secs(40),
        async || shop.service_count("SELECT count(*) FROM table_sync.held").await,
        |held| *held == 0,
    )
    .await;
    shop.settled(Forward).await;
    shop.assert_equal().await;
    running.stop().await;
}

#[tokio::test]
async fn a_dropped_column_stops_its_table_and_what_fills_a_new_one_arrives() {
    let shop = Shop::new().await;
    shop.seed(5).await;
    let running = shop.start(Ways::Forward);
    shop.settled(Forward).await;
    shop.legacy(
        "ALTER TABLE shop_payment DROP COLUMN code;
         UPDATE shop_payment SET amount = 4 WHERE id = 1;
         UPDATE shop_customer SET email = 'goes@on' WHERE id = 1;",
    )
    .await;
    shop.settled(Forward).await;
    let stopped: String =
        sqlx::query_scalar("SELECT stopped FROM table_sync.stream_table WHERE name = 'payment'")
            .fetch_one(&shop.service.pool)
            .await
            .expect("a stopped table");
    assert_eq!(
        stopped,
        "table shop_payment has no column code any more, which the mapping carries"
    );
    assert_eq!(
        shop.service_count("SELECT count(*) FROM customer WHERE email = 'goes@on'")
            .await,
        1
    );
    // The default fills all rows, and the log tells of none of them.
    shop.legacy("ALTER TABLE shop_payment ADD COLUMN code varchar(20) NOT NULL DEFAULT 'filled'")
        .await;
    wait_until(
        "the new values",
        Duration::from_secs(40),
        async || {
            shop.service_count("SELECT count(*) FROM payment WHERE code = 'filled'")
                .await
        },
        |filled| *filled == 15,
    )
    .await;
    shop.settled(Forward).await;
    shop.assert_equal().await;
    running.stop().await;
}

#[tokio::test]
async fn a_retyped_column_is_carried_although_no_row_is_written() {
    let shop = Shop::new().await;
    shop.seed(5).await;
    let running = shop.start(Ways::Forward);
    shop.settled(Forward).await;
    let before = shop
        .service_count("SELECT sum(amount_minor)::bigint FROM payment")
        .await;
    shop.legacy("ALTER TABLE shop_payment ALTER COLUMN amount TYPE numeric(16,3) USING amount * 2")
        .await;
    wait_until(
        "the new values",
        Duration::from_secs(40),
        async || {
            shop.service_count("SELECT sum(amount_minor)::bigint FROM payment")
                .await
        },
        |sum| *sum == before * 2,
    )
    .await;
    shop.assert_equal().await;
    running.stop().await;
}

#[tokio::test]
async fn a_lost_slot_is_recognised_and_a_resync_mends_it() {
    let shop = Shop::new().await;
    shop.seed(5).await;
    let running = shop.start(Ways::Forward);
    shop.settled(Forward).await;
    running.stop().await;
    let slot = shop.link.stream(Forward);
    wait_until(
        "the end of the connection",
        Duration::from_secs(20),
        async || {
            sqlx::query_scalar::<_, bool>("SELECT active FROM pg_replication_slots WHERE slot_name = $1")
                .bind(&slot)
                .fetch_one(&shop.legacy.pool)
                .await
                .expect("a slot")
        },
        |active| !*active,
    )
    .await;
    shop.legacy(&format!("SELECT pg_drop_replication_slot('{slot}')"))
        .await;
    shop.legacy("UPDATE shop_payment SET amount = 3; DELETE FROM shop_card WHERE id = 2")
        .await;
    let error = shop.start(Ways::Forward).error().await;
    assert!(matches!(error, Error::SlotLost { .. }), "{error}");
    assert!(error.to_string().contains("it is not there any more"), "{error}");
    changes::resync(&shop.link, Forward).await.expect("forgotten");
    let running = shop.start(Ways::Forward);
    shop.settled(Forward).await;
    shop.assert_equal().await;
    running.stop().await;
}

#[tokio::test]
async fn rows_are_carried_again_when_asked_for() {
    let shop = Shop::new().await;
    shop.seed(5).await;
    let running = shop.start(Ways::Forward);
    shop.settled(Forward).await;
    shop.service(
        "SET session_replication_role = replica; UPDATE payment SET amount_minor = 1 WHERE id = 1; DELETE FROM payment WHERE id = 2;
         INSERT INTO payment SELECT 999, customer_id, 5, currency, status, code, created_at FROM payment WHERE id = 3;",
    )
    .await;
    let keys: Vec<Key> = ["1", "2", "999"].map(|key| Key::new([key.to_owned()])).to_vec();
    changes::carry_again(&shop.link, Forward, "payment", &keys)
        .await
        .expect("asked");
    shop.settled(Forward).await;
    shop.assert_equal().await;
    running.stop().await;
}

#[tokio::test]
async fn a_second_process_waits_for_the_first() {
    let shop = Shop::new().await;
    shop.seed(5).await;
    let first = shop.start(Ways::Forward);
    shop.settled(Forward).await;
    let second = shop.start(Ways::Forward);
    shop.legacy("UPDATE shop_payment SET amount = 3").await;
    shop.settled(Forward).await;
    first.kill().await;
    shop.legacy("UPDATE shop_payment SET amount = 4").await;
    shop.settled(Forward).await;
    shop.assert_equal().await;
    second.stop().await;
}
