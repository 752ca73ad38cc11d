//! The second statement: what is known of a payment is written down, with all that follows from it.

use banyan_events::{
    EffectOwner, Event,
    payloads::{PaymentCompleted, PaymentFailed},
};
use banyan_fail_points::fail_points;
use banyan_idempotency::{Answer, Claimed};
use banyan_messaging::outbox::NewEvent;
use sqlx::{FromRow, PgConnection, Row, types::Json};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::domain::{
    attempt::{AttemptStatus, Operation},
    ledger::{Entry, TransactionKind},
    money::Minor,
    payment::{
        DECLINED_WITHOUT_CODE, MAX_FAILURE_CODE, MAX_FAILURE_MESSAGE, MAX_INTENT_ID, Outcome, Payment,
        PaymentStatus, Reason,
    },
};
use crate::storage::{ledger::accounts_of_wanted, payment::payment_columns, text};

/// An outcome to be written down.
#[derive(Clone, Copy, Debug)]
pub struct Settlement<'a> {
    /// The payment as it was last read. Only what never changes of it is believed; the rest is read again under its lock.
    pub payment: &'a Payment,
    /// What Stripe said.
    pub outcome: &'a Outcome,
    /// What asked for it.
    pub reason: Reason,
    /// UUIDv7 of the event, should there be one.
    pub event_id: Uuid,
    /// Who performs the event's side effect, where two systems could.
    pub effect_owner: Option<EffectOwner>,
    /// The time, UTC.
    pub now: OffsetDateTime,
}

/// A payment after an outcome was written down.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settled {
    /// The payment as it is now.
    pub payment: Payment,
    /// Whether this outcome changed its status. False for what came late or twice, and while the outcome is unknown.
    pub changed: bool,
    /// Whether the answer was stored with it, see [`settle_and_finish`].
    pub stored: bool,
}

/// The statement. `$finish` and `$held` are empty where no answer is stored with it.
macro_rules! settle_sql {
    (finish: $finish:literal, held: $held:literal) => {
concat!(
    // The row as it is once nobody else holds it; all that follows is decided on it.
    "WITH locked AS MATERIALIZED (
       SELECT * FROM payment WHERE id = $1 FOR NO KEY UPDATE
     ), closed AS (
       UPDATE payment_attempt a SET status = answered.ended, error_code = $5, finished_at = $9
       FROM locked l, unnest($10::text[], $11::text[], $12::text[]) AS answered (operation, status, ended)
       WHERE a.payment_id = l.id AND a.operation = answered.operation AND a.status = answered.status
       RETURNING a.amount_minor
     ), decided AS (
       SELECT l.*, moves, CASE
           WHEN moves AND $2 = 'completed' AND l.status = 'requires_capture'
             THEN coalesce(nullif($7::bigint, 0), (SELECT max(amount_minor) FROM closed), l.amount_minor)
           ELSE l.amount_minor END AS settled_minor
       FROM locked l, LATERAL (SELECT coalesce(l.status = ANY ($3::text[]), false) AS moves) m
     ), updated AS (
       UPDATE payment p SET
         status = CASE WHEN d.moves THEN $2 ELSE d.status END,
         stripe_payment_intent_id = coalesce(d.stripe_payment_intent_id, $4),
         amount_minor = d.settled_minor,
         amount_authorized_minor = CASE
           WHEN d.moves AND $2 = 'requires_capture' THEN d.amount_minor ELSE d.amount_authorized_minor END,
         completed_at = CASE WHEN d.moves AND $2 = 'completed' THEN $9 ELSE d.completed_at END,
         payout_due = d.payout_due OR (d.moves AND $2 = 'completed'),
         failure_code = CASE WHEN NOT d.moves THEN d.failure_code WHEN $2 = 'failed' THEN coalesce($5, $21) END,
         failure_message = CASE WHEN NOT d.moves THEN d.failure_message WHEN $2 = 'failed' THEN $6 END,
         updated_at = $9
       FROM decided d
       WHERE p.id = d.id AND (d.moves OR (d.stripe_payment_intent_id IS NULL AND $4 IS NOT NULL))
       RETURNING p.*, d.moves, d.status AS status_before
     ), change AS (
       INSERT INTO payment_status_change (payment_id, from_status, to_status, reason, created_at)
       SELECT id, status_before, status, $8, $9 FROM updated WHERE moves
     ), completed AS (
       SELECT * FROM updated WHERE moves AND status = 'completed'
     ), fee AS (
       INSERT INTO fee (payment_id, schedule_id, amount_minor, currency, created_at)
       SELECT c.id, s.id, f.amount_minor, c.currency, $9
       FROM completed c
       JOIN LATERAL (
         SELECT * FROM fee_schedule s WHERE s.currency = c.currency AND s.valid_from <= $9
         ORDER BY s.valid_from DESC LIMIT 1
       ) s ON true,
       LATERAL (SELECT (c.amount_minor * s.percent_bp + 5000) / 10000 + s.fixed_minor AS amount_minor) f
       WHERE f.amount_minor > 0
       RETURNING payment_id, amount_minor
     ), moved AS (
       SELECT 'charge' AS kind, id AS payment_id, amount_minor FROM completed
       UNION ALL SELECT 'fee', payment_id, amount_minor FROM fee
     ), booked AS (
       INSERT INTO ledger_transaction (kind, payment_id, created_at)
       SELECT kind, payment_id, $9 FROM moved RETURNING id, kind
     ), side AS (
       SELECT s.kind, s.account, s.sign * m.amount_minor AS amount_minor, c.currency
       FROM completed c, moved m
       JOIN unnest($13::text[], $14::text[], $15::bigint[]) AS s (kind, account, sign) USING (kind)
     ), wanted AS (
       SELECT DISTINCT s.account AS kind, c.currency,
         CASE WHEN s.account = 'customer' THEN c.customer_id END AS customer_id, $9::timestamptz AS at
       FROM completed c, side s
     ), ",
    accounts_of_wanted!(),
    ", entry AS (
       INSERT INTO ledger_entry (transaction_id, account_id, amount_minor, currency, created_at)
       SELECT b.id, a.id, s.amount_minor, s.currency, $9
       FROM booked b JOIN side s USING (kind) JOIN account a ON a.kind = s.account
     ), event AS (
       INSERT INTO outbox (id, subject, type, payload, headers, created_at)
       SELECT $16, $17, $18, $19::jsonb || CASE status
           WHEN 'completed' THEN jsonb_build_object(
             'amountMinor', amount_minor, 'stripePaymentIntentId', stripe_payment_intent_id)
           ELSE jsonb_build_object('amountMinor', amount_minor) END, $20, $9
       FROM updated WHERE moves AND $18 IS NOT NULL
     )",
    $finish,
    " SELECT ",
    $held,
    " AS stored, moves, ",
    payment_columns!(),
    " FROM updated
     UNION ALL SELECT false, moves, ",
    payment_columns!(),
    " FROM decided WHERE NOT EXISTS (SELECT FROM updated)"
)
    };
}

const SETTLE: &str = settle_sql!(finish: "", held: "false");

/// The statement of [`settle_and_finish`]. The answer tells of the payment as this outcome leaves it, so it is stored only where the
/// outcome is what changes it. Public for the measurement, whose ceiling is this very statement.
pub const SETTLE_AND_FINISH: &str = settle_sql!(
    finish: ", finished AS MATERIALIZED (
       SELECT idempotency_finish($22, $23, $24, $25, $26) AS held FROM updated WHERE moves
     )",
    held: "coalesce((SELECT held FROM finished), false)"
);

/// Writes an outcome down once, by one statement: status, attempts, status change, and for a completed payment its fee, the ledger's
/// entries and the event. `None` where there is no such payment.
///
/// Whether the status may change is decided under the payment's lock, on the row as it is then. A payment of an invoice (one without a
/// `request_fingerprint`) is settled within a transaction in which the caller then settles the invoice.
///
/// # Errors
/// The database's.
pub async fn settle(
    connection: &mut PgConnection,
    settlement: &Settlement<'_>,
) -> Result<Option<Settled>, sqlx::Error> {
    fail_points!("charge.settle", run(connection, settlement, None).await)
}

/// As [`settle`], and stores the answer of the request in the same statement if the outcome changes the payment's status.
/// [`Settled::stored`] says whether it is: it is not where somebody else settled the payment, or took the claim over.
///
/// # Errors
/// The database's.
pub async fn settle_and_finish(
    connection: &mut PgConnection,
    settlement: &Settlement<'_>,
    claimed: &Claimed,
    answer: &Answer,
) -> Result<Option<Settled>, sqlx::Error> {
    fail_points!(
        "charge.settle_and_finish",
        run(connection, settlement, Some((claimed, answer))).await
    )
}

async fn run(
    connection: &mut PgConnection,
    settlement: &Settlement<'_>,
    finish: Option<(&Claimed, &Answer)>,
) -> Result<Option<Settled>, sqlx::Error> {
    let Settlement {
        payment,
        outcome,
        reason,
        ..
    } = *settlement;
    let next = outcome.result.status();
    let code = text(outcome.code.as_deref(), MAX_FAILURE_CODE);
    let before: Vec<&str> = next.map_or_else(Vec::new, |next| {
        next.predecessors().map(PaymentStatus::name).collect()
    });
    let (operations, statuses, ends) = answered(outcome, reason);
    let (kinds, accounts, signs) = sides();
    let event = event(settlement, code).map(|event| NewEvent {
        id: settlement.event_id,
        effect_owner: settlement.effect_owner,
        ..NewEvent::new(format!("payment/{}", payment.id), event)
    });

    let sql = if finish.is_some() {
        SETTLE_AND_FINISH
    } else {
        SETTLE
    };
    let query = sqlx::query(sql)
        .bind(payment.id)
        .bind(next.map(PaymentStatus::name))
        .bind(before)
        .bind(text(outcome.intent_id.as_deref(), MAX_INTENT_ID))
        .bind(code)
        .bind(text(outcome.message.as_deref(), MAX_FAILURE_MESSAGE))
        .bind(outcome.received.map(|received| received.0))
        .bind(reason.name())
        .bind(settlement.now)
        .bind(operations)
        .bind(statuses)
        .bind(ends)
        .bind(kinds)
        .bind(accounts)
        .bind(signs)
        .bind(settlement.event_id)
        .bind(event.as_ref().map(|event| event.subject.as_str()))
        .bind(event.as_ref().map(|event| event.event.kind().name()))
        .bind(event.as_ref().map(|event| Json(&event.event)))
        .bind(event.as_ref().map(NewEvent::headers))
        .bind(DECLINED_WITHOUT_CODE);
    let query = match finish {
        Some((claimed, answer)) => claimed.bind_finish(query, answer),
        None => query,
    };
    let row = query.fetch_optional(connection).await?;
    row.map(|row| {
        Ok(Settled {
            payment: Payment::from_row(&row)?,
            changed: row.try_get("moves")?,
            stored: row.try_get("stored")?,
        })
    })
    .transpose()
}

/// The open calls that the outcome answers, by operation and status, and how they ended.
fn answered(outcome: &Outcome, reason: Reason) -> (Vec<&'static str>, Vec<&'static str>, Vec<&'static str>) {
    let (mut operations, mut statuses, mut ends) = (Vec::new(), Vec::new(), Vec::new());
    for operation in Operation::ALL {
        for status in AttemptStatus::ALL {
            if operation.is_answered(*status, outcome.result, reason) {
                operations.push(operation.name());
                statuses.push(status.name());
                ends.push(operation.ended(outcome.result).name());
            }
        }
    }
    (operations, statuses, ends)
}

/// The sides of what a completed payment moves, as kinds of movement, kinds of account and signs.
fn sides() -> ([&'static str; 4], [&'static str; 4], [i64; 4]) {
    let [(charge, one), (_, two)] = named_entries(TransactionKind::Charge);
    let [(fee, three), (_, four)] = named_entries(TransactionKind::Fee);
    let entries = [one, two, three, four];
    (
        [charge, charge, fee, fee],
        entries.map(|entry| entry.account.name()),
        entries.map(|entry| entry.amount.0),
    )
}

fn named_entries(kind: TransactionKind) -> [(&'static str, Entry); 2] {
    kind.entries(Minor(1)).map(|entry| (kind.name(), entry))
}

/// The event that the outcome causes if it changes the payment's status. The statement puts in what only the locked row knows: the amount
/// after a capture, and the PaymentIntent.
fn event(settlement: &Settlement<'_>, code: Option<&str>) -> Option<Event> {
    let Settlement { payment, outcome, .. } = *settlement;
    match outcome.result.status()? {
        PaymentStatus::Completed => Some(
            PaymentCompleted {
                payment_id: payment.id,
                user_id: payment.user_id,
                amount_minor: payment.amount.0,
                currency: payment.currency.to_string(),
                payment_method_id: payment.payment_method_id,
                stripe_payment_intent_id: outcome.intent_id.clone().unwrap_or_default(),
                completed_at: settlement.now,
            }
            .into(),
        ),
        PaymentStatus::Failed => Some(
            PaymentFailed {
                payment_id: payment.id,
                user_id: payment.user_id,
                amount_minor: payment.amount.0,
                currency: payment.currency.to_string(),
                failure_code: code.unwrap_or(DECLINED_WITHOUT_CODE).to_owned(),
                failure_message: text(outcome.message.as_deref(), MAX_FAILURE_MESSAGE)
                    .unwrap_or_default()
                    .to_owned(),
                failed_at: settlement.now,
            }
            .into(),
        ),
        _ => None,
    }
}
