//! What goes wrong on the way: the right outcome, under the same key, and never two charges.

use std::num::NonZeroU32;
use std::time::Duration;

use banyan_dev_sinks::stripe::{Fault, FaultRule};
use payments::stripe::{IntentOutcome, NotSent, StripeError, Unknown, UnknownReason};
use tokio::time::Instant;

use crate::support::{Bench, INTENTS, charge_key, soon};

fn fault(fault: Fault, times: u32) -> FaultRule {
    let mut rule = FaultRule::once(fault, "POST", INTENTS);
    rule.times = NonZeroU32::new(times).expect("not zero");
    rule
}

fn reason(result: Result<payments::stripe::PaymentIntent, StripeError>) -> UnknownReason {
    match result {
        Err(StripeError::Unknown(Unknown { reason, .. })) => reason,
        other => panic!("not unknown: {other:?}"),
    }
}

async fn without_retries() -> Bench {
    Bench::with(|stripe| stripe["retry"]["max_retries"] = 0.into()).await
}

#[tokio::test]
async fn a_lost_answer_is_unknown_and_asked_for_again_it_is_the_same_charge() {
    let bench = without_retries().await;
    bench.server.inject(fault(Fault::AnswerLost, 1));
    assert_eq!(reason(bench.charge().await), UnknownReason::ConnectionLost);
    assert_eq!(bench.intents().await, 1, "it was charged all the same");
    let charged = bench.charge().await.expect("charged");
    assert!(matches!(charged.outcome(), IntentOutcome::Succeeded { .. }));
    assert_eq!(bench.intents().await, 1);
}

#[tokio::test]
async fn a_lost_answer_a_reset_and_a_429_are_got_over_under_the_same_key() {
    for (kind, executed) in [(Fault::AnswerLost, 1), (Fault::Reset, 1), (Fault::RateLimit, 1)] {
        let bench = Bench::start().await;
        bench.server.inject(fault(kind, 2));
        let charged = bench.charge().await.expect("charged");
        assert!(
            matches!(charged.outcome(), IntentOutcome::Succeeded { .. }),
            "{kind:?}"
        );
        let seen = bench.charges_seen();
        assert_eq!(seen.len(), 3, "{kind:?}: {seen:?}");
        assert_eq!(seen.iter().filter(|(_, ran)| *ran).count(), executed, "{kind:?}");
        assert_eq!(bench.intents().await, 1, "{kind:?}");
    }
}

#[tokio::test]
async fn a_reset_is_unknown() {
    let bench = without_retries().await;
    bench.server.inject(fault(Fault::Reset, 1));
    assert_eq!(reason(bench.charge().await), UnknownReason::ConnectionLost);
}

#[tokio::test]
async fn a_429_is_known_to_have_done_nothing() {
    let bench = without_retries().await;
    bench.server.inject(fault(Fault::RateLimit, 1));
    let limited = bench.charge().await.expect_err("a 429");
    assert!(matches!(&limited, StripeError::RateLimited(answer) if answer.status == 429));
    assert!(limited.request_id().is_some());
    assert_eq!(bench.intents().await, 0);
}

#[tokio::test]
async fn a_server_error_is_unknown_and_what_stripe_keeps_of_it_is_not_asked_for_for_ever() {
    let bench = Bench::with(|stripe| stripe["retry"]["max_retries"] = 5.into()).await;
    bench.server.inject(fault(Fault::ServerError, 1));
    let error = bench.charge().await.expect_err("a 500");
    assert!(error.is_unknown());
    assert_eq!(error.answer().map(|answer| answer.status), Some(500));
    assert!(error.request_id().is_some());
    // The first answer, and the kept one.
    assert_eq!(bench.charges_seen(), [(Some(500), false), (Some(500), false)]);
    assert_eq!(bench.intents().await, 0);
    for _ in 0..10 {
        assert_eq!(reason(bench.charge().await), UnknownReason::ServerError);
    }
    assert!(
        bench.stripe.is_available(),
        "one charge's kept error is no outage"
    );
}

#[tokio::test]
async fn an_answer_that_comes_too_late_is_unknown_and_there_is_one_charge() {
    let bench = Bench::with(|stripe| {
        stripe["timeout_ms"] = 1000.into();
        stripe["retry"]["max_retries"] = 0.into();
    })
    .await;
    bench
        .server
        .inject(fault(Fault::Delay, 1).delayed_by(Duration::from_secs(4)));
    assert_eq!(reason(bench.charge().await), UnknownReason::Timeout);
    // It is being worked on.
    assert_eq!(reason(bench.charge().await), UnknownReason::Conflict);
    bench
        .server
        .wait_for_requests(|seen| {
            seen.iter()
                .any(|one| one.path == INTENTS && one.executed && one.done)
        })
        .await;
    assert!(bench.charge().await.is_ok());
    assert_eq!(bench.intents().await, 1);
}

#[tokio::test]
async fn a_caller_waits_no_longer_than_its_deadline() {
    let bench = Bench::start().await;
    bench
        .server
        .inject(fault(Fault::Delay, 1).delayed_by(Duration::from_secs(20)));
    let started = Instant::now();
    let deadline = started + Duration::from_millis(300);
    let key = charge_key("one");
    let late = bench
        .stripe
        .create_payment_intent(&bench.payment(), &key, deadline)
        .await;
    assert_eq!(reason(late), UnknownReason::Timeout);
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );

    let passed = bench
        .stripe
        .create_payment_intent(&bench.payment(), &charge_key("two"), started)
        .await;
    assert_eq!(passed, Err(StripeError::NotSent(NotSent::DeadlinePassed)));
    assert_eq!(bench.charges_seen().len(), 1);
}

#[tokio::test]
async fn a_read_is_asked_again_too() {
    let bench = Bench::start().await;
    let intent = bench.charge().await.expect("charged").id;
    let path = format!("{INTENTS}/{intent}");
    bench.server.inject(FaultRule::once(Fault::Reset, "GET", &path));
    let found = bench.stripe.retrieve_payment_intent(&intent, soon()).await;
    assert!(matches!(found, Ok(Some(_))), "{found:?}");
}

#[tokio::test]
async fn of_many_at_once_under_one_key_one_is_charged() {
    let bench = Bench::with(|stripe| stripe["retry"]["max_retries"] = 6.into()).await;
    let burst = futures::future::join_all((0..20).map(|_| bench.charge())).await;
    let mut ids = std::collections::HashSet::new();
    for charged in burst {
        match charged {
            Ok(intent) => drop(ids.insert(intent.id)),
            Err(error) => assert!(error.is_unknown(), "{error}"),
        }
    }
    assert_eq!((ids.len(), bench.intents().await), (1, 1));
}
