//! From one plan to another: a new subscription, with credit for the unused time of the old one.

use banyan_dev_sinks::stripe::Fault;
use payments::domain::payment::{ChargeResult, Outcome, Reason};
use payments::storage::payment;
use payments::use_cases::settle::settle;
use serde_json::{Value, json};

use crate::world::{BASIC, DECLINED, GULF, PRO, STARTER, VISA, World, problem};

/// Lets half of every current period be over, to the microsecond at most a minute ago.
const HALFWAY: &str = "
    UPDATE invoice i SET period_start = now() - (s.current_period_end - s.current_period_start) / 2
      FROM subscription s WHERE s.id = i.subscription_id;
    UPDATE subscription SET current_period_start = now() - (current_period_end - current_period_start) / 2,
      current_period_end = now() + (current_period_end - current_period_start) / 2";

fn amounts(invoice: &Value) -> Vec<&str> {
    let lines = invoice["lines"].as_array().unwrap();
    lines
        .iter()
        .map(|line| line["amount"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn a_switch_credits_the_unused_time_and_ends_the_old_plan() {
    let world = World::start().await;
    let old = world.subscribed(BASIC).await;
    world.run(HALFWAY).await;
    let (status, new) = world.subscribe(PRO, VISA).await;
    assert_eq!((status, &new["status"]), (201, &json!("active")));
    assert_ne!(new["id"], json!(old));
    assert_eq!(
        world.texts("SELECT status FROM subscription ORDER BY id").await,
        ["canceled", "active"]
    );
    assert_eq!(
        world
            .number("SELECT count(*) FROM subscription WHERE canceled_at IS NOT NULL")
            .await,
        1
    );
    let invoice = world.invoices().await.remove(0);
    // A moment less than half is unused: 9.99 / 2, rounded in the customer's favour.
    assert_eq!(amounts(&invoice), ["29.00", "-5.00"]);
    assert_eq!(
        invoice["lines"][1]["description"],
        "Unused time of Basic, monthly"
    );
    assert_eq!(invoice["lines"][1]["proration"], true);
    assert_eq!(
        (&invoice["subtotal"], &invoice["discount"], &invoice["total"]),
        (&json!("24.00"), &json!("0.00"), &json!("24.00"))
    );
    assert_eq!(
        world
            .number("SELECT amount_minor FROM payment ORDER BY id DESC LIMIT 1")
            .await,
        2400
    );
    // A switch is no renewal.
    assert!(world.events("subscription.renewed").await.is_empty());
}

#[tokio::test]
async fn credits_are_in_the_plans_own_decimals_and_for_what_was_paid() {
    let world = World::start().await;
    world
        .run(
            "INSERT INTO plan (id, code, name, amount_minor, currency, interval) VALUES
               (10, 'better-jpy', 'Better', 2000, 'JPY', 'month'), (11, 'better-kwd', 'Better', 7005, 'KWD', 'month')",
        )
        .await;
    let order = json!({"planId": STARTER, "paymentMethodId": VISA, "couponCode": "WELCOME10"});
    assert_eq!(world.subscribe_with("k", &order).await.0, 201);
    world.subscribed(GULF).await;
    world.run(HALFWAY).await;
    assert_eq!(world.subscribe(10, VISA).await.0, 201);
    assert_eq!(world.subscribe(11, VISA).await.0, 201);
    let invoices = world.invoices().await;
    assert_eq!(amounts(&invoices[0]), ["7.005", "-1.750"]);
    assert_eq!(invoices[0]["total"], "5.255");
    // 882 were paid after the discount.
    assert_eq!(amounts(&invoices[1]), ["2000", "-441"]);
}

#[tokio::test]
async fn a_switch_that_would_pay_out_is_409_and_changes_nothing() {
    let world = World::start().await;
    world.subscribed(PRO).await;
    let refused = world.subscribe(BASIC, VISA).await;
    assert_eq!(problem(&refused), (409, "invalid-state"));
    assert_eq!(world.texts("SELECT status FROM subscription").await, ["active"]);
    assert_eq!(world.invoices().await.len(), 1);
}

#[tokio::test]
async fn a_declined_switch_leaves_the_old_plan() {
    let world = World::start().await;
    world.subscribed(BASIC).await;
    let bad = world.card(DECLINED).await;
    assert_eq!(world.subscribe(PRO, bad).await.0, 402);
    assert_eq!(
        world.texts("SELECT status FROM subscription ORDER BY id").await,
        ["active", "incomplete_expired"]
    );
}

#[tokio::test]
async fn an_unpaid_plan_is_not_switched_from() {
    let world = World::start().await;
    world.subscribed(BASIC).await;
    let bad = world.card(DECLINED).await;
    sqlx::query("UPDATE subscription SET payment_method_id = $1")
        .bind(bad)
        .execute(&world.db.pool)
        .await
        .unwrap();
    world.pass_a_month().await;
    world.renew().await;
    assert_eq!(world.texts("SELECT status FROM subscription").await, ["past_due"]);
    let refused = world.subscribe(PRO, VISA).await;
    assert_eq!(problem(&refused), (409, "invalid-state"));
}

#[tokio::test]
async fn the_old_plan_is_not_billed_while_a_switch_is_undecided() {
    let world = World::start().await;
    world.subscribed(BASIC).await;
    let card = world.card(VISA).await;
    world.next_charge(Fault::AnswerLost);
    let order = json!({"planId": PRO, "paymentMethodId": card});
    assert_eq!(world.subscribe_with("k", &order).await.0, 202);
    world
        .run("UPDATE subscription SET next_billing_at = now() WHERE status = 'active'")
        .await;
    world.renew().await;
    assert_eq!(world.intents().await, 2);
    assert_eq!(world.subscribe_with("k", &order).await.0, 201);
    assert_eq!(
        world.texts("SELECT status FROM subscription ORDER BY id").await,
        ["canceled", "active"]
    );
    assert_eq!(world.intents().await, 2);
}

#[tokio::test]
async fn a_renewal_of_the_old_plan_that_comes_through_after_the_switch_is_given_back() {
    let world = World::start().await;
    world.subscribed(BASIC).await;
    world.pass_a_month().await;
    world.next_charge(Fault::Reset);
    world.renew().await;
    let id = world
        .number("SELECT id FROM payment WHERE status = 'pending'")
        .await;
    // Its period is over, so there is no credit.
    world.subscribed(PRO).await;
    assert_eq!(amounts(&world.invoices().await[0]), ["29.00"]);
    assert_eq!(
        world.texts("SELECT status FROM invoice ORDER BY id").await,
        ["paid", "void", "paid"]
    );
    let pending = payment::get(&mut world.db.pool.acquire().await.unwrap(), id)
        .await
        .unwrap()
        .unwrap();
    let outcome = Outcome {
        intent_id: Some("pi_late".to_owned()),
        ..Outcome::of(ChargeResult::Succeeded)
    };
    settle(&world.env, &pending, &outcome, Reason::Reconcile)
        .await
        .unwrap();
    assert_eq!(world.number("SELECT payment_id FROM refund").await, id);
    assert_eq!(
        world.texts("SELECT status FROM subscription ORDER BY id").await,
        ["canceled", "active"]
    );
}
