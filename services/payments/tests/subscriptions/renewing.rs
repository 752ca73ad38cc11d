//! Each period is billed once; declines are tried again.

use futures::future::join_all;
use payments::use_cases::renew::renew;
use serde_json::json;
use time::macros::datetime;

use crate::world::{BASIC, DECLINED, GULF, STARTER, USER, VISA, World};

async fn use_card(world: &World, card: i64) {
    sqlx::query("UPDATE subscription SET payment_method_id = $1")
        .bind(card)
        .execute(&world.db.pool)
        .await
        .unwrap();
}

#[tokio::test]
async fn the_next_period_is_paid_when_this_one_is_over() {
    for (plan, minor, total) in [(BASIC, 999, "9.99"), (STARTER, 980, "980"), (GULF, 3500, "3.500")] {
        let world = World::start().await;
        let id = world.subscribed(plan).await;
        assert_eq!(world.renew().await, 0, "nothing is due before");
        world.pass_a_month().await;
        let ended = world
            .texts("SELECT current_period_end::text FROM subscription")
            .await;
        assert_eq!(world.renew().await, 1);
        assert_eq!(world.renew().await, 0);
        assert_eq!(
            world
                .texts("SELECT current_period_start::text FROM subscription")
                .await,
            ended
        );
        assert_eq!(
            world
                .number("SELECT count(*) FROM subscription WHERE next_billing_at = current_period_end AND status = 'active'")
                .await,
            1
        );
        let newest = world.invoices().await.remove(0);
        assert_eq!(
            (&newest["total"], &newest["status"]),
            (&json!(total), &json!("paid"))
        );
        assert_eq!(
            world
                .number("SELECT count(*) FROM payment WHERE off_session AND status = 'completed'")
                .await,
            1
        );
        let [event] = <[_; 1]>::try_from(world.events("subscription.renewed").await).unwrap();
        assert_eq!(
            event,
            json!({"subscriptionId": id, "userId": USER, "planId": plan, "paymentId": newest["paymentId"],
                "periodStart": newest["periodStart"], "periodEnd": newest["periodEnd"]})
        );
        assert_eq!(
            world
                .texts("SELECT subject || (headers->>'effectowner') FROM outbox WHERE type = 'subscription.renewed'")
                .await,
            [format!("subscription/{id}new")]
        );
        let completed = world.events("payment.completed").await;
        assert_eq!(completed.len(), 2);
        assert_eq!(completed[1]["amountMinor"], minor);
        world.assert_booked().await;
    }
}

#[tokio::test]
async fn what_began_on_the_31st_returns_to_the_31st() {
    let world = World::start().await;
    let id = world.subscribed(BASIC).await;
    world
        .run(
            "UPDATE subscription SET billing_anchor = '2026-01-31 12:00Z', current_period_start = '2026-01-31 12:00Z',
               current_period_end = '2026-02-28 12:00Z', next_billing_at = '2026-02-28 12:00Z';
             UPDATE invoice SET period_start = '2026-01-31 12:00Z', period_end = '2026-02-28 12:00Z'",
        )
        .await;
    let before = world.at(|| datetime!(2026-02-28 11:59:59 UTC));
    renew(&before, id).await.unwrap();
    assert_eq!(world.intents().await, 1, "not before its time");
    for env in [
        world.at(|| datetime!(2026-02-28 12:00 UTC)),
        world.at(|| datetime!(2026-03-31 12:01 UTC)),
        world.at(|| datetime!(2026-05-01 09:00 UTC)),
    ] {
        renew(&env, id).await.unwrap();
    }
    assert_eq!(
        world
            .texts(
                "SELECT to_char(period_end AT TIME ZONE 'UTC', 'MM-DD HH24:MI') FROM invoice WHERE status = 'paid'
                 ORDER BY period_start"
            )
            .await,
        ["02-28 12:00", "03-31 12:00", "04-30 12:00", "05-31 12:00"]
    );
}

#[tokio::test]
async fn workers_at_once_bill_a_period_once() {
    let world = World::start().await;
    world.subscribed(BASIC).await;
    world.subscribed(GULF).await;
    world.pass_a_month().await;
    join_all((0..6).map(|_| world.renew())).await;
    world.renew().await;
    assert_eq!(world.intents().await, 4);
    assert_eq!(world.number("SELECT count(*) FROM invoice").await, 4);
    assert_eq!(world.number("SELECT count(*) FROM payment").await, 4);
    assert_eq!(world.events("subscription.renewed").await.len(), 2);
    world.assert_booked().await;
}

#[tokio::test]
async fn what_was_missed_is_made_up_for() {
    let world = World::start().await;
    world.subscribed(BASIC).await;
    world.pass("63 days").await;
    world.renew().await;
    world.renew().await;
    assert_eq!(
        world
            .number("SELECT count(*) FROM invoice WHERE status = 'paid'")
            .await,
        3
    );
    assert_eq!(world.renew().await, 0);
}

#[tokio::test]
async fn a_coupon_lowers_renewals_only_where_it_lasts() {
    let world = World::start().await;
    world
        .run("INSERT INTO coupon (code, percent_off, duration) VALUES ('ALWAYS', 50, 'forever')")
        .await;
    for (plan, code) in [(BASIC, "WELCOME10"), (GULF, "ALWAYS")] {
        let order = json!({"planId": plan, "paymentMethodId": VISA, "couponCode": code});
        assert_eq!(world.subscribe_with(code, &order).await.0, 201);
    }
    world.pass_a_month().await;
    world.renew().await;
    assert_eq!(
        world
            .texts("SELECT total_minor || currency FROM invoice ORDER BY currency, period_start")
            .await,
        ["1750KWD", "1750KWD", "899USD", "999USD"]
    );
}

#[tokio::test]
async fn a_decline_is_tried_again_and_made_good() {
    let world = World::start().await;
    world.subscribed(BASIC).await;
    let good = world.number("SELECT id FROM payment_method").await;
    use_card(&world, world.card(DECLINED).await).await;
    world.pass_a_month().await;
    world.renew().await;
    assert_eq!(
        world
            .texts("SELECT status || failed_attempts FROM subscription")
            .await,
        ["past_due1"]
    );
    world.renew().await;
    world.pass("23 hours").await;
    world.renew().await;
    assert_eq!(world.charges().len(), 2, "not before its time");
    use_card(&world, good).await;
    world.pass("2 hours").await;
    world.renew().await;
    assert_eq!(
        world
            .texts("SELECT status || failed_attempts FROM subscription")
            .await,
        ["active0"]
    );
    // One invoice, whichever payment it took.
    assert_eq!(
        world.texts("SELECT status FROM invoice ORDER BY id").await,
        ["paid", "paid"]
    );
    assert_eq!(world.number("SELECT count(*) FROM payment").await, 3);
    assert_eq!(world.events("subscription.renewed").await.len(), 1);
    assert_eq!(world.events("payment.failed").await.len(), 1);
    world.assert_booked().await;
}

#[tokio::test]
async fn after_the_last_decline_it_ends() {
    let world = World::start().await;
    world.subscribed(BASIC).await;
    use_card(&world, world.card(DECLINED).await).await;
    world.pass_a_month().await;
    let mut seen = Vec::new();
    for _ in 0..5 {
        world.renew().await;
        seen.push(
            world
                .texts(
                    "SELECT status || failed_attempts || ' ' || round(extract(epoch FROM next_billing_at - now()) / 86400)
                     FROM subscription",
                )
                .await
                .remove(0),
        );
        world.pass("6 days").await;
    }
    assert_eq!(seen[..3], ["past_due1 1", "past_due2 3", "past_due3 5"]);
    assert!(
        seen[3..].iter().all(|state| state.starts_with("canceled4")),
        "{seen:?}"
    );
    // The first period, the renewal, three more tries.
    assert_eq!(world.charges().len(), 5);
    assert_eq!(
        world.texts("SELECT status FROM invoice ORDER BY id").await,
        ["paid", "uncollectible"]
    );
}

#[tokio::test]
async fn a_card_that_asks_for_its_holder_counts_as_declined() {
    let world = World::start().await;
    world.subscribed(BASIC).await;
    let asks = world.stripe.card("4000002500003155").await;
    use_card(&world, world.card(&asks).await).await;
    world.pass_a_month().await;
    world.renew().await;
    assert_eq!(
        world
            .texts("SELECT status || failed_attempts FROM subscription")
            .await,
        ["past_due1"]
    );
    assert_eq!(
        world.texts("SELECT status FROM payment ORDER BY id").await,
        ["completed", "canceled"]
    );
    assert_eq!(
        world
            .texts("SELECT operation || number || status FROM payment_attempt ORDER BY payment_id, number")
            .await,
        ["charge1succeeded", "charge1succeeded", "cancel2succeeded"]
    );
    let intents = world.stripe.all("payment_intents").await;
    assert_eq!(
        intents
            .iter()
            .filter(|intent| intent["status"] == "canceled")
            .count(),
        1
    );
}

#[tokio::test]
async fn nothing_is_begun_while_stripe_is_known_to_be_away() {
    let mut world = World::start().await;
    world.subscribed(BASIC).await;
    world.stripe.go_down().await;
    // Trips the breaker.
    while world.env.stripe.is_available() {
        let soon = tokio::time::Instant::now() + std::time::Duration::from_secs(5);
        let _ = world.env.stripe.retrieve_payment_intent("pi_1", soon).await;
    }
    world.pass_a_month().await;
    world.renew().await;
    assert_eq!(world.number("SELECT count(*) FROM invoice").await, 1);
    assert_eq!(
        world
            .number("SELECT count(*) FROM subscription WHERE next_billing_at <= now()")
            .await,
        1
    );
}
