//! Payment methods: who is the default, and whose they are.

use payments::storage::method::{Detached, NewMethod, by_stripe_id, detach, keep, of_user, same_card};
use sqlx::Connection;
use time::Duration;

use crate::stage::{CUSTOMER, METHOD, NOW, Stage, USER};

fn card(stripe_id: &str) -> NewMethod<'_> {
    NewMethod {
        stripe_payment_method_id: stripe_id,
        brand: "visa",
        last4: "4242",
        exp_month: 12,
        exp_year: 2030,
        fingerprint: Some("fp_1"),
    }
}

async fn defaults(stage: &Stage) -> Vec<String> {
    stage
        .texts("SELECT stripe_payment_method_id FROM payment_method WHERE customer_id = 1 AND is_default")
        .await
}

#[tokio::test]
async fn the_first_card_is_the_default_and_the_newest_other_follows_it() {
    let stage = Stage::new().await;
    let mut connection = stage.connection().await;
    for (place, id) in ["pm_a", "pm_b"].into_iter().enumerate() {
        let mut transaction = connection.begin().await.unwrap();
        let now = NOW + Duration::days(400 + i64::try_from(place).unwrap());
        let kept = keep(&mut transaction, CUSTOMER, &card(id), now).await.unwrap();
        assert!(!kept.unwrap().is_default);
        transaction.commit().await.unwrap();
    }
    assert_eq!(defaults(&stage).await, ["pm_1"]);
    let mut transaction = connection.begin().await.unwrap();
    assert_eq!(
        detach(&mut transaction, USER, METHOD, NOW).await.unwrap(),
        Detached::Done("pm_1".into())
    );
    transaction.commit().await.unwrap();
    assert_eq!(defaults(&stage).await, ["pm_b"]);
    let left = of_user(&mut connection, USER, None, 50).await.unwrap();
    assert_eq!(
        left.iter()
            .map(|method| method.stripe_payment_method_id.as_str())
            .collect::<Vec<_>>(),
        ["pm_b", "pm_a"]
    );
    let after = Some((left[0].created_at, left[0].id));
    assert_eq!(
        of_user(&mut connection, USER, after, 50).await.unwrap(),
        left[1..]
    );
    // Attached again it is one of several, and not the default.
    let again = keep(&mut connection, CUSTOMER, &card("pm_1"), NOW)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((again.id, again.is_default), (METHOD, false));
    assert_eq!(of_user(&mut connection, USER, None, 50).await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_card_kept_twice_stays_as_it_is() {
    let stage = Stage::new().await;
    let mut connection = stage.connection().await;
    let kept = keep(&mut connection, CUSTOMER, &card("pm_1"), NOW)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((kept.id, kept.is_default), (METHOD, true));
}

#[tokio::test]
async fn a_card_of_another_customer_is_nobody_elses() {
    let stage = Stage::new().await;
    let mut connection = stage.connection().await;
    assert_eq!(
        keep(&mut connection, CUSTOMER, &card("pm_2"), NOW).await.unwrap(),
        None
    );
    assert_eq!(
        by_stripe_id(&mut connection, CUSTOMER, "pm_2").await.unwrap(),
        None
    );
    assert_eq!(
        detach(&mut connection, USER, 2, NOW).await.unwrap(),
        Detached::Missing
    );
    assert_eq!(
        detach(&mut connection, 99, 2, NOW).await.unwrap(),
        Detached::Missing
    );
    assert_eq!(
        by_stripe_id(&mut connection, CUSTOMER, "pm_1")
            .await
            .unwrap()
            .unwrap()
            .id,
        METHOD
    );
}

#[tokio::test]
async fn the_same_card_is_found_by_stripes_fingerprint() {
    let stage = Stage::new().await;
    let mut connection = stage.connection().await;
    assert_eq!(
        same_card(&mut connection, CUSTOMER, &card("pm_new"))
            .await
            .unwrap(),
        None
    );
    let kept = keep(&mut connection, CUSTOMER, &card("pm_a"), NOW).await.unwrap();
    assert_eq!(
        same_card(&mut connection, CUSTOMER, &card("pm_new"))
            .await
            .unwrap(),
        kept
    );
    for other in [
        NewMethod {
            fingerprint: None,
            ..card("pm_new")
        },
        NewMethod {
            exp_year: 2031,
            ..card("pm_new")
        },
    ] {
        assert_eq!(same_card(&mut connection, CUSTOMER, &other).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_card_that_a_subscription_needs_is_not_detached() {
    let stage = Stage::new().await;
    stage
        .run("INSERT INTO subscription (user_id, customer_id, plan_id, payment_method_id, currency, idempotency_key, request_fingerprint,
                billing_anchor, current_period_start, current_period_end, next_billing_at)
              VALUES (42, 1, 1, 1, 'USD', 'k', repeat('0', 64), now(), now(), now() + interval '1 month', now())")
        .await;
    let mut connection = stage.connection().await;
    assert_eq!(
        detach(&mut connection, USER, METHOD, NOW).await.unwrap(),
        Detached::InUse
    );
    stage
        .run("UPDATE subscription SET status = 'canceled', canceled_at = now()")
        .await;
    assert_eq!(
        detach(&mut connection, USER, METHOD, NOW).await.unwrap(),
        Detached::Done("pm_1".into())
    );
    assert_eq!(defaults(&stage).await, Vec::<String>::new());
}
