//! What coupons take off, and how often.

use serde_json::json;

use crate::world::{BASIC, GULF, STARTER, TEAM, USER, VISA, World, answer, fields};

#[tokio::test]
async fn a_coupon_lowers_the_first_invoice_in_whole_minor_units() {
    let world = World::start().await;
    world
        .run("UPDATE coupon SET max_redemptions = 3 WHERE code = 'WELCOME10'")
        .await;
    for (user, plan, code, discount, total) in [
        (51, BASIC, "WELCOME10", "1.00", "8.99"),
        (52, BASIC, "FIVEOFF", "5.00", "4.99"),
        (53, STARTER, "WELCOME10", "98", "882"),
        (54, GULF, "WELCOME10", "0.350", "3.150"),
    ] {
        let order = json!({"planId": plan, "paymentMethodId": VISA, "couponCode": code});
        let (status, made) = answer(world.subscribe_raw(user, "k", &order).await).await;
        assert_eq!((status, &made["couponCode"]), (201, &json!(code)), "{made}");
        let list = world
            .send(reqwest::Method::GET, "/api/payments/invoices", user, None, None)
            .await;
        let invoice = answer(list).await.1["items"][0].clone();
        assert_eq!(
            (&invoice["discount"], &invoice["total"]),
            (&json!(discount), &json!(total))
        );
    }
    assert_eq!(
        world
            .texts("SELECT code || count(s.id) FROM coupon JOIN subscription s ON coupon_id = coupon.id GROUP BY coupon.id ORDER BY coupon.id")
            .await,
        ["WELCOME103", "FIVEOFF1"]
    );
    // The fourth of three.
    let order = json!({"planId": BASIC, "paymentMethodId": VISA, "couponCode": "WELCOME10"});
    let refused = answer(world.subscribe_raw(55, "k", &order).await).await;
    assert_eq!(fields(&refused), ["couponCode"]);
    assert_eq!(refused.1["errors"][0]["message"], "has been used up");
}

#[tokio::test]
async fn a_coupon_is_for_its_currency_its_time_and_each_user_once() {
    let world = World::start().await;
    world
        .run(
            "INSERT INTO coupon (code, percent_off, valid_until, is_active)
             VALUES ('OLD', 5, now(), true), ('OFF', 5, NULL, false)",
        )
        .await;
    let order = |plan: i64, code: &str| json!({"planId": plan, "paymentMethodId": VISA, "couponCode": code});
    for (plan, code, message) in [
        (TEAM, "FIVEOFF", "is for plans in USD"),
        (BASIC, "OLD", "is not a coupon that can be used"),
        (BASIC, "OFF", "is not a coupon that can be used"),
    ] {
        let refused = world.subscribe_with("k", &order(plan, code)).await;
        assert_eq!(fields(&refused), ["couponCode"]);
        assert_eq!(refused.1["errors"][0]["message"], message);
    }
    assert_eq!(world.subscribe_with("k", &order(BASIC, "WELCOME10")).await.0, 201);
    let again = world.subscribe_with("other", &order(TEAM, "WELCOME10")).await;
    assert_eq!(fields(&again), ["couponCode"]);
    assert_eq!(again.1["errors"][0]["message"], "has been used");
    assert_eq!(world.number("SELECT count(*) FROM subscription").await, 1);
}

#[tokio::test]
async fn an_invoice_of_nothing_is_paid_without_a_payment() {
    let world = World::start().await;
    world
        .run("INSERT INTO coupon (code, percent_off, duration) VALUES ('FREE', 100, 'forever')")
        .await;
    let order = json!({"planId": BASIC, "paymentMethodId": VISA, "couponCode": "FREE"});
    let made = world.subscribe_with("k", &order).await;
    assert_eq!((made.0, &made.1["status"]), (201, &json!("active")));
    assert_eq!(world.subscribe_with("k", &order).await, made);
    world.pass_a_month().await;
    world.renew().await;
    let invoices = world.invoices().await;
    assert_eq!(invoices.len(), 2);
    for invoice in invoices {
        assert_eq!(invoice["total"], "0.00");
        assert_eq!(
            (&invoice["status"], &invoice["paymentId"]),
            (&json!("paid"), &json!(null))
        );
    }
    assert_eq!(world.number("SELECT count(*) FROM payment").await, 0);
    assert_eq!(world.intents().await, 0);
    // There is no payment to tell of.
    assert!(world.events("subscription.renewed").await.is_empty());
}

#[tokio::test]
async fn the_last_use_of_a_coupon_is_one_users() {
    let world = World::start().await;
    world
        .run("UPDATE coupon SET max_redemptions = 1 WHERE code = 'WELCOME10'")
        .await;
    let order = json!({"planId": BASIC, "paymentMethodId": VISA, "couponCode": "WELCOME10"});
    let (status, _) = answer(world.subscribe_raw(USER, "k", &order).await).await;
    let (second, _) = answer(world.subscribe_raw(43, "k", &order).await).await;
    assert_eq!((status, second), (201, 422));
}
