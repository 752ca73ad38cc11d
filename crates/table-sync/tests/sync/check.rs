//! Findings before anything runs.

use std::sync::Arc;

use banyan_table_sync::Mapping;
use banyan_table_sync::check::{Finding, Options, check};

use crate::shop::{MAPPING, Shop};

async fn found(shop: &Shop) -> Vec<String> {
    found_with(shop, Options::default()).await
}

async fn found_with(shop: &Shop, options: Options) -> Vec<String> {
    let findings = check(&shop.link, options).await.expect("a check");
    let text = |finding: Finding| {
        let (table, column) = (finding.table?, finding.column);
        let place = column.map_or(table.clone(), |column| format!("{table}.{column}"));
        Some(format!("{place}: {}", finding.problem))
    };
    findings.into_iter().filter_map(text).collect()
}

#[tokio::test]
async fn a_mapping_that_fits_has_no_findings_and_leaves_nothing_behind() {
    let shop = Shop::new().await;
    shop.seed(50).await;
    assert_eq!(found(&shop).await, Vec::<String>::new());
    assert_eq!(shop.service_count("SELECT count(*) FROM payment").await, 0);
    shop.service("INSERT INTO currency VALUES ('EUR', 2)").await;
    assert_eq!(
        found(&shop).await,
        [
            "currency: it has rows: the first copy overwrites those that differ, and deletes those that the source does not have, unless their ids say that they were made here"
        ]
    );
}

#[tokio::test]
async fn rows_that_are_written_meanwhile_are_no_findings() {
    let shop = Shop::new().await;
    shop.seed(50).await;
    let writes = async {
        loop {
            shop.legacy("UPDATE shop_payment SET amount = amount + 1, code = 'no' || id % 7")
                .await;
        }
    };
    let checks = async {
        let mut all = Vec::new();
        for _ in 0..5 {
            all.extend(found(&shop).await);
        }
        all
    };
    let findings = tokio::select! {
        findings = checks => findings,
        () = writes => unreachable!("it writes on"),
    };
    assert_eq!(findings, Vec::<String>::new());
}

#[tokio::test]
async fn what_a_row_is_reckoned_by_is_there_when_it_is_tried() {
    let shop = Shop::new().await;
    shop.seed(50).await;
    // The last payment is in dinars, which are neither the first nor the last currency.
    assert_eq!(found_with(&shop, Options { rows: 2 }).await, Vec::<String>::new());
}

#[tokio::test]
async fn each_finding_names_its_table_and_column() {
    for (change, in_legacy, finding) in [
        (
            "ALTER TABLE shop_payment ADD COLUMN tip numeric",
            true,
            "payment.tip: the mapping does not know this column of shop_payment: carry it, or leave it out with a reason",
        ),
        (
            "ALTER TABLE shop_card DROP COLUMN is_default",
            true,
            "card.is_default: shop_card has no such column",
        ),
        (
            "ALTER TABLE membership RENAME TO club",
            false,
            "membership: there is no table membership",
        ),
        (
            "ALTER TABLE customer ALTER COLUMN email TYPE bytea USING ''",
            false,
            "customer.email: it is character varying(200) in the source and bytea in the target: give an expression for both ways",
        ),
        (
            "ALTER TABLE shop_membership DROP CONSTRAINT shop_membership_pkey",
            true,
            "membership: the key of the mapping is (customer_id, list), the primary key of shop_membership is ()",
        ),
        (
            "ALTER TABLE shop_card REPLICA IDENTITY NOTHING",
            true,
            "card: deletes in shop_card would not say which row: ALTER TABLE shop_card REPLICA IDENTITY DEFAULT",
        ),
        (
            "ALTER TABLE card ALTER COLUMN mark DROP DEFAULT",
            false,
            "card.mark: it is left out, must not be NULL, and has no default: no row could be made",
        ),
        (
            "ALTER TABLE payment ALTER COLUMN id RESTART WITH 5 SET START WITH 5",
            false,
            "payment.id: ids of payment begin at 5, where the source has rows: let them begin at 1099511627776",
        ),
        (
            "UPDATE shop_payment SET amount = 1.005 WHERE id = 7",
            true,
            "payment: row 7 is not taken: invalid input syntax for type bigint: \"100.5\"",
        ),
        (
            "ALTER TABLE customer ALTER COLUMN email TYPE varchar(16)",
            false,
            "customer: row 10 is not taken: value too long for type character varying(16)",
        ),
    ] {
        let shop = Shop::new().await;
        shop.seed(10).await;
        if in_legacy {
            shop.legacy(change).await;
        } else {
            shop.service(change).await;
        }
        assert!(
            found(&shop).await.contains(&finding.to_owned()),
            "{change}: {:?}",
            found(&shop).await
        );
    }
}

#[tokio::test]
async fn ways_that_do_not_fit_each_other_are_found_on_the_real_rows() {
    let mut shop = Shop::new().await;
    shop.seed(10).await;
    let lossy = MAPPING.replace(
        r#"blank_is_null = ["code"]"#,
        r#"forward.code = "nullif(upper(s.code), '')"
           back.code = "coalesce(t.code, '')""#,
    );
    shop.link.mapping = Arc::new(Mapping::parse(&lossy).expect("a mapping"));
    assert_eq!(
        found(&shop).await,
        ["payment.code: row 12 does not come back as it was: the two ways do not fit each other"]
    );
}
