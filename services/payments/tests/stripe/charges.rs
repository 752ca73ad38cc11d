//! Charging and what may follow.

use payments::stripe::{
    CreatePaymentIntent, CreateRefund, IdempotencyKey, IntentOutcome, RefundStatus, StripeError,
};
use time::OffsetDateTime;

use crate::support::{Bench, charge_key, soon};

#[tokio::test]
async fn a_charge_succeeds_and_the_same_key_gives_the_same_one() {
    let bench = Bench::start().await;
    let first = bench.charge().await.expect("charged");
    assert!(matches!(first.outcome(), IntentOutcome::Succeeded { .. }));
    assert_eq!(
        (first.amount, first.currency.as_str(), first.payment_id()),
        (1000, "usd", Some(7))
    );
    assert_eq!(first.customer.as_deref(), Some(bench.customer.as_str()));
    let second = bench.charge().await.expect("charged");
    assert_eq!(first.id, second.id);
    assert_eq!(bench.intents().await, 1);

    let found = bench.stripe.retrieve_payment_intent(&first.id, soon()).await;
    assert_eq!(found.expect("an answer").map(|intent| intent.id), Some(first.id));
    let none = bench.stripe.retrieve_payment_intent("pi_none", soon()).await;
    assert_eq!(none, Ok(None));
}

#[tokio::test]
async fn an_amount_is_in_the_currency_s_own_minor_units_as_the_monolith_sends_it() {
    let bench = Bench::start().await;
    for (currency, amount) in [("JPY", 500), ("USD", 1000), ("KWD", 1250)] {
        let payment = CreatePaymentIntent {
            amount,
            currency,
            ..bench.payment()
        };
        let charged = bench.charge_as(&payment, currency).await.expect("charged");
        assert_eq!(
            (charged.amount, charged.currency),
            (amount, currency.to_lowercase())
        );
    }
}

#[tokio::test]
async fn a_decline_is_certain_and_names_its_intent() {
    let bench = Bench::start().await;
    let card = bench.attached("4000000000000341").await;
    let payment = CreatePaymentIntent {
        payment_method: &card,
        off_session: true,
        ..bench.payment()
    };
    for _ in 0..2 {
        let Err(StripeError::Declined(decline)) = bench.charge_as(&payment, "one").await else {
            panic!("no decline");
        };
        assert_eq!(decline.answer.code.as_deref(), Some("card_declined"));
        assert_eq!(decline.message.as_deref(), Some("Your card was declined."));
        assert!(decline.answer.request_id.is_some());
        let intents = bench.server.all("payment_intents").await;
        assert_eq!(intents.len(), 1);
        assert_eq!(decline.payment_intent.as_deref(), intents[0]["id"].as_str());
    }
    let found = bench
        .stripe
        .find_payment_intent(7, &bench.customer, OffsetDateTime::now_utc(), soon())
        .await
        .expect("an answer")
        .expect("an intent");
    assert!(
        matches!(found.outcome(), IntentOutcome::Declined(error) if error.code.as_deref() == Some("card_declined"))
    );
}

#[tokio::test]
async fn a_card_may_want_its_owner_and_the_payment_can_be_given_up() {
    let bench = Bench::start().await;
    let card = bench.attached("4000002500003155").await;
    let payment = CreatePaymentIntent {
        payment_method: &card,
        ..bench.payment()
    };
    let waiting = bench.charge_as(&payment, "one").await.expect("an intent");
    assert_eq!(waiting.outcome(), IntentOutcome::RequiresAction);
    let canceled = bench
        .stripe
        .cancel_payment_intent(&waiting.id, &IdempotencyKey::cancel(7), soon())
        .await
        .expect("canceled");
    assert_eq!(canceled.outcome(), IntentOutcome::Canceled);
}

#[tokio::test]
async fn what_is_refused_says_so_and_leaves_nothing() {
    let bench = Bench::start().await;
    let payment = CreatePaymentIntent {
        payment_method: "pm_none",
        ..bench.payment()
    };
    let refused = bench.charge_as(&payment, "one").await;
    assert!(matches!(refused, Err(StripeError::Refused(_))), "{refused:?}");
    assert_eq!(bench.intents().await, 0);
    assert_eq!(bench.charges_seen().len(), 1, "not asked again");
    // A key whose request was refused can be used for the mended one.
    assert!(bench.charge().await.is_ok());
    let other = CreatePaymentIntent {
        payment_id: 8,
        ..bench.payment()
    };
    let taken = bench.charge_as(&other, "one").await.expect_err("a used key");
    assert!(taken.is_unknown(), "{taken}");
    assert_eq!(bench.intents().await, 1);
}

#[tokio::test]
async fn what_is_reserved_can_be_taken_in_part_and_once() {
    let bench = Bench::start().await;
    let reserved = bench.reserve().await;
    assert_eq!(reserved.outcome(), IntentOutcome::RequiresCapture);
    let key = IdempotencyKey::capture(7);
    for _ in 0..2 {
        let captured = bench
            .stripe
            .capture_payment_intent(&reserved.id, 400, &key, soon())
            .await
            .expect("captured");
        assert!(matches!(captured.outcome(), IntentOutcome::Succeeded { .. }));
    }
    // Too late: the intent as it is says why.
    let canceled = bench
        .stripe
        .cancel_payment_intent(&reserved.id, &IdempotencyKey::cancel(7), soon())
        .await
        .expect("the intent as it is");
    assert!(matches!(canceled.outcome(), IntentOutcome::Succeeded { .. }));
    // What the capture gave free is no refund of ours.
    assert_eq!(bench.stripe.refunds_of(&reserved.id, soon()).await, Ok(vec![]));
}

#[tokio::test]
async fn what_is_reserved_can_be_given_free_and_more_than_it_cannot_be_taken() {
    let bench = Bench::start().await;
    let reserved = bench.reserve().await;
    let too_much = bench
        .stripe
        .capture_payment_intent(&reserved.id, 1001, &IdempotencyKey::capture(7), soon())
        .await
        .expect("the intent as it is");
    assert_eq!(too_much.outcome(), IntentOutcome::RequiresCapture);
    let canceled = bench
        .stripe
        .cancel_payment_intent(&reserved.id, &IdempotencyKey::cancel(7), soon())
        .await
        .expect("canceled");
    assert_eq!(canceled.outcome(), IntentOutcome::Canceled);
    let captured = bench
        .stripe
        .capture_payment_intent(&reserved.id, 1000, &IdempotencyKey::capture(8), soon())
        .await
        .expect("the intent as it is");
    assert_eq!(captured.outcome(), IntentOutcome::Canceled);
    let missing = bench
        .stripe
        .cancel_payment_intent("pi_none", &IdempotencyKey::cancel(8), soon())
        .await;
    assert!(matches!(missing, Err(StripeError::Refused(_))), "{missing:?}");
}

#[tokio::test]
async fn a_refund_is_made_once_and_found_again() {
    let bench = Bench::start().await;
    let intent = bench.charge().await.expect("charged").id;
    let refund = CreateRefund {
        refund_id: 9,
        payment_intent: &intent,
        amount: 300,
        reason: "requested_by_customer",
    };
    let key = IdempotencyKey::refund(7, "r").expect("a key");
    let first = bench
        .stripe
        .create_refund(&refund, &key, soon())
        .await
        .expect("refunded");
    let second = bench
        .stripe
        .create_refund(&refund, &key, soon())
        .await
        .expect("refunded");
    assert_eq!(first, second);
    assert_eq!(
        (
            first.status,
            first.amount,
            first.refund_id(),
            first.failure_code()
        ),
        (RefundStatus::Succeeded, 300, Some(9), None)
    );
    let listed = bench.stripe.refunds_of(&intent, soon()).await;
    assert_eq!(listed, Ok(vec![first.clone()]));
    let found = bench.stripe.retrieve_refund(&first.id, soon()).await;
    assert_eq!(found, Ok(Some(first)));
    assert_eq!(bench.stripe.retrieve_refund("re_none", soon()).await, Ok(None));
    let refused = CreateRefund {
        payment_intent: "pi_none",
        ..refund
    };
    let other = IdempotencyKey::refund(7, "s").expect("a key");
    let refused = bench.stripe.create_refund(&refused, &other, soon()).await;
    assert!(matches!(refused, Err(StripeError::Refused(_))), "{refused:?}");
}

#[tokio::test]
async fn a_charge_is_found_by_its_payment_among_many_and_no_other_is() {
    let bench = Bench::start().await;
    let started = OffsetDateTime::now_utc();
    let mut wanted = None;
    for payment_id in 1..=105 {
        let payment = CreatePaymentIntent {
            payment_id,
            ..bench.payment()
        };
        let key = charge_key(&payment_id.to_string());
        let charged = bench.stripe.create_payment_intent(&payment, &key, soon()).await;
        wanted = Some(charged.expect("charged").id);
    }
    let find = |payment_id, created_at| {
        bench
            .stripe
            .find_payment_intent(payment_id, &bench.customer, created_at, soon())
    };
    // On the second page.
    let found = find(105, started).await.expect("an answer");
    assert_eq!(found.map(|intent| intent.id), wanted);
    assert_eq!(find(106, started).await, Ok(None));
    let too_young = started + time::Duration::hours(1);
    assert_eq!(find(105, too_young).await, Ok(None));
    let stranger = bench
        .stripe
        .find_payment_intent(105, "cus_stranger", started, soon());
    assert_eq!(stranger.await, Ok(None));
}
