//! A database with a customer and a card.

use banyan_service_kit::Service;
use banyan_test_support::{TestDb, wait_until};
use payments::{
    Payments,
    domain::{
        ledger::AccountKind,
        money::{CurrencyCode, Minor},
        payment::{ChargeResult, Outcome, Payment, Reason},
    },
    storage::{
        charge::{self, Begin, Begun, NewCharge, Settled, Settlement},
        ledger,
    },
};
use sqlx::{PgConnection, PgPool, Postgres, pool::PoolConnection};
use time::{Duration, OffsetDateTime, macros::datetime};
use uuid::Uuid;

pub(crate) const NOW: OffsetDateTime = datetime!(2026-03-01 12:00 UTC);
pub(crate) const USER: i64 = 42;
pub(crate) const CUSTOMER: i64 = 1;
pub(crate) const METHOD: i64 = 1;
pub(crate) const FINGERPRINT: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

pub(crate) struct Stage {
    pub(crate) pool: PgPool,
    pub(crate) database: TestDb,
}

impl Stage {
    /// User 42 with customer 1 and card 1, user 43 with customer 2 and card 2.
    pub(crate) async fn new() -> Self {
        let database = TestDb::create(Some(&Payments::migrator())).await;
        sqlx::raw_sql(
            "INSERT INTO customer (id, user_id, stripe_customer_id) VALUES (1, 42, 'cus_1'), (2, 43, 'cus_2');
             INSERT INTO payment_method (id, customer_id, stripe_payment_method_id, brand, last4, exp_month, exp_year, is_default)
             VALUES (1, 1, 'pm_1', 'visa', '4242', 12, 2030, true), (2, 2, 'pm_2', 'visa', '4242', 12, 2030, true);",
        )
        .execute(&database.pool)
        .await
        .unwrap();
        Self {
            pool: database.pool.clone(),
            database,
        }
    }

    pub(crate) async fn connection(&self) -> PoolConnection<Postgres> {
        self.pool.acquire().await.unwrap()
    }

    /// Runs statements of a test.
    pub(crate) async fn run(&self, sql: &'static str) {
        sqlx::raw_sql(sql).execute(&self.pool).await.unwrap();
    }

    pub(crate) async fn number(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.pool).await.unwrap()
    }

    pub(crate) async fn texts(&self, sql: &'static str) -> Vec<String> {
        sqlx::query_scalar(sql).fetch_all(&self.pool).await.unwrap()
    }

    /// Waits until a session of this database waits for a lock.
    pub(crate) async fn somebody_waits(&self) {
        let waiting = async || {
            self.number(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
            )
            .await
        };
        let bound = std::time::Duration::from_secs(10);
        wait_until("a session that waits for a lock", bound, waiting, |count| {
            *count > 0
        })
        .await;
    }

    /// A charge that begins.
    pub(crate) async fn begin(&self, charge: &NewCharge<'_>) -> Begun {
        match charge::begin(&mut *self.connection().await, charge)
            .await
            .unwrap()
        {
            Begin::Begun(begun) => *begun,
            other => panic!("it did not begin: {other:?}"),
        }
    }

    /// A payment of 10.00 USD that completed.
    pub(crate) async fn completed(&self, key: &str) -> Payment {
        let begun = self.begin(&charge_of(key)).await;
        let settled = self.settle(&begun.payment, &succeeded(&begun.payment)).await;
        assert!(settled.changed);
        settled.payment
    }

    pub(crate) async fn settle(&self, payment: &Payment, outcome: &Outcome) -> Settled {
        self.settle_for(payment, outcome, Reason::Charge).await
    }

    pub(crate) async fn settle_for(&self, payment: &Payment, outcome: &Outcome, reason: Reason) -> Settled {
        settle_on(&mut *self.connection().await, payment, outcome, reason).await
    }

    pub(crate) async fn balance(&self, kind: AccountKind) -> i64 {
        let customer = (kind == AccountKind::Customer).then_some(CUSTOMER);
        let balance = ledger::balance(&mut *self.connection().await, kind, usd(), customer).await;
        balance.unwrap().0
    }

    /// Whether the sums of all transactions, and of the whole ledger, are zero.
    pub(crate) async fn assert_balanced(&self) {
        let unbalanced = self
            .number(
                "SELECT count(*) FROM (SELECT FROM ledger_entry GROUP BY transaction_id, currency HAVING sum(amount_minor) <> 0) t",
            )
            .await;
        assert_eq!(unbalanced, 0);
        assert_eq!(
            self.number("SELECT coalesce(sum(balance_minor), 0)::bigint FROM ledger_account_balance")
                .await,
            0
        );
    }
}

pub(crate) async fn settle_on(
    connection: &mut PgConnection,
    payment: &Payment,
    outcome: &Outcome,
    reason: Reason,
) -> Settled {
    let settlement = Settlement {
        payment,
        outcome,
        reason,
        event_id: Uuid::now_v7(),
        effect_owner: None,
        now: NOW + Duration::SECOND,
    };
    let settled = charge::settle(connection, &settlement).await.unwrap();
    settled.expect("the payment is there")
}

pub(crate) fn usd() -> CurrencyCode {
    CurrencyCode::new("USD").unwrap()
}

/// 10.00 USD on the user's card.
pub(crate) fn charge_of(key: &str) -> NewCharge<'_> {
    NewCharge {
        ownership: &payments::use_cases::OWNERSHIP,
        user_id: USER,
        idempotency_key: key,
        request_fingerprint: FINGERPRINT,
        payment_method_id: Some(METHOD),
        currency: usd(),
        amount: Minor(1000),
        capture: true,
        description: "",
        now: NOW,
    }
}

pub(crate) fn succeeded(payment: &Payment) -> Outcome {
    Outcome {
        intent_id: Some(format!("pi_{}", payment.id)),
        ..Outcome::of(ChargeResult::Succeeded)
    }
}

pub(crate) fn declined(payment: &Payment) -> Outcome {
    Outcome {
        intent_id: Some(format!("pi_{}", payment.id)),
        code: Some("card_declined".into()),
        message: Some("Your card was declined.".into()),
        ..Outcome::of(ChargeResult::Declined)
    }
}
