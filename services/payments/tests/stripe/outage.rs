//! Stripe away, and back.

use std::time::Duration;

use futures::TryStreamExt as _;
use payments::stripe::{Created, NotSent, StripeError};
use time::OffsetDateTime;
use tokio::time::Instant;

use crate::support::{Bench, client_with, soon};

fn quick(stripe: &mut toml::Table) {
    stripe["retry"]["max_retries"] = 0.into();
    stripe["breaker"]["trip_after"] = 3.into();
    // Longer than a busy machine takes from one line of a test to the next.
    stripe["breaker"]["cool_down_ms"] = 1500.into();
}

#[tokio::test]
async fn a_closed_port_is_known_to_have_got_nothing_and_opens_the_breaker_until_it_is_open_again() {
    let mut bench = Bench::with(quick).await;
    bench.server.go_down().await;
    // The first connections may be left over from before: what was sent on one is unknown.
    let mut refused = 0;
    while refused < 3 && bench.stripe.is_available() {
        match bench.charge().await.expect_err("nobody there") {
            StripeError::NotSent(NotSent::NoConnection) => refused += 1,
            error => assert!(error.is_unknown(), "{error}"),
        }
    }
    assert!(!bench.stripe.is_available());
    let turned_away = bench.charge().await;
    assert_eq!(turned_away, Err(StripeError::NotSent(NotSent::BreakerOpen)));

    bench.server.come_back().await;
    until_available(&bench).await;
    let charged = bench.charge().await.expect("charged: this one looked");
    assert!(bench.stripe.is_available());
    assert_eq!(bench.server.all("payment_intents").await[0]["id"], charged.id);
    assert_eq!(bench.intents().await, 1);
}

#[tokio::test]
async fn a_probe_that_finds_nobody_leaves_it_open() {
    let mut bench = Bench::with(quick).await;
    bench.server.go_down().await;
    while bench.stripe.is_available() {
        bench.charge().await.expect_err("nobody there");
    }
    until_available(&bench).await;
    let probe = bench.charge().await;
    assert_eq!(probe, Err(StripeError::NotSent(NotSent::NoConnection)));
    assert!(!bench.stripe.is_available());
}

#[tokio::test]
async fn one_call_does_not_wait_for_stripe_to_come_back() {
    // A port that was free a moment ago.
    let port = closed_port().await;
    let stripe = client_with(&format!("http://127.0.0.1:{port}"), |_| ());
    let started = Instant::now();
    let nobody = stripe.create_customer(42, soon()).await;
    assert_eq!(nobody, Err(StripeError::NotSent(NotSent::NoConnection)));
    assert!(started.elapsed() < Duration::from_secs(5));
    let passed = stripe.retrieve_payment_intent("pi_1", started).await;
    assert_eq!(passed, Err(StripeError::NotSent(NotSent::DeadlinePassed)));
}

/// Charges and jobs run on tasks of their own.
#[tokio::test]
async fn every_kind_of_call_can_run_on_a_task_of_its_own() {
    let stripe = client_with(&format!("http://127.0.0.1:{}", closed_port().await), |stripe| {
        stripe["breaker"]["trip_after"] = 1.into();
    });
    let calls = tokio::spawn(async move {
        let now = OffsetDateTime::now_utc();
        let movements = stripe.list_balance_transactions(Created::since(now), soon());
        [
            stripe.create_customer(42, soon()).await.map(drop),
            stripe
                .find_payment_intent(7, "cus_1", now, soon())
                .await
                .map(drop),
            stripe.refunds_of("pi_1", soon()).await.map(drop),
            movements.try_collect::<Vec<_>>().await.map(drop),
        ]
    });
    let ended = calls.await.expect("no panic");
    assert!(
        ended
            .iter()
            .all(|end| matches!(end, Err(StripeError::NotSent(_)))),
        "{ended:?}"
    );
}

async fn until_available(bench: &Bench) {
    banyan_test_support::wait_until(
        "the end of the cool-down",
        Duration::from_secs(10),
        async || bench.stripe.is_available(),
        |available| *available,
    )
    .await;
}

async fn closed_port() -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    listener.local_addr().expect("an address").port()
}
