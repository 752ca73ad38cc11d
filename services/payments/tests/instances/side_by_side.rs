//! Two instances at work on the same things.

use banyan_dev_sinks::stripe::{Fault, FaultRule};
use serde_json::json;

use crate::stage::{Stage, order};

const CHARGES: i64 = 16;

#[tokio::test]
async fn a_second_instance_of_every_role_doubles_nothing() {
    let stage = Stage::start().await;
    let (one, other) = tokio::join!(stage.instance(), stage.instance());

    // The same keys at both at once, and the refunds of every second payment.
    let pay = async |user_id: i64| {
        let key = format!("charge-{user_id}");
        let order = order();
        let (urls, path) = ([&one, &other], "/api/payments/charge");
        let [a, b] = urls.map(|instance| instance.url(path));
        let (first, second) = tokio::join!(
            stage.settle(&a, user_id, &key, &order),
            stage.settle(&b, user_id, &key, &order)
        );
        assert_eq!(first, second);
        assert_eq!(first.0, 201, "{first:?}");
        if user_id % 2 == 0 {
            let path = format!("/api/payments/{}/refunds", first.1["id"]);
            let [a, b] = urls.map(|instance| instance.url(&path));
            let part = json!({ "amount": "4.00" });
            let (first, second) = tokio::join!(
                stage.settle(&a, user_id, "refund", &part),
                stage.settle(&b, user_id, "refund", &part)
            );
            assert_eq!(first, second);
            assert_eq!(first.0, 201, "{first:?}");
        }
    };
    futures::future::join_all((1..=CHARGES).map(pay)).await;
    stage.assert_charged(CHARGES).await;
    let refunds = CHARGES / 2;
    assert_eq!(
        i64::try_from(stage.stripe.all("refunds").await.len()).unwrap(),
        refunds
    );

    // A charge whose answer got lost is due at both jobs.
    stage
        .stripe
        .inject(FaultRule::once(Fault::AnswerLost, "POST", "/v1/payment_intents"));
    let lost = stage
        .once(
            reqwest::Method::POST,
            &one.url("/api/payments/charge"),
            1,
            Some(&order()),
        )
        .await;
    assert_eq!(lost.unwrap(), 202);
    stage
        .run(
            "UPDATE payment SET created_at = created_at - interval '5 minutes' WHERE status = 'pending';
             UPDATE payment_attempt SET started_at = started_at - interval '5 minutes' WHERE finished_at IS NULL OR status = 'unknown'",
        )
        .await;
    stage
        .wait_count(
            "the lost charge",
            "SELECT count(*) FROM payment WHERE status = 'pending'",
            0,
        )
        .await;

    // A subscription that is due at both jobs; so are the payouts of what was paid long ago.
    let plan = json!({ "planId": 1, "paymentMethodId": "pm_card_visa" });
    let url = one.url("/api/payments/subscriptions");
    assert_eq!(stage.settle(&url, 1, "subscribe", &plan).await.0, 201);
    stage
        .run(
            "UPDATE subscription SET billing_anchor = billing_anchor - interval '32 days',
               current_period_start = current_period_start - interval '32 days',
               current_period_end = current_period_end - interval '32 days',
               next_billing_at = next_billing_at - interval '32 days';
             UPDATE invoice SET period_start = period_start - interval '32 days', period_end = period_end - interval '32 days'",
        )
        .await;
    stage
        .wait_count(
            "the renewal",
            "SELECT count(*) FROM invoice WHERE status = 'paid'",
            2,
        )
        .await;
    let charged = CHARGES + 3;
    stage.assert_charged(charged).await;
    stage
        .run("UPDATE payment SET completed_at = completed_at - interval '30 days', created_at = created_at - interval '30 days'")
        .await;
    // localstripe refuses payouts but in EUR: it is asked once all the same.
    stage
        .wait_count(
            "the payout",
            "SELECT count(*) FROM payout WHERE status <> 'pending'",
            1,
        )
        .await;

    let mut expected = vec!["payment.completed"; usize::try_from(charged).unwrap()];
    expected.extend(vec!["payment.refunded"; usize::try_from(refunds).unwrap()]);
    expected.push("subscription.renewed");
    assert_eq!(stage.published().await, expected);
}
