//! The first statement: the payment is noted before Stripe is called.

use banyan_fail_points::fail_points;
use banyan_idempotency::{Claimed, Fingerprint, IdempotentRequest, PgQuery, Refusal};
use banyan_ownership::Ownership;
use sqlx::{FromRow, PgConnection, Row, postgres::PgRow};
use time::OffsetDateTime;

use crate::domain::{
    money::{CurrencyCode, Minor},
    payment::{Payment, PaymentStatus, Reason},
    stripe_key,
};
use crate::storage::{payment::payment_columns, text};

/// A charge that a client asks for.
#[derive(Clone, Copy, Debug)]
pub struct NewCharge<'a> {
    /// The user who pays.
    pub user_id: i64,
    /// The client's key, unique per user.
    pub idempotency_key: &'a str,
    /// SHA-256 of the canonical request in hex, [`crate::domain::fingerprint::charge`].
    pub request_fingerprint: &'a str,
    /// The card; `None` where Stripe has refused it already, to note what was asked for before it is settled as declined.
    pub payment_method_id: Option<i64>,
    /// In which currency.
    pub currency: CurrencyCode,
    /// How much, more than zero.
    pub amount: Minor,
    /// Whether the money is to be taken at once rather than reserved.
    pub capture: bool,
    /// The client's text; empty for none.
    pub description: &'a str,
    /// Who may charge the user.
    pub ownership: &'a Ownership,
    /// The time, UTC.
    pub now: OffsetDateTime,
}

/// A payment that was noted: Stripe may be called now.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Begun {
    /// The payment, `pending`, with its first attempt.
    pub payment: Payment,
    /// Stripe's id of the customer.
    pub stripe_customer_id: String,
    /// Stripe's id of the card; `None` where none was named.
    pub stripe_payment_method_id: Option<String>,
}

/// What became of a charge that was to begin.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Begin {
    /// It began.
    Begun(Box<Begun>),
    /// An earlier request of the user has the key.
    Exists {
        /// The payment that it made.
        payment: Box<Payment>,
        /// When the newest call to Stripe for it began that nobody has written the end of, UTC. Within the time that a call can take,
        /// the request is still running.
        running_since: Option<OffsetDateTime>,
    },
    /// The user's account was erased.
    Erased,
    /// The user has no customer yet.
    NoCustomer,
    /// The card is not one of the user's, or was detached.
    NoMethod,
}

/// The row of an earlier payment as `earlier`, with `running_since`.
macro_rules! earlier {
    () => {
        "SELECT p.*, (SELECT max(a.started_at) FROM payment_attempt a
             WHERE a.payment_id = p.id AND a.status = 'started') AS running_since
           FROM payment p WHERE p.user_id = $1 AND p.idempotency_key = $2"
    };
}

/// The statement. `$claim` and the other parameters are empty where the key is claimed already.
macro_rules! begin_sql {
    (claim: $claim:literal, from: $from:literal, columns: $columns:literal, condition: $condition:literal) => {
        concat!(
            // Before any row is locked: a decision waits for whoever holds, and others wait behind it.
            "WITH held AS MATERIALIZED (
               SELECT ownership_hold($13, $14, $1, $15) AS held
             ), ",
            $claim,
            "known AS (
               SELECT c.id AS customer_id, c.stripe_customer_id, m.id AS method_id, m.stripe_payment_method_id
               FROM held, customer c
               LEFT JOIN payment_method m ON m.id = $4 AND m.customer_id = c.id AND m.detached_at IS NULL
               WHERE c.user_id = $1
             ), erased AS (
               SELECT FROM erased_user WHERE user_id = $1
             ), earlier AS (
               ",
            earlier!(),
            "
             ), begun AS (
               INSERT INTO payment (user_id, customer_id, payment_method_id, currency, amount_minor, capture, description,
                 idempotency_key, request_fingerprint, status, created_at, updated_at)
               SELECT $1, customer_id, method_id, $5, $6, $7, $8, $2, $3, $9, $12, $12 FROM known
               WHERE ($4 IS NULL OR method_id IS NOT NULL)
                 AND NOT EXISTS (SELECT FROM erased) AND NOT EXISTS (SELECT FROM earlier)",
            $condition,
            "
               ON CONFLICT ON CONSTRAINT payment_idempotency_key DO NOTHING
               RETURNING *
             ), attempt AS (
               INSERT INTO payment_attempt (payment_id, number, operation, stripe_idempotency_key, status, started_at)
               SELECT id, 1, 'charge', $11, 'started', $12 FROM begun
             ), change AS (
               INSERT INTO payment_status_change (payment_id, to_status, reason, created_at)
               SELECT id, status, $10, $12 FROM begun
             )
             SELECT EXISTS (SELECT FROM erased) AS is_erased, k.customer_id AS known_customer_id, k.stripe_customer_id,
               k.method_id, k.stripe_payment_method_id, p.*",
            $columns,
            "
             FROM held",
            $from,
            "
             LEFT JOIN known k ON true
             LEFT JOIN (
               SELECT true AS is_begun, NULL::timestamptz AS running_since, ",
            payment_columns!(),
            " FROM begun
               UNION ALL SELECT false, running_since, ",
            payment_columns!(),
            " FROM earlier
             ) p ON true"
        )
    };
}

const BEGIN: &str = begin_sql!(claim: "", from: "", columns: "", condition: "");

/// The statement of [`claim_and_begin`]. Public for the measurement, whose ceiling is this very statement.
pub const CLAIM_AND_BEGIN: &str = begin_sql!(
    claim: "claim AS MATERIALIZED (
       SELECT c.* FROM held, idempotency_claim($16, $17, $18, $19, $20, $21, $22) c
     ), ",
    from: " CROSS JOIN claim",
    columns: ", claim.*",
    condition: " AND EXISTS (SELECT FROM claim WHERE claim_outcome IN ('first', 'taken_over'))"
);

/// Notes a charge before Stripe is asked: payment, first attempt and status change, once per user and key, by one statement.
///
/// Of requests with one key at the same moment exactly one begins. The others wait in `ON CONFLICT` for it to commit; as their
/// snapshots are older than its row, they look a second time.
///
/// # Errors
/// The database's.
pub async fn begin(connection: &mut PgConnection, charge: &NewCharge<'_>) -> Result<Begin, sqlx::Error> {
    let row = fail_points!(
        "charge.begin",
        bind(BEGIN, charge).fetch_one(&mut *connection).await
    )?;
    begun(connection, charge, &row).await
}

/// As [`begin`], and claims the request's idempotency key in the same statement: nothing is begun where the claim is refused.
///
/// # Errors
/// The database's.
pub async fn claim_and_begin(
    connection: &mut PgConnection,
    charge: &NewCharge<'_>,
    keyed: &IdempotentRequest,
    fingerprint: &Fingerprint,
) -> Result<Result<(Claimed, Begin), Refusal>, sqlx::Error> {
    let query = keyed.bind(bind(CLAIM_AND_BEGIN, charge), fingerprint);
    let row = fail_points!("charge.claim_and_begin", query.fetch_one(&mut *connection).await)?;
    match keyed.claimed(&row)? {
        Ok(claimed) => Ok(Ok((claimed, begun(connection, charge, &row).await?))),
        Err(refusal) => Ok(Err(refusal)),
    }
}

fn bind<'q>(sql: &'static str, charge: &NewCharge<'q>) -> PgQuery<'q> {
    sqlx::query(sql)
        .bind(charge.user_id)
        .bind(charge.idempotency_key)
        .bind(charge.request_fingerprint)
        .bind(charge.payment_method_id)
        .bind(charge.currency.to_string())
        .bind(charge.amount.0)
        .bind(charge.capture)
        .bind(text(Some(charge.description), 500))
        .bind(PaymentStatus::Pending.name())
        .bind(Reason::Charge.name())
        .bind(stripe_key::charge(charge.user_id, charge.idempotency_key))
        .bind(charge.now)
        .bind(charge.ownership.domain)
        .bind(charge.ownership.side.name())
        .bind(charge.ownership.position(charge.user_id))
}

async fn begun(
    connection: &mut PgConnection,
    charge: &NewCharge<'_>,
    row: &PgRow,
) -> Result<Begin, sqlx::Error> {
    match row.try_get::<Option<bool>, _>("is_begun")? {
        Some(true) => Ok(Begin::Begun(Box::new(Begun {
            payment: Payment::from_row(row)?,
            stripe_customer_id: row.try_get("stripe_customer_id")?,
            stripe_payment_method_id: row.try_get("stripe_payment_method_id")?,
        }))),
        Some(false) => exists(row),
        None if row.try_get("is_erased")? => Ok(Begin::Erased),
        None if row.try_get::<Option<i64>, _>("known_customer_id")?.is_none() => Ok(Begin::NoCustomer),
        None if charge.payment_method_id.is_some()
            && row.try_get::<Option<i64>, _>("method_id")?.is_none() =>
        {
            Ok(Begin::NoMethod)
        }
        None => second_look(connection, charge).await,
    }
}

/// The payment that an earlier request of the user with the same key made; `None` where there is none.
///
/// # Errors
/// The database's.
pub async fn earlier(
    connection: &mut PgConnection,
    user_id: i64,
    idempotency_key: &str,
) -> Result<Option<Begin>, sqlx::Error> {
    let row = sqlx::query(earlier!())
        .bind(user_id)
        .bind(idempotency_key)
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(exists).transpose()
}

/// The payment of a request with the same key that was faster by less than this one's snapshot.
async fn second_look(connection: &mut PgConnection, charge: &NewCharge<'_>) -> Result<Begin, sqlx::Error> {
    let found = earlier(connection, charge.user_id, charge.idempotency_key).await?;
    found.ok_or(sqlx::Error::RowNotFound)
}

fn exists(row: &PgRow) -> Result<Begin, sqlx::Error> {
    Ok(Begin::Exists {
        payment: Box::new(Payment::from_row(row)?),
        running_since: row.try_get("running_since")?,
    })
}
