//! How subscriptions end: with the period, at once, with the account.

use std::time::Duration;

use banyan_dev_sinks::stripe::Fault;
use banyan_events::payloads::UserDeleted;
use banyan_events::{Envelope, Event};
use banyan_messaging::outbox::{self, NewEvent};
use banyan_messaging::{BrokerConfig, Consumer, ConsumerConfig, Delivery, Handler as _};
use banyan_service_kit::{Role, start};
use banyan_test_support::{TestVhost, wait_until};
use payments::Payments;
use payments::consumers::{CONSUMED, Events};
use reqwest::Method;
use serde_json::json;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::world::{BASIC, GULF, PRO, USER, VISA, World, problem};

#[tokio::test]
async fn it_ends_with_the_paid_period() {
    let world = World::start().await;
    let id = world.subscribed(BASIC).await;
    let ended = world.end(USER, id).await;
    assert_eq!(ended.0, 200);
    assert_eq!(
        (&ended.1["status"], &ended.1["cancelAtPeriodEnd"]),
        (&json!("active"), &json!(true))
    );
    assert_eq!(world.end(USER, id).await, ended);
    assert_eq!(problem(&world.end(43, id).await), (404, "not-found"));
    assert_eq!(problem(&world.end(USER, id + 1).await), (404, "not-found"));
    world.pass_a_month().await;
    world.renew().await;
    assert_eq!(world.texts("SELECT status FROM subscription").await, ["canceled"]);
    assert_eq!(world.intents().await, 1);
    let (status, gone) = world.end(USER, id).await;
    assert_eq!((status, &gone["status"]), (200, &json!("canceled")));
    assert!(gone["canceledAt"].is_string());
    // It stands in nobody's way.
    world.subscribed(BASIC).await;
}

#[tokio::test]
async fn one_that_is_past_due_ends_at_once_with_its_invoice() {
    let world = World::start().await;
    let id = world.subscribed(BASIC).await;
    world.pass_a_month().await;
    world
        .run("UPDATE subscription SET status = 'past_due', failed_attempts = 1")
        .await;
    world.next_charge(Fault::Reset);
    world.renew().await;
    let (status, ended) = world.end(USER, id).await;
    assert_eq!((status, &ended["status"]), (200, &json!("canceled")));
    assert_eq!(
        world.texts("SELECT status FROM invoice ORDER BY id").await,
        ["paid", "void"]
    );
    world.subscribed(PRO).await;
}

#[tokio::test]
async fn what_was_ended_while_its_payment_was_under_way_is_given_back() {
    let world = World::start().await;
    let card = world.card(VISA).await;
    world.next_charge(Fault::AnswerLost);
    let order = json!({"planId": BASIC, "paymentMethodId": card});
    let (status, unknown) = world.subscribe_with("k", &order).await;
    assert_eq!(status, 202);
    let (_, ended) = world.end(USER, unknown["id"].as_i64().unwrap()).await;
    assert_eq!(ended["status"], "canceled");
    // Nothing is asked of Stripe for what has ended.
    let (status, again) = world.subscribe_with("k", &order).await;
    assert_eq!((status, &again["status"]), (201, &json!("canceled")));
    assert_eq!(world.charges().len(), 1);

    // The job that reconciles finds that it was paid, and gives it back, once.
    world.pass("2 minutes").await;
    for _ in 0..2 {
        world.reconcile().await;
        assert_eq!(world.texts("SELECT status FROM subscription").await, ["canceled"]);
        assert_eq!(world.texts("SELECT status FROM invoice").await, ["void"]);
        assert_eq!(world.texts("SELECT status FROM payment").await, ["refunded"]);
        assert_eq!(
            world
                .texts("SELECT status || amount_minor || left(idempotency_key, 9) FROM refund")
                .await,
            ["succeeded999unwanted:"]
        );
        assert_eq!(world.stripe.all("refunds").await.len(), 1);
    }
    world.assert_booked().await;
}

#[tokio::test]
async fn an_erased_user_is_told_once_and_charged_no_more() {
    let world = World::start().await;
    world.subscribed(BASIC).await;
    world.subscribed(GULF).await;
    let other = world
        .subscribe_raw(43, "k", &json!({"planId": BASIC, "paymentMethodId": VISA}))
        .await;
    assert_eq!(other.status(), 201);
    let handler = Events::new(world.env.clone());
    let data = UserDeleted {
        user_id: USER,
        // So long ago that the refusal of tokens is over: the operation itself refuses.
        deleted_at: OffsetDateTime::now_utc() - time::Duration::days(2),
    };
    let envelope: Envelope<Event> =
        Envelope::new(Uuid::now_v7(), "/users", "user/42", data.deleted_at, 1, data).map(Into::into);
    let delivery = Delivery {
        envelope,
        attempt: 1,
        redelivered: false,
        trace_id: None,
    };
    handler.handle(&delivery).await.unwrap();
    let first = world
        .texts("SELECT canceled_at::text FROM subscription WHERE user_id = 42 ORDER BY id")
        .await;
    handler.handle(&delivery).await.unwrap();
    assert_eq!(
        world
            .texts("SELECT canceled_at::text FROM subscription WHERE user_id = 42 ORDER BY id")
            .await,
        first
    );
    assert_eq!(
        world
            .texts("SELECT user_id || status FROM subscription ORDER BY id")
            .await,
        ["42canceled", "42canceled", "43active"]
    );
    assert_eq!(
        world
            .number("SELECT count(*) FROM inbox WHERE consumer = 'payments'")
            .await,
        1
    );
    assert_eq!(world.number("SELECT user_id FROM erased_user").await, USER);
    // Payments and invoices stay.
    assert_eq!(
        world
            .number("SELECT count(*) FROM invoice WHERE user_id = 42 AND status = 'paid'")
            .await,
        2
    );
    let refused = world.subscribe(BASIC, VISA).await;
    assert_eq!(problem(&refused), (403, "forbidden"));
}

#[tokio::test]
async fn the_running_service_hears_of_an_erasure() {
    let (world, vhost) = tokio::join!(World::start(), TestVhost::create());
    world.subscribed(BASIC).await;
    // Declared before the event is published, or it would go to nobody.
    let broker = BrokerConfig::new(vhost.amqp_url.clone(), "payments");
    let handler = Events::new(world.env.clone());
    Consumer::new("payments", CONSUMED, broker, ConsumerConfig::default(), handler)
        .declare()
        .await
        .unwrap();
    let data = UserDeleted {
        user_id: USER,
        deleted_at: OffsetDateTime::now_utc(),
    };
    let event = NewEvent::new("user/42", data);
    outbox::publish(&mut world.db.pool.acquire().await.unwrap(), event)
        .await
        .unwrap();
    let roles = [Role::Consumer, Role::Relay];
    let service = start::<Payments>(&world.configuration(&vhost.amqp_url), &roles)
        .await
        .unwrap();
    let canceled = async || {
        world
            .number("SELECT count(*) FROM subscription WHERE status = 'canceled'")
            .await
    };
    let bound = Duration::from_secs(30);
    wait_until("the end of the subscription", bound, canceled, |count| {
        *count == 1
    })
    .await;
    let answer = async || {
        let sent = world.send(Method::GET, "/api/payments/", USER, None, None);
        sent.await.status()
    };
    wait_until("the refusal of the user's tokens", bound, answer, |status| {
        *status == 401
    })
    .await;
    service.stop();
    assert!(service.finished().await);
}

#[tokio::test]
async fn a_subscription_that_slipped_by_the_erasure_ends_when_it_is_due() {
    let world = World::start().await;
    world.subscribed(BASIC).await;
    world
        .run("INSERT INTO erased_user (user_id, erased_at) VALUES (42, now())")
        .await;
    world.pass_a_month().await;
    world.renew().await;
    assert_eq!(world.texts("SELECT status FROM subscription").await, ["canceled"]);
    assert_eq!(world.intents().await, 1);
}
