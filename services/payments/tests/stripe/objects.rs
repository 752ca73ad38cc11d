//! Customers, cards, payouts, disputes and the balance.

use futures::TryStreamExt as _;
use payments::stripe::{
    BalanceTransactionKind, CreatePayout, CreateRefund, Created, IdempotencyKey, PayoutStatus, StripeError,
};
use time::{Duration, OffsetDateTime};

use crate::support::{Bench, soon};

fn key(text: &str) -> IdempotencyKey {
    IdempotencyKey::new(text).expect("a key")
}

#[tokio::test]
async fn a_user_has_one_customer_however_often_it_is_asked_for() {
    let bench = Bench::start().await;
    let again = bench
        .stripe
        .create_customer(42, soon())
        .await
        .expect("a customer");
    assert_eq!(again.id, bench.customer);
    let other = bench
        .stripe
        .create_customer(43, soon())
        .await
        .expect("a customer");
    assert_ne!(other.id, bench.customer);
    assert_eq!(bench.server.all("customers").await.len(), 2);
    let found = bench.stripe.retrieve_customer(&other.id, soon()).await;
    assert_eq!(found, Ok(Some(other)));
    assert_eq!(bench.stripe.retrieve_customer("cus_none", soon()).await, Ok(None));
}

#[tokio::test]
async fn a_card_is_looked_at_attached_listed_and_detached() {
    let bench = Bench::start().await;
    let found = bench
        .stripe
        .retrieve_payment_method("pm_card_visa", soon())
        .await
        .expect("a test card");
    let card = found.card.as_ref().expect("a card");
    assert_eq!((card.brand.as_str(), card.last4.as_str()), ("visa", "4242"));
    assert_eq!((card.exp_month, card.exp_year), (12, 2030));
    assert!(!card.fingerprint.is_empty());
    assert_eq!(found.customer, None);

    let attached = bench
        .stripe
        .attach_payment_method(&found.id, &bench.customer, &key("a"), soon())
        .await
        .expect("attached");
    assert_eq!(attached.customer.as_deref(), Some(bench.customer.as_str()));
    let listed = bench.stripe.list_payment_methods(&bench.customer, soon()).await;
    assert_eq!(listed, Ok(vec![attached.clone()]));

    for text in ["d1", "d2"] {
        let detached = bench
            .stripe
            .detach_payment_method(&found.id, &key(text), soon())
            .await;
        assert_eq!(detached, Ok(()), "again is fine");
    }
    let missing = bench
        .stripe
        .detach_payment_method("pm_none", &key("d3"), soon())
        .await;
    assert_eq!(missing, Ok(()));
    let listed = bench.stripe.list_payment_methods(&bench.customer, soon()).await;
    assert_eq!(listed, Ok(vec![]));
}

#[tokio::test]
async fn a_card_may_be_declined_or_unknown_when_it_is_attached() {
    let bench = Bench::start().await;
    let declined = bench
        .stripe
        .retrieve_payment_method("pm_card_visa_chargeDeclined", soon())
        .await
        .expect("a test card");
    let attached = bench
        .stripe
        .attach_payment_method(&declined.id, &bench.customer, &key("a"), soon())
        .await;
    assert!(matches!(attached, Err(StripeError::Declined(_))), "{attached:?}");
    // Known to Stripe by this name, to localstripe by another.
    let alias = bench
        .stripe
        .retrieve_payment_method("pm_card_chargeDeclined", soon())
        .await;
    assert!(alias.is_ok(), "{alias:?}");
    for unknown in ["pm_none", "", "..", "pm_1/attach", "?limit=1"] {
        let found = bench.stripe.retrieve_payment_method(unknown, soon()).await;
        assert!(
            matches!(found, Err(StripeError::Refused(_))),
            "{unknown}: {found:?}"
        );
    }
}

#[tokio::test]
async fn a_payout_is_made_once_found_again_and_refused_in_other_currencies() {
    let bench = Bench::start().await;
    let new = CreatePayout {
        payout_id: 5,
        amount: 5000,
        currency: "EUR",
    };
    let first = bench.stripe.create_payout(&new, soon()).await.expect("a payout");
    let second = bench.stripe.create_payout(&new, soon()).await.expect("a payout");
    assert_eq!(first, second);
    assert_eq!(
        (first.status, first.amount, first.payout_id()),
        (PayoutStatus::Pending, 5000, Some(5))
    );
    let hour_ago = Created::since(OffsetDateTime::now_utc() - Duration::hours(1));
    let found = bench.stripe.find_payout(5, hour_ago, soon()).await;
    assert_eq!(found, Ok(Some(first.clone())));
    assert_eq!(bench.stripe.find_payout(6, hour_ago, soon()).await, Ok(None));
    let to_come = Created::since(OffsetDateTime::now_utc() + Duration::hours(1));
    assert_eq!(bench.stripe.find_payout(5, to_come, soon()).await, Ok(None));
    let found = bench.stripe.retrieve_payout(&first.id, soon()).await;
    assert_eq!(found, Ok(Some(first)));
    assert_eq!(bench.stripe.retrieve_payout("po_none", soon()).await, Ok(None));
    let dollars = CreatePayout {
        payout_id: 6,
        currency: "USD",
        ..new
    };
    let refused = bench.stripe.create_payout(&dollars, soon()).await;
    assert!(matches!(refused, Err(StripeError::Refused(_))), "{refused:?}");
}

#[tokio::test]
async fn the_balance_tells_of_every_movement_of_a_time_across_pages() {
    let bench = Bench::start().await;
    for number in 0..102 {
        bench
            .charge_as(&bench.payment(), &number.to_string())
            .await
            .expect("charged");
    }
    let intent = bench.charge().await.expect("charged").id;
    let refund = CreateRefund {
        refund_id: 9,
        payment_intent: &intent,
        amount: 300,
        reason: "",
    };
    let refunded = bench.stripe.create_refund(&refund, &key("r"), soon()).await;
    let refunded = refunded.expect("refunded").id;
    let now = OffsetDateTime::now_utc();
    let listed = |from, until| {
        let created = Created {
            from: Some(from),
            until: Some(until),
        };
        bench
            .stripe
            .list_balance_transactions(created, soon())
            .try_collect::<Vec<_>>()
    };
    let hour = Duration::hours(1);
    let movements = listed(now - hour, now + hour).await.expect("a list");
    assert_eq!(movements.len(), 104);
    assert_eq!(movements.iter().map(|one| one.net).sum::<i64>(), 103 * 1000 - 300);
    let refunds: Vec<_> = movements
        .iter()
        .filter(|one| one.kind == BalanceTransactionKind::Refund)
        .collect();
    assert_eq!(refunds.len(), 1);
    assert_eq!((refunds[0].amount, refunds[0].fee), (-300, 0));
    let source = refunds[0].source.as_ref().expect("a source");
    assert_eq!(source.id, refunded);
    assert_eq!(source.payment_intent.as_deref(), Some(intent.as_str()));
    assert_eq!(source.moved, Some((300, "usd".to_owned())));
    assert_eq!(listed(now + hour, now + hour * 2).await, Ok(vec![]));
}

#[tokio::test]
async fn a_dispute_is_none_where_there_are_none() {
    let bench = Bench::start().await;
    assert_eq!(bench.stripe.retrieve_dispute("dp_1", soon()).await, Ok(None));
    let listed = bench.stripe.list_disputes(Created::default(), soon());
    let listed: Result<Vec<_>, _> = listed.try_collect().await;
    assert!(listed.expect_err("localstripe knows no disputes").is_unknown());
}
