//! Property 1 to the cent: what the clients were told, the payments, Stripe, the ledger and the events are one and the same.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use banyan_messaging::topology;
use serde_json::Value;

use crate::load::{Done, Known};
use crate::stage::{LISTENER, Stage};

/// The price of the plan that clients subscribe to, in cents.
const SUBSCRIPTION: i64 = 999;

/// What was compared.
#[derive(Debug)]
pub(crate) struct Books {
    completed: usize,
    refunds: usize,
    events: usize,
    copies: usize,
}

impl fmt::Display for Books {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            completed,
            refunds,
            events,
            copies,
        } = self;
        write!(
            f,
            "{completed} completed, {refunds} refunds, {events} events, {copies} of them repeated"
        )
    }
}

impl Stage {
    /// Compares everything with everything.
    pub(crate) async fn books(&self, done: &Done) -> Books {
        let kept = self.kept().await;
        clients_know(&kept, done);
        self.stripe_has(&kept).await;
        for (what, sql) in NEVER {
            assert_eq!(self.count(sql).await, 0, "{what}");
        }
        let completed = kept.values().filter(|kept| kept.is_completed).count();
        let refunds: usize = kept.values().map(|kept| kept.known.refunds.len()).sum();
        let told = done.count(|known| known.status.ends_with("refunded") || known.status == "completed");
        assert_eq!(completed, told + done.subscriptions, "answered with success");
        for (what, count, sql) in [
            (
                "charges in the ledger",
                completed,
                "SELECT count(*) FROM ledger_transaction WHERE kind = 'charge'",
            ),
            (
                "refunds in the ledger",
                refunds,
                "SELECT count(*) FROM ledger_transaction WHERE kind = 'refund'",
            ),
            (
                "payment.completed",
                completed,
                "SELECT count(*) FROM outbox WHERE type = 'payment.completed'",
            ),
            (
                "payment.refunded",
                refunds,
                "SELECT count(*) FROM outbox WHERE type = 'payment.refunded'",
            ),
        ] {
            assert_eq!(
                self.count(sql).await,
                i64::try_from(count).expect("small"),
                "{what}"
            );
        }
        let finished = self
            .count("SELECT count(*) FROM idempotency_key WHERE finished_at IS NOT NULL")
            .await;
        assert_eq!(
            finished,
            i64::try_from(done.keys()).expect("small"),
            "keys with an answer"
        );
        let (events, copies) = self.listener_got().await;
        Books {
            completed,
            refunds,
            events,
            copies,
        }
    }

    async fn kept(&self) -> BTreeMap<i64, Kept> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT id, status, amount_minor AS amount, stripe_payment_intent_id AS intent,
               completed_at IS NOT NULL AS is_completed, request_fingerprint IS NULL AS is_invoices,
               ARRAY(SELECT amount_minor FROM refund r WHERE r.payment_id = p.id AND r.status = 'succeeded' ORDER BY id)
                 AS refunds
             FROM payment p",
        )
        .fetch_all(&self.db.pool)
        .await
        .expect("payments");
        rows.into_iter().map(|row| (row.id, row.into())).collect()
    }

    /// At Stripe is one PaymentIntent for each payment, for its amount and as far as it, and its refunds.
    async fn stripe_has(&self, kept: &BTreeMap<i64, Kept>) {
        let mut refunds: HashMap<String, Vec<i64>> = HashMap::new();
        // What a capture of a part gave free is, at the stand-in, a refund of the charge without a PaymentIntent.
        let mut freed: HashMap<String, i64> = HashMap::new();
        for refund in self.stripe.all("refunds").await {
            assert_eq!(refund["status"], "succeeded", "{refund}");
            let amount = refund["amount"].as_i64().expect("an amount");
            if let Some(intent) = refund["payment_intent"].as_str() {
                refunds.entry(intent.to_owned()).or_default().push(amount);
            } else {
                *freed.entry(text(&refund["charge"]).to_owned()).or_default() += amount;
            }
        }
        let mut seen = HashSet::new();
        for intent in self.stripe.all("payment_intents").await {
            let id: i64 = text(&intent["metadata"]["payment_id"]).parse().expect("an id");
            assert!(seen.insert(id), "two PaymentIntents for payment {id}");
            let Some(kept) = kept.get(&id) else {
                panic!("a PaymentIntent for a payment that is not here: {intent}");
            };
            assert_eq!(
                kept.intent.as_deref(),
                intent["id"].as_str(),
                "payment {id}: {kept:?}, {intent}"
            );
            let status = match kept.known.status.as_str() {
                "completed" | "refunded" | "partially_refunded" => "succeeded",
                "failed" => "requires_payment_method",
                status => status,
            };
            assert_eq!(intent["status"], status, "payment {id}: {intent}");
            if status == "succeeded" {
                let charge = &intent["latest_charge"];
                let charge = charge.as_str().unwrap_or_else(|| text(&charge["id"]));
                let taken = intent["amount"].as_i64().expect("an amount") - freed.get(charge).unwrap_or(&0);
                assert_eq!(taken, kept.known.amount, "payment {id}: {intent}");
            }
            let mut given_back = refunds.remove(text(&intent["id"])).unwrap_or_default();
            let mut wanted = kept.known.refunds.clone();
            given_back.sort_unstable();
            wanted.sort_unstable();
            assert_eq!(given_back, wanted, "refunds of payment {id}");
        }
        assert!(refunds.is_empty(), "refunds of no payment: {refunds:?}");
        for (id, kept) in kept {
            assert_eq!(seen.contains(id), kept.intent.is_some(), "payment {id}: {kept:?}");
        }
    }

    /// The listener got every event; how many, and how many copies besides.
    async fn listener_got(&self) -> (usize, usize) {
        let ids: Vec<String> = sqlx::query_scalar("SELECT id::text FROM outbox")
            .fetch_all(&self.db.pool)
            .await
            .expect("events");
        let ids: HashSet<String> = ids.into_iter().collect();
        let messages = self.vhost.take(&topology::queue(LISTENER)).await;
        let got: HashSet<String> = messages
            .iter()
            .filter_map(|message| message.message_id.clone())
            .collect();
        assert_eq!(got, ids, "events");
        (ids.len(), messages.len() - ids.len())
    }
}

/// Every payment is one that a client was told of, as it was told, and the other way round.
fn clients_know(kept: &BTreeMap<i64, Kept>, done: &Done) {
    let (invoices, charges): (Vec<_>, Vec<_>) = kept.iter().partition(|(_, kept)| kept.is_invoices);
    for (id, kept) in &invoices {
        let is_paid = kept.known.status == "completed" && kept.known.amount == SUBSCRIPTION;
        assert!(is_paid, "payment {id}: {kept:?}");
    }
    assert_eq!(invoices.len(), done.subscriptions, "subscriptions");
    for (id, kept) in &charges {
        let mut told = done
            .payments
            .get(id)
            .expect("nobody was told of a payment")
            .clone();
        let refunded: i64 = told.refunds.iter().sum();
        if refunded > 0 {
            let whole = refunded == told.amount;
            let status = if whole { "refunded" } else { "partially_refunded" };
            status.clone_into(&mut told.status);
        }
        assert_eq!(kept.known, told, "payment {id}");
    }
    assert_eq!(charges.len(), done.payments.len(), "payments");
}

/// A payment as it is read.
#[derive(Debug, sqlx::FromRow)]
struct Row {
    id: i64,
    status: String,
    amount: i64,
    intent: Option<String>,
    is_completed: bool,
    is_invoices: bool,
    refunds: Vec<i64>,
}

impl From<Row> for Kept {
    fn from(row: Row) -> Self {
        Self {
            known: Known {
                status: row.status,
                amount: row.amount,
                refunds: row.refunds,
            },
            intent: row.intent,
            is_completed: row.is_completed,
            is_invoices: row.is_invoices,
        }
    }
}

/// A payment of the service.
#[derive(Debug)]
struct Kept {
    known: Known,
    intent: Option<String>,
    is_completed: bool,
    is_invoices: bool,
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// What there must not be a row of.
const NEVER: [(&str, &str); 6] = [
    (
        "sums of the ledger that are not zero",
        "SELECT count(*) FROM (SELECT FROM ledger_entry GROUP BY currency HAVING sum(amount_minor) <> 0) off",
    ),
    (
        "ledger transactions that do not balance",
        "SELECT count(*) FROM (
           SELECT FROM ledger_entry GROUP BY transaction_id, currency HAVING sum(amount_minor) <> 0) off",
    ),
    (
        "payments that are not what the ledger says",
        "SELECT count(*) FROM payment p WHERE
           CASE WHEN completed_at IS NULL THEN 0 ELSE amount_minor - amount_refunded_minor END <>
           (SELECT coalesce(-sum(e.amount_minor), 0) FROM ledger_transaction t
            JOIN ledger_entry e ON e.transaction_id = t.id JOIN ledger_account a ON a.id = e.account_id
            WHERE t.payment_id = p.id AND a.kind = 'customer')",
    ),
    (
        "payments whose refunds do not add up",
        "SELECT count(*) FROM payment p WHERE amount_refunded_minor <>
           (SELECT coalesce(sum(amount_minor), 0) FROM refund r WHERE r.payment_id = p.id AND status = 'succeeded')",
    ),
    (
        "completed payments without exactly one event",
        "SELECT count(*) FROM payment p WHERE (completed_at IS NOT NULL)::int <>
           (SELECT count(*) FROM outbox WHERE type = 'payment.completed'
              AND (payload ->> 'paymentId')::bigint = p.id AND (payload ->> 'amountMinor')::bigint = p.amount_minor)",
    ),
    (
        "refunds without exactly one event",
        "SELECT count(*) FROM refund r WHERE (completed_at IS NOT NULL)::int <>
           (SELECT count(*) FROM outbox WHERE type = 'payment.refunded'
              AND (payload ->> 'refundId')::bigint = r.id AND (payload ->> 'amountMinor')::bigint = r.amount_minor)",
    ),
];
