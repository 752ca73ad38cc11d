//! Finding differences.

use std::num::NonZeroU32;

use banyan_table_sync::Direction::Forward;
use banyan_table_sync::changes::Ways;
use banyan_table_sync::validate::{Difference, Kind, Options, TableReport, full, sample};
use tokio_util::sync::CancellationToken;

use crate::shop::Shop;

fn options() -> Options {
    let number = |number| NonZeroU32::new(number).expect("not zero");
    Options {
        range_rows: number(100),
        part_rows: number(10),
        ..Options::unthrottled()
    }
}

async fn compare(shop: &Shop) -> Vec<TableReport> {
    let mut ignored = |_| {};
    full(
        &shop.link,
        &options(),
        &[],
        &mut ignored,
        &CancellationToken::new(),
    )
    .await
    .expect("a validation")
}

fn differences(reports: Vec<TableReport>) -> Vec<Difference> {
    reports
        .into_iter()
        .flat_map(|report| report.differences)
        .collect()
}

#[tokio::test]
async fn equal_sides_have_no_difference_while_they_are_written() {
    let shop = Shop::new().await;
    shop.seed(100).await;
    let running = shop.start(Ways::Forward);
    shop.settled(Forward).await;
    let writing = async {
        for number in 0..50 {
            shop.legacy(&format!(
                "UPDATE shop_payment SET amount = amount + 1 WHERE id % 10 = {};
                 INSERT INTO shop_payment (customer_id, amount, currency) VALUES (1, 1, 'JPY')",
                number % 10
            ))
            .await;
        }
    };
    let validating = async {
        for _ in 0..3 {
            assert_eq!(differences(compare(&shop).await), []);
        }
    };
    tokio::join!(writing, validating);
    let reports = compare(&shop).await;
    let rows: Vec<(&str, u64)> = reports
        .iter()
        .map(|report| (report.table.as_str(), report.rows_compared))
        .collect();
    assert_eq!(
        rows,
        [
            ("currency", 3),
            ("customer", 100),
            ("card", 100),
            ("payment", 350),
            ("membership", 100)
        ]
    );
    running.stop().await;
}

#[tokio::test]
async fn every_planted_difference_is_named_and_nothing_else() {
    let shop = Shop::new().await;
    shop.seed(100).await;
    let running = shop.start(Ways::Forward);
    shop.settled(Forward).await;
    running.stop().await;
    shop.service(
        "SET session_replication_role = replica;
         UPDATE payment SET amount_minor = amount_minor + 1 WHERE id = 30;
         UPDATE payment SET created_at = created_at + interval '1 us' WHERE id = 61;
         UPDATE payment SET status = 'canceled', code = 'why' WHERE id = 300;
         DELETE FROM payment WHERE id = 100;
         DELETE FROM payment WHERE id = 1;
         INSERT INTO payment SELECT 1099511627776, customer_id, 1, currency, status, code, created_at FROM payment WHERE id = 2;
         UPDATE membership SET list = 'other' WHERE customer_id = 50;
         DELETE FROM currency WHERE code = 'JPY';
         INSERT INTO currency VALUES ('JPY', 0);",
    )
    .await;
    // Nothing runs, and the stream says so: what is planted would not be carried.
    banyan_table_sync::changes::remove(&shop.link, Forward)
        .await
        .expect("removed");
    let found: Vec<String> = differences(compare(&shop).await)
        .iter()
        .map(|found| {
            format!(
                "{} {} {:?} {}",
                found.table,
                found.key.join(","),
                found.kind,
                found.columns.join(",")
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            "payment 1 Missing ",
            "payment 100 Missing ",
            "payment 1099511627776 Extra ",
            "payment 30 Changed amount_minor,amount",
            "payment 300 Changed code,status,code,state",
            "payment 61 Changed created_at",
            "membership 50,news Missing ",
            "membership 50,other Extra ",
        ]
    );
}

#[tokio::test]
async fn a_table_that_has_no_parts_is_looked_into_to_its_end() {
    let shop = Shop::new().await;
    shop.seed(3_000).await;
    let running = shop.start(Ways::Forward);
    shop.settled(Forward).await;
    running.stop().await;
    banyan_table_sync::changes::remove(&shop.link, Forward)
        .await
        .expect("removed");
    // The key has two columns, and PostgreSQL has no `width_bucket` for these.
    shop.service(
        "SET session_replication_role = replica;
         DELETE FROM membership WHERE customer_id IN (2, 2990);
         INSERT INTO membership SELECT 2, 'n' || n, '2026-01-01' FROM generate_series(1, 40) n;",
    )
    .await;
    for (most, count, more) in [(100, 42, false), (42, 42, false), (41, 41, true)] {
        let options = Options {
            most_differences: most,
            tables: vec!["membership".to_owned()],
            ..Options::default()
        };
        let reports = full(&shop.link, &options, &[], &mut |_| {}, &CancellationToken::new())
            .await
            .expect("a validation");
        let found = &reports[0];
        assert_eq!(
            (found.differences.len(), found.more),
            (count, more),
            "{most} at most"
        );
    }
}

#[tokio::test]
async fn a_sample_finds_what_is_everywhere() {
    let shop = Shop::new().await;
    shop.seed(400).await;
    let running = shop.start(Ways::Forward);
    shop.settled(Forward).await;
    let reports = sample(&shop.link, &options(), 200).await.expect("a sample");
    let rows: u64 = reports.iter().map(|report| report.rows_compared).sum();
    assert!((100..=220).contains(&rows), "{rows}");
    assert_eq!(differences(reports), []);
    running.stop().await;
    banyan_table_sync::changes::remove(&shop.link, Forward)
        .await
        .expect("removed");
    shop.service("SET session_replication_role = replica; UPDATE payment SET code = 'x'; DELETE FROM card")
        .await;
    let found = differences(sample(&shop.link, &options(), 200).await.expect("a sample"));
    assert!(
        found
            .iter()
            .any(|found| found.kind == Kind::Changed && found.table == "payment")
    );
    assert!(
        found
            .iter()
            .any(|found| found.kind == Kind::Missing && found.table == "card")
    );
}
