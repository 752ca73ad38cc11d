//! Tables whose changes cannot be followed any more.

use std::time::Duration;

use banyan_table_sync::Direction::Forward;
use banyan_table_sync::changes::Ways;
use banyan_test_support::wait_until;

use crate::shop::Shop;

/// Tables that are stopped, and why.
async fn stopped(shop: &Shop) -> Vec<(String, String)> {
    sqlx::query_as("SELECT name, stopped FROM table_sync.stream_table WHERE stopped IS NOT NULL")
        .fetch_all(&shop.service.pool)
        .await
        .expect("tables")
}

async fn until_stopped(shop: &Shop, count: usize) -> Vec<(String, String)> {
    wait_until(
        "what is stopped",
        Duration::from_secs(40),
        async || stopped(shop).await,
        |stopped| stopped.len() == count,
    )
    .await
}

#[tokio::test]
async fn a_table_whose_changes_do_not_say_which_row_is_stopped_alone_and_carried_once_mended() {
    let shop = Shop::new().await;
    shop.seed(5).await;
    shop.legacy("INSERT INTO shop_customer (email) VALUES ('leaves@example.com')")
        .await;
    let running = shop.start(Ways::Forward);
    shop.settled(Forward).await;
    shop.legacy(
        "ALTER TABLE shop_customer REPLICA IDENTITY USING INDEX shop_customer_email_key;
         DELETE FROM shop_customer WHERE email = 'leaves@example.com';
         UPDATE shop_payment SET state = 'done';",
    )
    .await;
    shop.settled(Forward).await;
    let found = stopped(&shop).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].0, "customer");
    assert!(found[0].1.contains("which row"), "{found:?}");
    let left = "SELECT count(*) FROM customer WHERE email = 'leaves@example.com'";
    assert_eq!(shop.service_count(left).await, 1);
    let others = "SELECT count(*) FROM payment WHERE status <> 'completed'";
    assert_eq!(shop.service_count(others).await, 0, "the others go on");

    shop.legacy("ALTER TABLE shop_customer REPLICA IDENTITY DEFAULT")
        .await;
    until_stopped(&shop, 0).await;
    shop.settled(Forward).await;
    assert_eq!(shop.service_count(left).await, 0);
    shop.assert_equal().await;
    running.stop().await;
}

#[tokio::test]
async fn a_table_that_was_dropped_and_made_anew_is_stopped_until_the_sync_begins_again() {
    let shop = Shop::new().await;
    shop.seed(5).await;
    let running = shop.start(Ways::Forward);
    shop.settled(Forward).await;
    shop.legacy(
        "BEGIN; CREATE TABLE anew (LIKE shop_membership INCLUDING ALL); INSERT INTO anew SELECT * FROM shop_membership WHERE customer_id > 2;
         DROP TABLE shop_membership; ALTER TABLE anew RENAME TO shop_membership; COMMIT;
         UPDATE shop_membership SET since = '2026-05-06' WHERE customer_id = 3;
         UPDATE shop_payment SET state = 'done';",
    )
    .await;
    let found = until_stopped(&shop, 1).await;
    assert_eq!(found[0].0, "membership");
    assert!(found[0].1.contains("not published any more"), "{found:?}");
    let others = "SELECT count(*) FROM payment WHERE status <> 'completed'";
    assert_eq!(shop.service_count(others).await, 0, "the others go on");
    running.stop().await;

    let running = shop.start(Ways::Forward);
    until_stopped(&shop, 0).await;
    shop.settled(Forward).await;
    shop.assert_equal().await;
    running.stop().await;
}
