//! Whatever a crash leaves behind, the next run goes on with, and nothing is charged twice.

use banyan_dev_sinks::stripe::Fault;
use payments::domain::payment::{ChargeResult, Outcome, Payment, PaymentStatus, Reason};
use payments::storage::payment;
use payments::use_cases::settle::{settle, settle_in};
use serde_json::json;

use crate::world::{BASIC, VISA, World};

/// As a process leaves it that is killed while it waits for Stripe.
const KILLED: &str = "UPDATE payment_attempt SET status = 'started', finished_at = NULL, error_code = NULL WHERE status = 'unknown'";

async fn newest_payment(world: &World) -> Payment {
    let id = world
        .number("SELECT id FROM payment ORDER BY id DESC LIMIT 1")
        .await;
    payment::get(&mut world.db.pool.acquire().await.unwrap(), id)
        .await
        .unwrap()
        .unwrap()
}

fn succeeded() -> Outcome {
    Outcome {
        intent_id: Some("pi_late".to_owned()),
        ..Outcome::of(ChargeResult::Succeeded)
    }
}

#[tokio::test]
async fn a_renewal_that_died_before_or_after_stripe_is_gone_on_with_under_the_same_key() {
    // Reset: Stripe never heard of it. Lost: Stripe has charged.
    for (fault, charged) in [(Fault::Reset, 1), (Fault::AnswerLost, 2)] {
        let world = World::start().await;
        world.subscribed(BASIC).await;
        world.pass_a_month().await;
        world.next_charge(fault);
        world.renew().await;
        world.run(KILLED).await;
        assert_eq!(world.intents().await, charged, "{fault:?}");
        assert_eq!(world.texts("SELECT status FROM subscription").await, ["active"]);
        assert_eq!(world.renew().await, 0, "it is looked at again after an hour");
        world.pass("61 minutes").await;
        world.renew().await;
        assert_eq!(world.intents().await, 2, "{fault:?}");
        assert_eq!(
            world.texts("SELECT status FROM invoice ORDER BY id").await,
            ["paid", "paid"]
        );
        let asked = world.charges();
        assert_eq!(asked.len(), 3);
        assert_eq!(asked[1].idempotency_key, asked[2].idempotency_key);
        assert_eq!(world.events("subscription.renewed").await.len(), 1);
        world.assert_booked().await;
    }
}

#[tokio::test]
async fn what_stripe_has_forgotten_is_left_to_be_looked_up() {
    let world = World::start().await;
    world.subscribed(BASIC).await;
    world.pass_a_month().await;
    world.next_charge(Fault::AnswerLost);
    world.renew().await;
    world.pass("24 hours").await;
    world.renew().await;
    assert_eq!(world.charges().len(), 2);
    assert_eq!(
        world.texts("SELECT status FROM payment ORDER BY id").await,
        ["completed", "pending"]
    );
}

#[tokio::test]
async fn a_subscription_that_died_with_its_process_is_gone_on_with_by_its_key() {
    for fault in [Fault::Reset, Fault::AnswerLost] {
        let world = World::start().await;
        let order = json!({"planId": BASIC, "paymentMethodId": world.card(VISA).await});
        world.next_charge(fault);
        assert_eq!(world.subscribe_with("k", &order).await.0, 202);
        world.run(KILLED).await;
        // The lease of the process that died is over.
        world
            .run("UPDATE idempotency_key SET locked_until = now() - interval '1 second'")
            .await;
        let (status, made) = world.subscribe_with("k", &order).await;
        assert_eq!((status, &made["status"]), (201, &json!("active")), "{fault:?}");
        assert_eq!(world.intents().await, 1);
        world.assert_booked().await;
    }
}

#[tokio::test]
async fn the_outcome_of_a_payment_and_what_follows_for_the_invoice_are_one_commit() {
    let world = World::start().await;
    let order = json!({"planId": BASIC, "paymentMethodId": world.card(VISA).await});
    world.next_charge(Fault::Reset);
    world.subscribe_with("k", &order).await;
    let pending = newest_payment(&world).await;
    let states = "SELECT p.status || ' ' || i.status || ' ' || s.status FROM payment p JOIN invoice i ON i.payment_id = p.id
        JOIN subscription s ON s.id = i.subscription_id";

    let mut transaction = world.db.pool.begin().await.unwrap();
    settle_in(
        &mut transaction,
        &world.env,
        &pending,
        &succeeded(),
        Reason::Webhook,
    )
    .await
    .unwrap();
    // The process dies here.
    drop(transaction);
    assert_eq!(world.texts(states).await, ["pending open incomplete"]);

    for changed in [true, false] {
        let settled = settle(&world.env, &pending, &succeeded(), Reason::Webhook)
            .await
            .unwrap();
        assert_eq!(settled.changed, changed);
        assert_eq!(world.texts(states).await, ["completed paid active"]);
    }
    world.assert_booked().await;
}

#[tokio::test]
async fn an_invoice_whose_payment_completed_is_not_charged_again() {
    let world = World::start().await;
    world.subscribed(BASIC).await;
    world.pass_a_month().await;
    world.next_charge(Fault::AnswerLost);
    world.renew().await;
    // As synced in part: the payment's end, but not yet its invoice's.
    world
        .run(
            "UPDATE payment SET status = 'completed', completed_at = now(), stripe_payment_intent_id = 'pi_1'
             WHERE status = 'pending'",
        )
        .await;
    world.pass("61 minutes").await;
    world.renew().await;
    assert_eq!(world.charges().len(), 2);
    assert_eq!(
        world.texts("SELECT status FROM invoice ORDER BY id").await,
        ["paid", "paid"]
    );
    assert_eq!(world.events("subscription.renewed").await.len(), 1);
}

#[tokio::test]
async fn a_payment_that_failed_and_was_charged_after_all_counts_or_is_given_back() {
    let world = World::start().await;
    world.subscribed(BASIC).await;
    world
        .run("UPDATE payment_method SET stripe_payment_method_id = 'pm_nobody'")
        .await;
    world.pass_a_month().await;
    world.renew().await;
    let failed = newest_payment(&world).await;
    assert_eq!(failed.status, PaymentStatus::Failed);
    world.pass("25 hours").await;
    world.renew().await;
    let second = newest_payment(&world).await;
    assert_ne!(second.id, failed.id);

    // The first one has been followed by another: it is given back.
    settle(&world.env, &failed, &succeeded(), Reason::Webhook)
        .await
        .unwrap();
    assert_eq!(
        world
            .texts("SELECT status || failed_attempts FROM subscription")
            .await,
        ["past_due2"]
    );
    assert_eq!(world.number("SELECT payment_id FROM refund").await, failed.id);

    // The second one is the invoice's own.
    let outcome = Outcome {
        intent_id: Some("pi_second".to_owned()),
        ..succeeded()
    };
    settle(&world.env, &second, &outcome, Reason::Webhook)
        .await
        .unwrap();
    assert_eq!(
        world
            .texts("SELECT status || failed_attempts FROM subscription")
            .await,
        ["active0"]
    );
    assert_eq!(world.number("SELECT count(*) FROM refund").await, 1);
    world.assert_booked().await;
}

#[tokio::test]
async fn a_clients_own_payment_is_no_invoices_whatever_its_key() {
    let world = World::start().await;
    world.subscribed(BASIC).await;
    let invoice = world.number("SELECT id FROM invoice").await;
    let body = json!({"amount": "1.00", "currency": "USD", "paymentMethodId": VISA});
    let key = format!("invoice:{invoice}:mine");
    let charged = world
        .send(
            reqwest::Method::POST,
            "/api/payments/charge",
            42,
            Some(&key),
            Some(&body),
        )
        .await;
    assert_eq!(charged.status(), 201);
    let payment = newest_payment(&world).await;
    settle(&world.env, &payment, &succeeded(), Reason::Webhook)
        .await
        .unwrap();
    assert_eq!(world.number("SELECT count(*) FROM refund").await, 0);
    assert_eq!(world.texts("SELECT status FROM invoice").await, ["paid"]);
}
