//! The first copy.

use std::num::NonZeroU32;

use banyan_table_sync::Direction::Forward;
use banyan_table_sync::changes::Ways;
use banyan_table_sync::snapshot::Limits;

use crate::shop::Shop;

fn small_chunks() -> Limits {
    Limits {
        chunk_rows: NonZeroU32::new(10).expect("not zero"),
        workers: NonZeroU32::new(2).expect("not zero"),
        pause_percent: 0,
        ..Limits::default()
    }
}

#[tokio::test]
async fn everything_is_copied_through_the_mapping() {
    let shop = Shop::new().await;
    shop.seed(100).await;
    let running = shop.start_with(Ways::Forward, small_chunks());
    shop.settled(Forward).await;
    shop.assert_equal().await;
    assert_eq!(shop.service_count("SELECT count(*) FROM payment").await, 300);
    assert_eq!(
        shop.service_count("SELECT count(*) FROM customer WHERE seen = 7")
            .await,
        100,
        "what is not carried has its default"
    );
    running.stop().await;
}

#[tokio::test]
async fn a_copy_that_was_killed_goes_on_where_it_was() {
    let shop = Shop::new().await;
    shop.seed(200).await;
    let slow = Limits {
        rows_per_second: NonZeroU32::new(400),
        ..small_chunks()
    };
    let done = "SELECT count(*) FROM table_sync.chunk WHERE done_at IS NOT NULL";
    let running = shop.start_with(Ways::Forward, slow);
    banyan_test_support::wait_until(
        "some chunks",
        std::time::Duration::from_secs(30),
        async || {
            sqlx::query_scalar::<_, i64>(done)
                .fetch_one(&shop.service.pool)
                .await
                .unwrap_or_default()
        },
        |count| *count >= 5,
    )
    .await;
    running.kill().await;
    let before = shop.service_count(done).await;
    assert!(
        shop.service_count("SELECT count(*) FROM table_sync.chunk WHERE done_at IS NULL")
            .await
            > 0,
        "it was killed in the middle"
    );
    let first = "SELECT xmin::text::bigint FROM card ORDER BY id LIMIT 1";
    let written = shop.service_count(first).await;
    let running = shop.start_with(Ways::Forward, small_chunks());
    shop.settled(Forward).await;
    shop.assert_equal().await;
    assert!(shop.service_count(done).await > before);
    assert_eq!(
        shop.service_count(first).await,
        written,
        "it is not written again"
    );
    running.stop().await;
}

#[tokio::test]
async fn rows_that_are_there_are_merged() {
    let shop = Shop::new().await;
    shop.seed(30).await;
    shop.service(
        "INSERT INTO currency VALUES ('USD', 2), ('EUR', 2);
         INSERT INTO customer (id, email, seen) VALUES (1, 'old@example.com', 8), (2, 'user2@example.com', 9), (77, 'x', 1);",
    )
    .await;
    let running = shop.start_with(Ways::Forward, small_chunks());
    shop.settled(Forward).await;
    shop.assert_equal().await;
    assert_eq!(
        shop.service_count("SELECT sum(seen) FROM customer WHERE id < 3")
            .await,
        17,
        "what is not carried stays as it was"
    );
    running.stop().await;
}

#[tokio::test]
async fn what_changes_during_the_copy_is_carried_after_it() {
    let shop = Shop::new().await;
    shop.seed(200).await;
    let slow = Limits {
        rows_per_second: NonZeroU32::new(1_000),
        ..small_chunks()
    };
    let running = shop.start_with(Ways::Forward, slow);
    for number in 0..40 {
        shop.legacy(&format!(
            "UPDATE shop_payment SET amount = amount + 1 WHERE id % 40 = {number};
             DELETE FROM shop_membership WHERE customer_id = {number};
             INSERT INTO shop_customer (email) VALUES ('new{number}@example.com');"
        ))
        .await;
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    shop.settled(Forward).await;
    shop.assert_equal().await;
    running.stop().await;
}
