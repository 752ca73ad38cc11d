//! The mapping of payments between the monolith's own tables and the service's, in both directions.

use std::sync::Arc;
use std::time::Duration;

use banyan_table_sync::changes::{self, Ways};
use banyan_table_sync::validate::{self, Difference};
use banyan_table_sync::{Database, Direction, Link, Mapping, check, snapshot};
use banyan_test_support::{Company, TestDb, wait_for};
use sqlx::{AssertSqlSafe, PgPool};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const MAPPING: &str = include_str!("../mappings/payments.toml");
const PATIENCE: Duration = Duration::from_mins(1);

/// Both sides, and the sync between them.
struct Sides {
    legacy: TestDb,
    payments: TestDb,
    link: Link,
}

impl Sides {
    async fn new() -> Self {
        let migrator = sqlx::migrate!("../../migrations/payments");
        let (legacy, payments) =
            tokio::join!(TestDb::monolith(Company::SMALL), TestDb::create(Some(&migrator)));
        let link = Link {
            name: legacy.name().trim_start_matches("banyan_test_").to_owned(),
            mapping: Arc::new(Mapping::parse(MAPPING).expect("a mapping")),
            source: Database {
                name: "legacy".into(),
                url: legacy.url.clone().into(),
            },
            target: Database {
                name: "payments".into(),
                url: payments.url.clone().into(),
            },
        };
        Self {
            legacy,
            payments,
            link,
        }
    }

    fn start(&self, ways: Ways) -> (CancellationToken, JoinHandle<()>) {
        let (link, shutdown) = (self.link.clone(), CancellationToken::new());
        let token = shutdown.clone();
        let task = tokio::spawn(async move {
            changes::run(&link, ways, snapshot::Limits::unthrottled(), &token)
                .await
                .expect("the sync goes on");
        });
        (shutdown, task)
    }

    async fn settled(&self, direction: Direction) {
        let (pool, stream) = (self.written(direction), self.link.stream(direction));
        wait_for("the stream", PATIENCE, async || {
            let begun = "SELECT EXISTS (SELECT FROM table_sync.stream WHERE name = $1)";
            match sqlx::query_scalar(begun).bind(&stream).fetch_one(pool).await {
                Ok(true) => Ok(()),
                Ok(false) => Err("it did not begin".to_owned()),
                Err(error) => Err(error.to_string()),
            }
        })
        .await;
        changes::settle(&self.link, direction, PATIENCE)
            .await
            .expect("the sync goes on");
        let held: Vec<String> =
            sqlx::query_scalar("SELECT concat_ws(' ', name, key, reason, problem) FROM table_sync.held")
                .fetch_all(pool)
                .await
                .expect("what is held");
        assert_eq!(held, Vec::<String>::new());
    }

    fn written(&self, direction: Direction) -> &PgPool {
        match direction {
            Direction::Forward => &self.payments.pool,
            Direction::Back => &self.legacy.pool,
        }
    }

    async fn differences(&self) -> Vec<Difference> {
        let reports = validate::full(
            &self.link,
            &validate::Options::unthrottled(),
            &[],
            &mut |_| {},
            &CancellationToken::new(),
        )
        .await
        .expect("a validation");
        assert_eq!(reports.len(), 23);
        assert!(
            reports.iter().all(|report| report.rows_compared > 0),
            "{reports:?}"
        );
        reports
            .into_iter()
            .flat_map(|report| report.differences)
            .collect()
    }
}

async fn execute(pool: &PgPool, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(pool)
        .await
        .unwrap_or_else(|error| panic!("{error}: {sql}"));
}

async fn texts(pool: &PgPool, sql: &'static str) -> Vec<String> {
    sqlx::query_scalar(sql).fetch_all(pool).await.expect("rows")
}

/// The service's books, written as the service writes them: a charge and its reversal, on the accounts that there are.
const BORN_IN_THE_SERVICE: &str = "
    INSERT INTO payment (user_id, customer_id, currency, amount_minor, status, idempotency_key, stripe_payment_intent_id, completed_at)
      SELECT user_id, id, 'KWD', 1234, 'completed', 'born-here', 'pi_born_here', now() FROM customer ORDER BY id LIMIT 1;
    INSERT INTO ledger_account (kind, currency, customer_id)
      SELECT 'customer', 'KWD', customer_id FROM payment WHERE idempotency_key = 'born-here'
      ON CONFLICT ON CONSTRAINT ledger_account_once DO NOTHING;
    WITH booked AS (
        INSERT INTO ledger_transaction (kind, payment_id) SELECT 'charge', id FROM payment WHERE idempotency_key = 'born-here'
        RETURNING id, payment_id)
      INSERT INTO ledger_entry (transaction_id, account_id, amount_minor, currency)
      SELECT booked.id, account.id, CASE kind WHEN 'stripe' THEN 1234 ELSE -1234 END, 'KWD'
      FROM booked JOIN payment ON payment.id = payment_id
        JOIN ledger_account account ON account.currency = 'KWD'
          AND (kind = 'stripe' OR kind = 'customer' AND account.customer_id = payment.customer_id);
    WITH reversed AS (
        INSERT INTO ledger_transaction (kind, payment_id, reverses_id)
        SELECT 'reversal', payment_id, id FROM ledger_transaction ORDER BY id DESC LIMIT 1 RETURNING id, reverses_id)
      INSERT INTO ledger_entry (transaction_id, account_id, amount_minor, currency)
      SELECT reversed.id, account_id, -amount_minor, currency
      FROM reversed JOIN ledger_entry ON transaction_id = reverses_id;
    WITH booked AS (INSERT INTO ledger_transaction (kind, payout_id) SELECT 'payout_failed', id FROM payout
        WHERE currency = 'USD' AND NOT EXISTS
          (SELECT FROM ledger_transaction t WHERE t.payout_id = payout.id AND t.kind = 'payout_failed') LIMIT 1 RETURNING id)
      INSERT INTO ledger_entry (transaction_id, account_id, amount_minor, currency)
      SELECT booked.id, account.id, CASE account.kind WHEN 'stripe' THEN 77 ELSE -77 END, 'USD'
      FROM booked, ledger_account account WHERE account.currency = 'USD' AND account.kind IN ('stripe', 'bank');";

/// What the monolith keeps beside the entries.
const WRONG_BALANCES: &str = "
    SELECT concat_ws(' ', account.id, kind, account.currency, balance, total) FROM payments_ledger_account account
    LEFT JOIN (SELECT account_id, sum(amount) AS total FROM payments_ledger_entry GROUP BY 1) entries ON account_id = account.id
    WHERE balance <> coalesce(total, 0)";

#[tokio::test]
async fn the_mapping_fits_both_schemas_and_every_seeded_row() {
    let sides = Sides::new().await;
    let findings = check::check(&sides.link, check::Options::default())
        .await
        .expect("a check");
    let fatal: Vec<_> = findings.iter().filter(|finding| finding.is_fatal).collect();
    assert!(fatal.is_empty(), "{fatal:#?}");
}

#[tokio::test]
async fn both_sides_come_to_the_same_and_the_monoliths_balances_stay_the_sum_of_their_entries() {
    let sides = Sides::new().await;
    let (shutdown, task) = sides.start(Ways::Forward);
    sides.settled(Direction::Forward).await;
    assert_eq!(sides.differences().await, []);
    // Said once more without the engine: whatever the exponent, minor units.
    let legacy = texts(
        &sides.legacy.pool,
        "SELECT concat_ws('|', p.id, user_id, trunc(amount * 10::numeric ^ decimals), trunc(amount_refunded * 10::numeric ^ decimals), currency, status,
           nullif(failure_code, ''), to_char(completed_at, 'J HH24MISS.US'))
         FROM payments_payment p JOIN payments_currency c ON c.code = currency ORDER BY p.id",
    )
    .await;
    let payments = texts(
        &sides.payments.pool,
        "SELECT concat_ws('|', id, user_id, amount_minor, amount_refunded_minor, currency, status, failure_code,
           to_char(completed_at, 'J HH24MISS.US')) FROM payment ORDER BY id",
    )
    .await;
    let unequal: Vec<_> = legacy
        .iter()
        .zip(&payments)
        .filter(|(here, there)| here != there)
        .collect();
    assert!(
        legacy.len() == payments.len() && unequal.is_empty(),
        "{unequal:?}"
    );
    shutdown.cancel();
    task.await.expect("it ended as asked");

    let (shutdown, task) = sides.start(Ways::Both);
    sides.settled(Direction::Back).await;
    execute(&sides.payments.pool, BORN_IN_THE_SERVICE).await;
    // The monolith books on the same account meanwhile.
    execute(
        &sides.legacy.pool,
        "WITH booked AS (INSERT INTO payments_ledger_transaction (kind, payment_id, created_at)
             SELECT 'charge', id, now() FROM payments_payment WHERE status = 'failed' LIMIT 1 RETURNING id),
           entries AS (INSERT INTO payments_ledger_entry (transaction_id, account_id, amount, currency, created_at)
             SELECT booked.id, account.id, CASE kind WHEN 'stripe' THEN 5 ELSE -5 END, 'KWD', now()
             FROM booked, payments_ledger_account account WHERE currency = 'KWD' AND kind IN ('stripe', 'bank')
             RETURNING account_id, amount)
         UPDATE payments_ledger_account SET balance = balance + amount FROM entries WHERE account_id = id",
    )
    .await;
    sides.settled(Direction::Back).await;
    sides.settled(Direction::Forward).await;
    assert_eq!(sides.differences().await, []);
    assert_eq!(
        texts(&sides.legacy.pool, WRONG_BALANCES).await,
        Vec::<String>::new()
    );
    let carried = texts(
        &sides.legacy.pool,
        "SELECT concat_ws(' ', t.kind, e.amount, e.currency) FROM payments_ledger_entry e
         JOIN payments_ledger_transaction t ON t.id = e.transaction_id WHERE t.id >= 1099511627776 ORDER BY e.id",
    )
    .await;
    assert_eq!(carried.len(), 6, "{carried:?}");
    assert!(carried.contains(&"reversal -1.234 KWD".to_owned()), "{carried:?}");
    // An entry that is taken away again, as a repair does, takes its amount with it.
    execute(
        &sides.payments.pool,
        "SET session_replication_role = replica; DELETE FROM ledger_entry WHERE id >= 1099511627776;
         DELETE FROM ledger_transaction WHERE id >= 1099511627776",
    )
    .await;
    sides.settled(Direction::Back).await;
    assert_eq!(
        texts(&sides.legacy.pool, WRONG_BALANCES).await,
        Vec::<String>::new()
    );
    assert_eq!(sides.differences().await, []);
    shutdown.cancel();
    task.await.expect("it ended as asked");
}

#[tokio::test]
async fn what_is_carried_back_locks_accounts_in_the_order_of_the_monoliths_own_bookings() {
    let sides = Sides::new().await;
    let (shutdown, task) = sides.start(Ways::Both);
    sides.settled(Direction::Back).await;
    // The monolith has booked a charge, whose fee comes next.
    let mut booking = sides.legacy.pool.begin().await.expect("a transaction");
    let keep_balance =
        "UPDATE payments_ledger_account SET balance = balance WHERE currency = 'KWD' AND kind = $1";
    sqlx::query(keep_balance)
        .bind("stripe")
        .execute(&mut *booking)
        .await
        .expect("the account");
    execute(
        &sides.payments.pool,
        "WITH booked AS (INSERT INTO ledger_transaction (kind, payment_id)
             SELECT 'fee', id FROM payment WHERE status = 'failed' LIMIT 1 RETURNING id)
         INSERT INTO ledger_entry (transaction_id, account_id, amount_minor, currency)
         SELECT booked.id, account.id, CASE kind WHEN 'fees' THEN 5 ELSE -5 END, 'KWD'
         FROM booked, ledger_account account WHERE currency = 'KWD' AND kind IN ('stripe', 'fees')",
    )
    .await;
    wait_for("the sync to come to the account", PATIENCE, async || {
        let waiting = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        sqlx::query_scalar::<_, i32>(waiting).fetch_one(&sides.legacy.pool).await
    })
    .await;
    sqlx::raw_sql("SET LOCAL lock_timeout = '100ms'")
        .execute(&mut *booking)
        .await
        .expect("a setting");
    sqlx::query(keep_balance)
        .bind("fees")
        .execute(&mut *booking)
        .await
        .expect("whoever waits for the first account does not hold the second");
    booking.commit().await.expect("a booking");
    sides.settled(Direction::Back).await;
    sides.settled(Direction::Forward).await;
    assert_eq!(sides.differences().await, []);
    assert_eq!(
        texts(&sides.legacy.pool, WRONG_BALANCES).await,
        Vec::<String>::new()
    );
    shutdown.cancel();
    task.await.expect("it ended as asked");
}
