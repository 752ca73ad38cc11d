//! Payouts. Stripe's stand-in makes them in euros only, so that is what is paid out here.

use std::num::NonZeroU32;

use banyan_dev_sinks::stripe::{Fault, FaultRule};
use payments::use_cases::payouts;
use serde_json::json;

use crate::support::World;

/// Lets the payments be old enough to be paid out.
async fn settle_all(world: &World) {
    world
        .run("UPDATE payment SET completed_at = completed_at - interval '2 days' WHERE completed_at > now() - interval '1 day'")
        .await;
}

/// Lets the payouts be old enough to be asked about.
async fn wait(world: &World) {
    world
        .run("UPDATE payout SET started_at = started_at - interval '5 minutes'")
        .await;
}

async fn run(world: &World) -> payouts::Tally {
    payouts::run(&world.env()).await.unwrap()
}

async fn statuses(world: &World) -> Vec<String> {
    world
        .texts("SELECT concat_ws(' ', currency, status, amount_minor, failure_code) FROM payout ORDER BY id")
        .await
}

/// Stripe has news of the newest payout, and says so.
async fn let_it(world: &World, status: &str) {
    let id = world
        .texts("SELECT stripe_payout_id FROM payout ORDER BY id DESC LIMIT 1")
        .await
        .remove(0);
    world
        .at_stripe(&format!("payouts/{id}"), &format!("status={status}"))
        .await;
    world
        .tell(&format!("payout.{status}"), &json!({ "id": id }))
        .await;
}

#[tokio::test]
async fn settled_payments_are_paid_out_less_what_was_taken_of_them() {
    let world = World::start().await;
    let (first, _) = world.pay("10.00", "EUR").await;
    let (second, _) = world.pay("20.00", "EUR").await;
    settle_all(&world).await;
    let (young, _) = world.pay("7.00", "EUR").await;
    let second_is_refunded = "UPDATE payment SET amount_refunded_minor = 500, status = 'partially_refunded' WHERE amount_minor = 2000";
    world.run(second_is_refunded).await;
    assert_eq!(run(&world).await.created, 1);
    // 1.5 % and 0.25: 0.40 and 0.55.
    assert_eq!(statuses(&world).await, ["EUR pending 2405"]);
    let items: Vec<(i64, i64)> =
        sqlx::query_as("SELECT payment_id, amount_minor FROM payout_item ORDER BY payment_id")
            .fetch_all(&world.db.pool)
            .await
            .unwrap();
    assert_eq!(items, [(first, 960), (second, 1445)]);
    let at_stripe = world.stripe.all("payouts").await;
    assert_eq!(at_stripe.len(), 1);
    assert_eq!(
        (&at_stripe[0]["amount"], &at_stripe[0]["currency"]),
        (&json!(2405), &json!("eur"))
    );
    assert_eq!(run(&world).await, payouts::Tally::default());
    assert_eq!(
        world.count("SELECT id FROM payment WHERE payout_due").await,
        young
    );
}

#[tokio::test]
async fn being_paid_is_booked_and_told_once() {
    let world = World::start().await;
    world.pay("10.00", "EUR").await;
    settle_all(&world).await;
    run(&world).await;
    for _ in 0..2 {
        let_it(&world, "paid").await;
    }
    assert_eq!(statuses(&world).await, ["EUR paid 960"]);
    assert_eq!(
        (
            world.account("bank", "EUR").await,
            world.account("stripe", "EUR").await
        ),
        (960, 0)
    );
    let mut events = world.events("payout.paid").await;
    assert_eq!(events.len(), 1);
    let told = events[0].as_object_mut().unwrap();
    assert!(told.remove("paidAt").is_some());
    let id = world.count("SELECT id FROM payout").await;
    assert_eq!(
        events[0],
        json!({ "payoutId": id, "amountMinor": 960, "currency": "EUR", "paymentCount": 1 })
    );
    assert_eq!(
        world
            .texts("SELECT subject FROM outbox WHERE type = 'payout.paid'")
            .await,
        [format!("payout/{id}")]
    );
}

#[tokio::test]
async fn the_job_asks_when_no_event_comes() {
    let world = World::start().await;
    world.pay("10.00", "EUR").await;
    settle_all(&world).await;
    run(&world).await;
    let id = world.texts("SELECT stripe_payout_id FROM payout").await.remove(0);
    world.at_stripe(&format!("payouts/{id}"), "status=paid").await;
    wait(&world).await;
    assert_eq!(run(&world).await.reconciled, 1);
    assert_eq!(statuses(&world).await, ["EUR paid 960"]);
    assert_eq!(world.events("payout.paid").await.len(), 1);
}

#[tokio::test]
async fn one_that_fails_is_due_again_also_after_it_was_paid() {
    for news in [&["failed", "failed"][..], &["paid", "failed", "failed"]] {
        let world = World::start().await;
        world.pay("10.00", "EUR").await;
        settle_all(&world).await;
        run(&world).await;
        for status in news {
            let_it(&world, status).await;
        }
        assert_eq!(world.texts("SELECT status FROM payout").await, ["failed"]);
        assert_eq!(world.account("stripe", "EUR").await, 960);
        assert_eq!(run(&world).await.created, 1);
        let released = world
            .texts("SELECT is_released::text FROM payout_item ORDER BY id")
            .await;
        assert_eq!(released, ["true", "false"]);
        assert_eq!(
            world.texts("SELECT status FROM payout ORDER BY id").await,
            ["failed", "pending"]
        );
    }
}

#[tokio::test]
async fn what_changes_after_the_payout_is_settled_in_the_next() {
    let world = World::start().await;
    world.pay("10.00", "EUR").await;
    settle_all(&world).await;
    run(&world).await;
    world
        .run("UPDATE payment SET amount_refunded_minor = 400, status = 'partially_refunded', payout_due = true")
        .await;
    // Nothing to pay out, and Stripe cannot be paid back.
    assert_eq!(run(&world).await.created, 0);
    world.pay("10.00", "EUR").await;
    settle_all(&world).await;
    assert_eq!(run(&world).await.created, 1);
    assert_eq!(statuses(&world).await[1], "EUR pending 560");
    let items = "SELECT amount_minor::text FROM payout_item WHERE payout_id > (SELECT min(id) FROM payout) ORDER BY amount_minor";
    assert_eq!(world.texts(items).await, ["-400", "960"]);
}

#[tokio::test]
async fn currencies_are_paid_out_apart_and_a_refusal_is_not_the_end() {
    let world = World::start().await;
    world.pay("10.00", "EUR").await;
    world.pay("10.00", "USD").await;
    settle_all(&world).await;
    run(&world).await;
    let statuses = world
        .texts("SELECT currency || ' ' || status FROM payout ORDER BY id")
        .await;
    assert_eq!(statuses, ["EUR pending", "USD failed"]);
    // The stand-in refused the dollars: they are due again.
    assert_eq!(
        world.texts("SELECT currency FROM payment WHERE payout_due").await,
        ["USD"]
    );
}

#[tokio::test]
async fn an_unknown_outcome_is_found_out_and_nothing_is_sent_twice() {
    for fault in [Fault::AnswerLost, Fault::ServerError, Fault::Reset] {
        let world = World::start().await;
        world.pay("10.00", "EUR").await;
        settle_all(&world).await;
        let times = NonZeroU32::new(3).unwrap();
        world.stripe.inject(FaultRule {
            times,
            ..FaultRule::once(fault, "POST", "/v1/payouts")
        });
        run(&world).await;
        assert_eq!(statuses(&world).await, ["EUR pending 960"], "{fault:?}");
        // Too early to ask.
        assert_eq!(run(&world).await, payouts::Tally::default());
        for _ in 0..2 {
            wait(&world).await;
            run(&world).await;
        }
        let id = world.count("SELECT id FROM payout").await;
        let asked: Vec<_> = world.stripe.requests();
        let keys = asked
            .iter()
            .filter(|one| one.method == "POST" && one.path == "/v1/payouts")
            .map(|one| one.idempotency_key.clone());
        assert!(keys.into_iter().all(|key| key == Some(format!("payout:{id}"))));
        let made = world.stripe.all("payouts").await;
        assert!(made.len() <= 1, "{fault:?}: {made:?}");
        assert_eq!(world.events("payout.paid").await.len(), 0);
        assert_eq!(
            world
                .count("SELECT count(*) FROM payout WHERE status = 'failed'")
                .await,
            0
        );
        if let Some(made) = made.first() {
            let known = world.texts("SELECT stripe_payout_id FROM payout").await;
            assert_eq!(known, [made["id"].as_str().unwrap()]);
        }
    }
}

#[tokio::test]
async fn one_that_never_arrived_is_given_up_after_a_day() {
    let world = World::start().await;
    world.pay("10.00", "EUR").await;
    settle_all(&world).await;
    let times = NonZeroU32::new(3).unwrap();
    world.stripe.inject(FaultRule {
        times,
        ..FaultRule::once(Fault::Reset, "POST", "/v1/payouts")
    });
    run(&world).await;
    world
        .run("UPDATE payout SET started_at = started_at - interval '26 hours', created_at = created_at - interval '26 hours'")
        .await;
    run(&world).await;
    assert_eq!(
        statuses(&world).await,
        ["EUR failed 960 not_processed", "EUR pending 960"]
    );
}

#[tokio::test]
async fn two_instances_at_once_double_nothing() {
    let world = World::start().await;
    for _ in 0..3 {
        world.pay("10.00", "EUR").await;
    }
    settle_all(&world).await;
    let (one, other) = (world.env(), world.env());
    let (one, other) = tokio::join!(payouts::run(&one), payouts::run(&other));
    assert!(one.unwrap().created + other.unwrap().created >= 1);
    run(&world).await;
    assert_eq!(
        world.count("SELECT sum(amount_minor)::bigint FROM payout").await,
        3 * 960
    );
    assert_eq!(world.count("SELECT count(*) FROM payout_item").await, 3);
    let sent: i64 = world
        .stripe
        .all("payouts")
        .await
        .iter()
        .filter_map(|payout| payout["amount"].as_i64())
        .sum();
    assert_eq!(sent, 3 * 960);
    wait(&world).await;
    let (one, other) = (world.env(), world.env());
    let ids = world.texts("SELECT stripe_payout_id FROM payout").await;
    for id in &ids {
        world.at_stripe(&format!("payouts/{id}"), "status=paid").await;
    }
    let (one, other) = tokio::join!(payouts::run(&one), payouts::run(&other));
    one.and(other).unwrap();
    assert_eq!(world.account("bank", "EUR").await, 3 * 960);
    assert_eq!(world.events("payout.paid").await.len(), ids.len());
}

#[tokio::test]
async fn an_event_finds_the_payout_whose_answer_was_lost_but_not_one_of_another_amount() {
    let world = World::start().await;
    world.pay("10.00", "EUR").await;
    settle_all(&world).await;
    let times = NonZeroU32::new(3).unwrap();
    world.stripe.inject(FaultRule {
        times,
        ..FaultRule::once(Fault::AnswerLost, "POST", "/v1/payouts")
    });
    run(&world).await;
    let id = world.count("SELECT id FROM payout").await;
    let form = format!("amount=5&currency=eur&metadata[payout_id]={id}&status=paid");
    let foreign = world.at_stripe("payouts", &form).await;
    world.tell("payout.paid", &json!({ "id": foreign["id"] })).await;
    assert_eq!(statuses(&world).await, ["EUR pending 960"]);
    let ours = world.stripe.all("payouts").await;
    let ours = ours.iter().find(|payout| payout["amount"] == 960).unwrap();
    let stripe_id = ours["id"].as_str().unwrap();
    world
        .at_stripe(&format!("payouts/{stripe_id}"), "status=paid")
        .await;
    world.tell("payout.paid", &json!({ "id": stripe_id })).await;
    assert_eq!(statuses(&world).await, ["EUR paid 960"]);
}
