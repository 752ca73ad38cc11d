//! Disputes. Stripe's stand-in has none, so the events' own copies count here.

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::stage::{USER, event, now};
use crate::support::World;

const DUE: i64 = 1_900_000_000;

fn dispute(id: &str, intent: &str, status: &str, amount: i64) -> Value {
    json!({
        "id": id, "object": "dispute", "payment_intent": intent, "charge": null, "amount": amount, "currency": "usd",
        "reason": "fraudulent", "status": status, "evidence_details": { "due_by": DUE },
    })
}

/// News of `dp_1` that happened `later` seconds from now.
async fn tell(world: &World, intent: &str, status: &str, later: i64) {
    tell_of(world, &dispute("dp_1", intent, status, 1000), later).await;
}

async fn tell_of(world: &World, dispute: &Value, later: i64) {
    let id = format!("evt_{}_{}_{later}", dispute["id"], dispute["status"]);
    let answer = world
        .send(&event(&id, "charge.dispute.updated", now() + later, dispute))
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

async fn balance(world: &World) -> (Value, Value) {
    let balance = world.get("/api/payments/balance", USER).await.json();
    let one = &balance["balances"][0];
    (one["disputed"].clone(), one["net"].clone())
}

async fn known(world: &World) -> Vec<String> {
    world.texts("SELECT status FROM dispute ORDER BY id").await
}

async fn assert_balanced(world: &World) {
    let sum = "SELECT coalesce(sum(amount_minor), 0)::bigint FROM ledger_entry";
    assert_eq!(world.count(sum).await, 0);
}

#[tokio::test]
async fn opening_takes_the_money_away_and_is_told_once() {
    let world = World::start().await;
    let (id, intent) = world.pay("10.00", "USD").await;
    for _ in 0..2 {
        tell(&world, &intent, "needs_response", 0).await;
    }
    assert_eq!(world.status(id).await, "disputed");
    assert_eq!(balance(&world).await, (json!("10.00"), json!("0.00")));
    assert_eq!(world.account("disputes", "USD").await, 1000);
    let due = OffsetDateTime::from_unix_timestamp(DUE)
        .unwrap()
        .format(&Rfc3339)
        .unwrap();
    let dispute_id = world.count("SELECT id FROM dispute").await;
    assert_eq!(
        world.events("payment.disputed").await,
        [json!({
            "paymentId": id, "disputeId": dispute_id, "userId": USER, "amountMinor": 1000, "currency": "USD",
            "reason": "fraudulent", "dueBy": due,
        })]
    );
    let subject =
        "SELECT subject || ' ' || (headers->>'effectowner') FROM outbox WHERE type = 'payment.disputed'";
    assert_eq!(world.texts(subject).await, [format!("payment/{id} new")]);
    let evidence = world
        .texts("SELECT kind || ': ' || content FROM dispute_evidence ORDER BY kind DESC")
        .await;
    assert!(
        evidence[0].starts_with(&format!("receipt: Payment {id} of 10.00 USD\nmade 2")),
        "{evidence:?}"
    );
    assert_eq!(evidence[1..], ["product_description: Coffee"]);
    assert_balanced(&world).await;
}

#[tokio::test]
async fn winning_brings_the_money_back() {
    let world = World::start().await;
    let (id, intent) = world.pay("10.00", "USD").await;
    world.run("UPDATE payment SET payout_due = false").await;
    for (later, status) in ["needs_response", "under_review", "won"].into_iter().enumerate() {
        tell(&world, &intent, status, i64::try_from(later).unwrap()).await;
    }
    assert_eq!(world.status(id).await, "completed");
    assert_eq!(balance(&world).await, (json!("0.00"), json!("10.00")));
    assert_eq!(world.account("disputes", "USD").await, 0);
    assert_eq!(world.account("customer", "USD").await, -1000);
    assert_eq!(
        world
            .count("SELECT count(*) FROM dispute WHERE closed_at IS NOT NULL")
            .await,
        1
    );
    assert_eq!(
        world.count("SELECT count(*) FROM payment WHERE payout_due").await,
        1
    );
    assert_balanced(&world).await;
}

#[tokio::test]
async fn losing_is_for_good() {
    let world = World::start().await;
    let (id, intent) = world.pay("10.00", "USD").await;
    tell(&world, &intent, "needs_response", 0).await;
    tell(&world, &intent, "lost", 1).await;
    // Nothing comes after the end.
    tell(&world, &intent, "won", 2).await;
    assert_eq!(known(&world).await, ["lost"]);
    assert_eq!(world.status(id).await, "disputed");
    assert_eq!(balance(&world).await, (json!("10.00"), json!("0.00")));
    assert_eq!(world.account("disputes", "USD").await, 0);
    assert_eq!(world.account("customer", "USD").await, 0);
    assert_balanced(&world).await;
}

#[tokio::test]
async fn news_are_applied_in_the_order_of_their_effect() {
    for (end, shown, kept) in [
        ("won", "completed", ("0.00", "10.00")),
        ("lost", "disputed", ("10.00", "0.00")),
    ] {
        let world = World::start().await;
        let (id, intent) = world.pay("10.00", "USD").await;
        tell(&world, &intent, end, 2).await;
        tell(&world, &intent, "needs_response", 0).await;
        tell(&world, &intent, "under_review", 1).await;
        assert_eq!(known(&world).await, [end]);
        assert_eq!(world.status(id).await, shown);
        assert_eq!(balance(&world).await, (json!(kept.0), json!(kept.1)));
        assert_eq!(world.account("disputes", "USD").await, 0);
        assert_eq!(world.events("payment.disputed").await.len(), 1);
        assert_balanced(&world).await;
    }
}

#[tokio::test]
async fn older_news_change_nothing_and_within_a_second_a_dispute_goes_forward() {
    let world = World::start().await;
    let (_, intent) = world.pay("10.00", "USD").await;
    let at = now();
    for (created, status) in [
        (at + 5, "under_review"),
        (at, "needs_response"),
        (at + 5, "needs_response"),
    ] {
        let id = format!("evt_{created}_{status}");
        let news = event(
            &id,
            "charge.dispute.updated",
            created,
            &dispute("dp_1", &intent, status, 1000),
        );
        assert_eq!(world.send(&news).await.status, 200);
        assert_eq!(known(&world).await, ["under_review"]);
    }
}

#[tokio::test]
async fn a_dispute_can_be_faster_than_the_news_of_its_payment() {
    let world = World::start().await;
    let (id, intent) = world.reserve().await;
    world
        .at_stripe(&format!("payment_intents/{intent}/capture"), "")
        .await;
    tell(&world, &intent, "needs_response", 0).await;
    assert_eq!(world.status(id).await, "disputed");
    let kinds = world.texts("SELECT type FROM outbox ORDER BY sequence").await;
    assert_eq!(kinds, ["payment.completed", "payment.disputed"]);
}

#[tokio::test]
async fn an_inquiry_moves_no_money() {
    let world = World::start().await;
    let (id, intent) = world.pay("10.00", "USD").await;
    tell(&world, &intent, "warning_needs_response", 0).await;
    assert_eq!(world.status(id).await, "disputed");
    assert_eq!(balance(&world).await, (json!("0.00"), json!("10.00")));
    tell(&world, &intent, "warning_closed", 1).await;
    assert_eq!(world.status(id).await, "completed");
    assert_eq!(
        world
            .count("SELECT count(*) FROM ledger_transaction WHERE dispute_id IS NOT NULL")
            .await,
        0
    );
}

#[tokio::test]
async fn a_payment_is_disputed_while_one_of_its_disputes_is_open() {
    let world = World::start().await;
    let (id, intent) = world.pay("10.00", "USD").await;
    tell_of(&world, &dispute("dp_1", &intent, "needs_response", 400), 0).await;
    tell_of(&world, &dispute("dp_2", &intent, "needs_response", 600), 0).await;
    tell_of(&world, &dispute("dp_1", &intent, "won", 400), 1).await;
    assert_eq!(world.status(id).await, "disputed");
    tell_of(&world, &dispute("dp_2", &intent, "won", 600), 1).await;
    assert_eq!(world.status(id).await, "completed");
    assert_balanced(&world).await;
}

#[tokio::test]
async fn the_disputes_of_a_payment_at_once_do_not_lose_each_other() {
    let world = World::start().await;
    let (id, intent) = world.pay("10.00", "USD").await;
    let news: Vec<Value> = (0..6)
        .map(|number| dispute(&format!("dp_{number}"), &intent, "needs_response", 100))
        .chain((0..6).map(|_| dispute("dp_same", &intent, "needs_response", 100)))
        .enumerate()
        .map(|(number, dispute)| {
            event(
                &format!("evt_{number}"),
                "charge.dispute.created",
                now(),
                &dispute,
            )
        })
        .collect();
    let answers = futures::future::join_all(news.iter().map(|news| world.send(news))).await;
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    assert_eq!(known(&world).await.len(), 7);
    assert_eq!(world.account("disputes", "USD").await, 700);
    assert_eq!(world.status(id).await, "disputed");
    assert_eq!(world.events("payment.disputed").await.len(), 7);
}

#[tokio::test]
async fn what_does_not_fit_or_is_new_to_us_is_ignored() {
    let world = World::start().await;
    let (id, intent) = world.pay("10.00", "USD").await;
    let fits = dispute("dp_1", &intent, "needs_response", 1000);
    for (field, value) in [
        ("status", json!("brand_new")),
        ("amount", json!(0)),
        ("amount", json!(-5)),
        ("currency", json!("eur")),
    ] {
        let mut other = fits.clone();
        other[field] = value;
        world.tell("charge.dispute.created", &other).await;
    }
    assert_eq!(known(&world).await, Vec::<String>::new());
    assert_eq!(world.status(id).await, "completed");
}
