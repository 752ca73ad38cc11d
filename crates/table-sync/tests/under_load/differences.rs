//! Differences that are planted at random while both sides are written: all are named, and nothing else.

use std::collections::BTreeSet;
use std::time::Duration;

use banyan_table_sync::Direction::{self, Back, Forward};
use banyan_table_sync::changes::{self, Ways};
use banyan_table_sync::snapshot::Limits;
use banyan_table_sync::validate::{Difference, Kind};
use banyan_table_sync::{Key, Link};
use banyan_test_support::{TestDb, dose};
use sqlx::{AssertSqlSafe, PgConnection};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::company::{self, Company, Size, rows};
use crate::load::{Load, Pace, Side};

const SEED: u64 = 7;

/// A way to damage a payment on one side.
struct Damage {
    side: Side,
    sql: &'static str,
    kind: Kind,
    /// What it shows in, in alphabetical order.
    columns: &'static [&'static str],
}

const fn changed(side: Side, sql: &'static str, columns: &'static [&'static str]) -> Damage {
    Damage {
        side,
        sql,
        kind: Kind::Changed,
        columns,
    }
}

const fn other(side: Side, sql: &'static str, kind: Kind) -> Damage {
    Damage {
        side,
        sql,
        kind,
        columns: &[],
    }
}

/// `$1` is the payment.
const DAMAGES: [Damage; 12] = [
    // By the smallest unit.
    changed(
        Side::New,
        "UPDATE payment SET amount_minor = amount_minor + 1 WHERE id = $1",
        &["amount", "amount_minor"],
    ),
    changed(
        Side::Legacy,
        "UPDATE shop_payment p SET amount = amount + 1 / 10::numeric ^ decimals FROM shop_currency c WHERE c.code = currency AND id = $1",
        &["amount", "amount_minor"],
    ),
    changed(
        Side::New,
        "UPDATE payment SET status = CASE status WHEN 'pending' THEN 'completed' ELSE 'pending' END::payment_status WHERE id = $1",
        &["state", "status"],
    ),
    changed(
        Side::Legacy,
        "UPDATE shop_payment SET state = CASE state WHEN 'open' THEN 'failed' ELSE 'open' END WHERE id = $1",
        &["state", "status"],
    ),
    changed(
        Side::New,
        "UPDATE payment SET created_at = created_at + interval '1 microsecond' WHERE id = $1",
        &["created_at"],
    ),
    changed(
        Side::Legacy,
        "UPDATE shop_payment SET created_at = created_at - interval '1 microsecond' WHERE id = $1",
        &["created_at"],
    ),
    // It is NULL.
    changed(Side::New, "UPDATE payment SET memo = '' WHERE id = $1", &["memo"]),
    changed(
        Side::Legacy,
        "UPDATE shop_payment SET memo = '' WHERE id = $1",
        &["memo"],
    ),
    other(Side::New, "DELETE FROM payment WHERE id = $1", Kind::Missing),
    other(
        Side::Legacy,
        "DELETE FROM shop_payment WHERE id = $1",
        Kind::Extra,
    ),
    other(
        Side::New,
        "INSERT INTO payment (id, customer_id, amount_minor, currency, reference)
         SELECT -id, customer_id, amount_minor, currency, 'planted' || id FROM payment WHERE id = $1",
        Kind::Extra,
    ),
    other(
        Side::Legacy,
        "INSERT INTO shop_payment (id, customer_id, amount, currency, reference)
         SELECT -id, customer_id, amount, currency, 'planted' || id FROM shop_payment WHERE id = $1",
        Kind::Missing,
    ),
];

impl Damage {
    fn key(&self, payment: i64) -> String {
        // Those that are made have a key of their own.
        let id = if self.sql.starts_with("INSERT") {
            -payment
        } else {
            payment
        };
        id.to_string()
    }

    /// From the side that is not damaged.
    const fn mended_by(&self) -> Direction {
        match self.side {
            Side::Legacy => Back,
            Side::New => Forward,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_difference_planted_under_load_is_named_and_mended() {
    let planted = dose::dose(50, 500);
    let size = Size {
        customers: rows(300, 10_000),
        payments: 10,
    };
    let (legacy, new) = tokio::join!(TestDb::create(None), TestDb::create(None));
    // Slots and origins are the server's, which other tests use too.
    let name = legacy.name().trim_start_matches("banyan_test_");
    let company = Company::found(name, legacy.url.clone(), new.url.clone(), size).await;
    // What the sync says is shown where the test fails.
    let _ = tracing_subscriber::fmt()
        .with_test_writer()
        .with_ansi(false)
        .try_init();
    let (link, shutdown) = (company.link.clone(), CancellationToken::new());
    let token = shutdown.clone();
    let sync =
        tokio::spawn(async move { changes::run(&link, Ways::Both, Limits::unthrottled(), &token).await });
    company.settled().await;
    let before = resting(&company).await;
    assert_eq!(before[0], before[1]);

    let pace = Pace {
        pause: Duration::from_millis(dose::dose(5, 20) as u64),
        large: 200,
        large_each: 100,
        customers: size.customers,
    };
    let committed = watch::Sender::new(0);
    let loads = [(Side::Legacy, &company.legacy), (Side::New, &company.new)]
        .map(|(side, url)| Load::start(side, url, pace, SEED, &committed));
    assert_eq!(company.differences().await, [], "none is planted");

    let payments = some_resting(&company, planted).await;
    let damages: Vec<(&Damage, i64)> = DAMAGES.iter().cycle().zip(payments).collect();
    assert_eq!(damages.len(), planted);
    plant(&company, &damages).await;
    let mut found = company.differences().await;
    for difference in &mut found {
        difference.columns.sort_unstable();
    }
    let (found, expected): (BTreeSet<_>, BTreeSet<_>) = (found.into_iter().collect(), expected(&damages));
    let unexpected: Vec<_> = found.difference(&expected).collect();
    let missed: Vec<_> = expected.difference(&found).collect();
    assert!(
        unexpected.is_empty() && missed.is_empty(),
        "found, and not planted: {unexpected:?}; planted, and not found: {missed:?}"
    );

    mend(&company.link, &damages).await;
    company.settled().await;
    assert_eq!(company.differences().await, [], "all is mended");
    assert_eq!(resting(&company).await, before, "and is what it was");
    for load in loads {
        let written = load.stop().await;
        assert!(written.transactions > 100, "both sides were written: {written:?}");
    }
    company.settled().await;
    company.assert_nothing_held().await;
    company.assert_equal().await;
    shutdown.cancel();
    sync.await.expect("no panic").expect("no error");
}

/// What nobody writes, on either side.
async fn resting(company: &Company) -> [Vec<String>; 2] {
    let rests = company.rests();
    let sql = |table: &str, amount: &str, state: &str| {
        format!(
            "SELECT concat_ws('|', id, trim_scale({amount}), {state}, memo IS NULL, created_at) FROM {table} p
             JOIN {} c ON c.code = currency WHERE {rests} ORDER BY id",
            table.replace("payment", "currency"),
        )
    };
    let state = "CASE status WHEN 'pending' THEN 'open' WHEN 'completed' THEN 'done' ELSE 'failed' END";
    let legacy = sql("shop_payment", "amount", "state");
    let new = sql("payment", "amount_minor / 10::numeric ^ exponent", state);
    [
        company::lines(&company.legacy, &legacy).await,
        company::lines(&company.new, &new).await,
    ]
}

async fn some_resting(company: &Company, count: usize) -> Vec<i64> {
    let rests = company.rests();
    let sql =
        format!("SELECT id::text FROM payment WHERE {rests} ORDER BY md5(id || '{SEED}') LIMIT {count}");
    let ids = company::lines(&company.new, &sql).await;
    ids.iter().map(|id| id.parse().expect("a number")).collect()
}

/// Writes past the sync: what carries its origin is not carried.
async fn plant(company: &Company, damages: &[(&Damage, i64)]) {
    for (side, url) in [(Side::Legacy, &company.legacy), (Side::New, &company.new)] {
        let mut session = company::session(url).await;
        // As the applier's are named, of either direction.
        let origin = format!("table_sync_{}_forward_planted_{side:?}", company.link.name);
        for sql in [
            "SET session_replication_role = 'replica'".to_owned(),
            format!("SELECT pg_replication_origin_create('{origin}')"),
            format!("SELECT pg_replication_origin_session_setup('{origin}')"),
        ] {
            run(&mut session, &sql).await;
        }
        for (damage, payment) in damages.iter().filter(|(damage, _)| damage.side == side) {
            let done = sqlx::query(damage.sql)
                .bind(payment)
                .execute(&mut session)
                .await
                .unwrap_or_else(|error| panic!("{error}: {}", damage.sql));
            assert_eq!(done.rows_affected(), 1, "{}", damage.sql);
        }
    }
}

async fn run(session: &mut PgConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(session)
        .await
        .unwrap_or_else(|error| panic!("{error}: {sql}"));
}

fn expected(damages: &[(&Damage, i64)]) -> BTreeSet<Difference> {
    let difference = |(damage, payment): &(&Damage, i64)| Difference {
        table: "payment".to_owned(),
        key: vec![damage.key(*payment)],
        kind: damage.kind,
        columns: damage.columns.iter().copied().map(str::to_owned).collect(),
    };
    damages.iter().map(difference).collect()
}

async fn mend(link: &Link, damages: &[(&Damage, i64)]) {
    for direction in [Forward, Back] {
        let ours = damages
            .iter()
            .filter(|(damage, _)| damage.mended_by() == direction);
        let keys: Vec<Key> = ours
            .map(|(damage, payment)| Key::new([damage.key(*payment)]))
            .collect();
        changes::carry_again(link, direction, "payment", &keys)
            .await
            .expect("asked");
    }
}
