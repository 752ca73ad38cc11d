//! Rows that a mapping is not about.

use std::num::NonZeroU32;
use std::sync::Arc;

use banyan_table_sync::Direction::{Back, Forward};
use banyan_table_sync::Mapping;
use banyan_table_sync::changes::Ways;
use banyan_table_sync::check::{Finding, check};
use banyan_table_sync::validate::{Kind, Options, TableReport, full, sample};
use tokio_util::sync::CancellationToken;

use crate::shop::{MAPPING, Shop};

/// Drafts stay where they are written, on both sides.
const ONLY: &str = r#"
    values = [{ source = "state", target = "status", values = { open = "pending", done = "completed" } }]
    only.source = "s.state <> 'draft' OR s.customer_id IS NULL"
    only.target = "t.status <> 'draft' OR t.customer_id IS NULL""#;

async fn shop_with(only: &str) -> Shop {
    let mut shop = Shop::new().await;
    let plain = r#"values = [{ source = "state", target = "status", values = { open = "pending", done = "completed" } }]"#;
    let mapping = MAPPING.replace(plain, only);
    assert_ne!(mapping, MAPPING);
    shop.link.mapping = Arc::new(Mapping::parse(&mapping).expect("a mapping"));
    shop.seed(20).await;
    // Some rows here are there before those that they refer to.
    shop.service(
        "ALTER TABLE payment DROP CONSTRAINT payment_customer_id_fkey, DROP CONSTRAINT payment_currency_fkey",
    )
    .await;
    shop
}

async fn both_settled(shop: &Shop) {
    shop.settled(Forward).await;
    shop.settled(Back).await;
    shop.settled(Forward).await;
}

async fn legacy_count(shop: &Shop, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql)
        .fetch_one(&shop.legacy.pool)
        .await
        .expect("a number")
}

/// Of the payments.
async fn validated(shop: &Shop) -> TableReport {
    let options = Options {
        range_rows: NonZeroU32::new(20).expect("not zero"),
        part_rows: NonZeroU32::new(5).expect("not zero"),
        tables: vec!["payment".to_owned()],
        ..Options::unthrottled()
    };
    let shutdown = CancellationToken::new();
    let picked = sample(&shop.link, &options, 1_000).await.expect("a sample");
    let mut reports = full(&shop.link, &options, &[], &mut |_| {}, &shutdown)
        .await
        .expect("a validation");
    assert_eq!(picked[0].differences, reports[0].differences);
    reports.remove(0)
}

const DRAFTS_OF_BOTH: [&str; 2] = [
    "INSERT INTO shop_payment (customer_id, amount, currency, state) SELECT 1, n, 'JPY', 'draft' FROM generate_series(1, 7) n",
    "INSERT INTO payment (customer_id, amount_minor, currency, status, created_at)
       SELECT 1, n, 'JPY', 'draft', now() FROM generate_series(1, 5) n",
];

#[tokio::test]
async fn other_rows_are_neither_carried_nor_compared_nor_deleted() {
    let shop = shop_with(ONLY).await;
    let [legacy, service] = DRAFTS_OF_BOTH;
    shop.legacy(legacy).await;
    shop.service(service).await;
    let running = shop.start(Ways::Both);
    both_settled(&shop).await;
    shop.service(service).await;
    shop.legacy(legacy).await;
    // These are carried row by row, and as a whole.
    shop.service("UPDATE payment SET code = 'x' WHERE id < 9 OR status = 'draft'")
        .await;
    shop.legacy("ALTER TABLE shop_payment ALTER COLUMN code TYPE varchar(30); UPDATE shop_payment SET code = 'y' WHERE id = 15").await;
    both_settled(&shop).await;
    let drafts = "SELECT count(*) FROM payment WHERE status = 'draft' AND id >= 1099511627776";
    assert_eq!(shop.service_count(drafts).await, 10);
    assert_eq!(shop.service_count("SELECT count(*) FROM payment").await, 60 + 10);
    let legacy_drafts = "SELECT count(*) FROM shop_payment WHERE state = 'draft' AND id < 1099511627776";
    assert_eq!(legacy_count(&shop, legacy_drafts).await, 14);
    assert_eq!(
        legacy_count(&shop, "SELECT count(*) FROM shop_payment").await,
        60 + 14
    );
    assert_eq!(
        legacy_count(&shop, "SELECT count(*) FROM shop_payment WHERE code = 'x'").await,
        8
    );
    let report = validated(&shop).await;
    assert_eq!((report.rows_compared, report.differences), (60, vec![]));
    running.stop().await;
}

#[tokio::test]
async fn a_row_that_becomes_another_goes_and_comes_on_the_other_side() {
    let shop = shop_with(ONLY).await;
    shop.legacy("INSERT INTO shop_payment (id, customer_id, amount, currency, state) VALUES (900, 1, 5, 'JPY', 'draft')")
        .await;
    let running = shop.start(Ways::Both);
    both_settled(&shop).await;
    shop.legacy(
        "UPDATE shop_payment SET state = CASE id WHEN 900 THEN 'open' ELSE 'draft' END WHERE id IN (3, 900)",
    )
    .await;
    shop.service("UPDATE payment SET status = 'draft' WHERE id = 5")
        .await;
    both_settled(&shop).await;
    let there = "SELECT sum(id)::bigint FROM payment WHERE id IN (3, 5, 900)";
    assert_eq!(shop.service_count(there).await, 905);
    let here = "SELECT sum(id)::bigint FROM shop_payment WHERE id IN (3, 5, 900)";
    assert_eq!(legacy_count(&shop, here).await, 903);
    assert_eq!(validated(&shop).await.differences, []);
    // All that comes from there goes, and nothing else.
    shop.legacy("TRUNCATE shop_payment").await;
    shop.settled(Forward).await;
    assert_eq!(shop.service_count("SELECT sum(id)::bigint FROM payment").await, 5);
    running.stop().await;
}

#[tokio::test]
async fn a_row_of_the_same_key_is_left_alone_and_found() {
    let shop = shop_with(ONLY).await;
    shop.service("INSERT INTO payment VALUES (7, 1, 1234, 'JPY', 'draft', NULL, now())")
        .await;
    let running = shop.start(Ways::Forward);
    shop.settled(Forward).await;
    shop.legacy("UPDATE shop_payment SET code = 'z' WHERE id = 7")
        .await;
    shop.settled(Forward).await;
    assert_eq!(
        shop.service_count("SELECT amount_minor FROM payment WHERE id = 7 AND status = 'draft'")
            .await,
        1234
    );
    let found = validated(&shop).await.differences;
    assert_eq!(
        found
            .iter()
            .map(|found| (&*found.key[0], found.kind))
            .collect::<Vec<_>>(),
        [("7", Kind::Missing)]
    );
    shop.legacy("DELETE FROM shop_payment WHERE id = 7").await;
    shop.settled(Forward).await;
    assert_eq!(
        shop.service_count("SELECT amount_minor FROM payment WHERE id = 7")
            .await,
        1234
    );
    assert_eq!(validated(&shop).await.differences, []);
    running.stop().await;
}

#[tokio::test]
async fn a_row_that_another_is_in_the_way_of_is_held_back_alone() {
    let mut shop = Shop::new().await;
    let seen = r#"left_out.target = { seen = "The service's own." }"#;
    let mapping = MAPPING.replace(seen, &format!("{seen}\nonly.target = \"t.seen = 7\""));
    assert_ne!(mapping, MAPPING);
    shop.link.mapping = Arc::new(Mapping::parse(&mapping).expect("a mapping"));
    shop.seed(20).await;
    shop.service("INSERT INTO customer (email, seen) VALUES ('user3@example.com', 9)")
        .await;
    let running = shop.start(Ways::Forward);
    shop.settled(Forward).await;
    shop.legacy("UPDATE shop_customer SET email = upper(email) WHERE id = 4; UPDATE shop_customer SET note = 'x' WHERE id = 3").await;
    shop.settled(Forward).await;
    assert_eq!(
        shop.service_count("SELECT count(*) FROM customer WHERE seen = 7")
            .await,
        19
    );
    assert_eq!(
        shop.service_count("SELECT count(*) FROM customer WHERE email = 'USER4@EXAMPLE.COM'")
            .await,
        1
    );
    let held: Vec<serde_json::Value> = sqlx::query_scalar("SELECT key FROM table_sync.held")
        .fetch_all(&shop.service.pool)
        .await
        .expect("keys");
    assert_eq!(held, [serde_json::json!(["3"])]);
    running.stop().await;
}

#[tokio::test]
async fn conditions_that_cannot_hold_are_found_before_anything_runs() {
    for (from, to, finding) in [
        (
            "s.state <> 'draft'",
            "s.status <> 'draft'",
            "`only` of shop_payment fails: column s.status does not exist",
        ),
        (
            "t.status <> 'draft'",
            "t.amount_minor / (t.id - 1099511627776) > 0",
            "`only` of payment fails: division by zero",
        ),
        (
            "t.status <> 'draft'",
            "t.status <> 'failed'",
            "row 11 would be one that `only` of payment does not name",
        ),
    ] {
        let only = ONLY.replace(from, to);
        assert_ne!(only, ONLY);
        let shop = shop_with(&only).await;
        shop.service("INSERT INTO payment (customer_id, amount_minor, currency, status, created_at) VALUES (1, 1, 'JPY', 'failed', now())")
            .await;
        let findings = check(&shop.link, banyan_table_sync::check::Options::default())
            .await
            .expect("a check");
        let fatal: Vec<&Finding> = findings.iter().filter(|finding| finding.is_fatal).collect();
        assert!(
            matches!(fatal.as_slice(), [only] if only.problem == finding && only.table.as_deref() == Some("payment")),
            "{to}: {findings:?}"
        );
    }
}
