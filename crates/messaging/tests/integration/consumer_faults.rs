//! The broker, the connection or the process goes away while events are underway.

use std::{process::Stdio, sync::Arc};

use banyan_messaging::{BrokerConfig, Delivery, HandlerError};
use banyan_test_support::{TcpProxy, wait_until};
use sqlx::PgPool;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    sync::{Notify, Semaphore},
};

use crate::support::{SOON, Script, Stage, consume, post_on, quick};

/// The effect of an event, once, whatever is delivered: the table of effects is an inbox too.
fn applying(
    pool: &PgPool,
) -> impl Fn(Delivery) -> futures::future::BoxFuture<'static, Result<(), HandlerError>> + Send + Sync + 'static
{
    let pool = pool.clone();
    move |delivery| {
        let pool = pool.clone();
        Box::pin(async move {
            let away = |error: sqlx::Error| HandlerError::Unavailable(error.to_string());
            sqlx::query(
                "INSERT INTO effects (event_id, subject, sequence) VALUES ($1, $2, $3) ON CONFLICT (event_id) DO NOTHING",
            )
            .bind(delivery.envelope.id)
            .bind(&delivery.envelope.subject)
            .bind(delivery.envelope.sequence)
            .execute(&pool)
            .await
            .map_err(away)?;
            Ok(())
        })
    }
}

/// Where each event has its effect once.
async fn effects_table(stage: &Stage) {
    sqlx::raw_sql(
        "CREATE TABLE effects (place bigint GENERATED ALWAYS AS IDENTITY, event_id uuid UNIQUE, subject text,
           sequence bigint)",
    )
    .execute(stage.pool())
    .await
    .unwrap();
}

async fn effects(stage: &Stage) -> Vec<(String, i64)> {
    sqlx::query_as("SELECT subject, sequence FROM effects ORDER BY place")
        .fetch_all(stage.pool())
        .await
        .unwrap()
}

#[tokio::test]
async fn a_shutdown_lets_running_handlers_end_and_gives_the_rest_back() {
    let stage = Stage::new().await;
    let gate = Arc::new(Semaphore::new(0));
    let script = Script::new({
        let gate = Arc::clone(&gate);
        move |_| {
            let gate = Arc::clone(&gate);
            async move {
                gate.acquire().await.unwrap().forget();
                Ok(())
            }
        }
    });
    let consuming = consume(stage.broker(), quick(), script.clone()).await;
    let channel = stage.channel().await;
    // Two subjects: two run, the others of the twenty that were taken wait behind them.
    for sequence in 1..=30 {
        post_on(&channel, &format!("payment/{}", sequence % 2), sequence).await;
    }
    script.called(2).await;
    stage.wait_depth("test.events", 10).await;
    consuming.order_stop();
    // The eighteen that wait come back only when the channel closes, and that is after the two.
    assert!(!consuming.is_finished());
    gate.add_permits(30);
    consuming.stop().await;
    assert_eq!(script.calls().len(), 2, "nothing new was begun");
    stage.wait_depth("test.events", 28).await;
    let left: Vec<String> = stage
        .vhost
        .take("test.events")
        .await
        .iter()
        .map(|message| {
            message.json()["sequence"]
                .as_str()
                .unwrap()
                .trim_start_matches('0')
                .to_owned()
        })
        .collect();
    let expected: Vec<String> = (3..=30).map(|sequence: i64| sequence.to_string()).collect();
    assert_eq!(left, expected, "in their old order");
}

/// The handler's event is redelivered, but not before the handler has ended; then it has no second effect.
#[tokio::test]
async fn a_handler_ends_before_its_event_comes_again() {
    let stage = Stage::new().await;
    effects_table(&stage).await;
    let proxy = TcpProxy::start(stage.vhost.address()).await;
    let (go_on, apply) = (Arc::new(Notify::new()), Arc::new(applying(stage.pool())));
    let script = Script::new({
        let (go_on, apply) = (Arc::clone(&go_on), Arc::clone(&apply));
        move |delivery| {
            let (go_on, apply) = (Arc::clone(&go_on), Arc::clone(&apply));
            async move {
                if !delivery.redelivered {
                    go_on.notified().await;
                }
                apply(delivery).await
            }
        }
    });
    let broker = BrokerConfig::new(stage.vhost.url_via(proxy.address()), "test");
    let consuming = consume(broker, quick(), script.clone()).await;
    let id = stage.post("payment/1", 1).await;
    script.called(1).await;
    proxy.cut();
    // The broker has it back.
    stage.wait_depth("test.events", 1).await;
    proxy.heal();
    assert_eq!(script.calls().len(), 1);
    assert!(effects(&stage).await.is_empty());
    go_on.notify_one();
    let calls = script.called(2).await;
    consuming.stop().await;
    assert!(calls[1].redelivered && calls[1].envelope.id == id);
    assert_eq!(calls[1].attempt, 1, "a lost connection is no attempt");
    assert_eq!(effects(&stage).await, [("payment/1".to_owned(), 1)]);
    stage.wait_depth("test.events", 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_lost_again_and_again_change_no_effect_and_no_order() {
    let stage = Stage::new().await;
    effects_table(&stage).await;
    let proxy = TcpProxy::start(stage.vhost.address()).await;
    let through = BrokerConfig::new(stage.vhost.url_via(proxy.address()), "test");
    let channel = stage.channel().await;
    let script = Script::new(applying(stage.pool()));
    let consuming = consume(through, quick(), script.clone()).await;
    for sequence in 1..=400 {
        post_on(&channel, &format!("payment/{}", sequence % 5), sequence).await;
        if sequence % 100 == 50 {
            proxy.cut();
            proxy.heal();
        }
    }
    let question = async || effects(&stage).await.len();
    wait_until("all effects", SOON, question, |count| *count == 400).await;
    consuming.stop().await;
    stage.wait_depth("test.events", 0).await;
    let effects = effects(&stage).await;
    for subject in 0..5 {
        let subject = format!("payment/{subject}");
        let order: Vec<i64> = effects
            .iter()
            .filter(|it| it.0 == subject)
            .map(|it| it.1)
            .collect();
        assert_eq!(order.len(), 80);
        assert!(order.is_sorted(), "{subject}: {order:?}");
    }
}

/// Acknowledgements that are under way in the moment of the loss: none may keep the consumer from starting over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_loss_of_the_connection_leaves_the_consumer_hanging() {
    const LOSSES: i64 = 60;
    let stage = Stage::new().await;
    let proxy = TcpProxy::start(stage.vhost.address()).await;
    let through = BrokerConfig::new(stage.vhost.url_via(proxy.address()), "test");
    let channel = stage.channel().await;
    let script = Script::new(|_| async { Ok(()) });
    let consuming = consume(through, quick(), script.clone()).await;
    let handled = async || {
        let mut sequences: Vec<i64> = script.calls().iter().map(|call| call.envelope.sequence).collect();
        sequences.sort_unstable();
        sequences.dedup();
        i64::try_from(sequences.len()).unwrap()
    };
    for loss in 1..=LOSSES {
        for number in 1..=20 {
            let sequence = (loss - 1) * 20 + number;
            post_on(&channel, &format!("payment/{sequence}"), sequence).await;
        }
        let begun = (loss - 1) * 20 + loss % 20;
        wait_until("some of them", SOON, &handled, |count| *count >= begun).await;
        proxy.cut();
        proxy.heal();
    }
    wait_until("all of them", SOON, &handled, |count| *count == LOSSES * 20).await;
    consuming.stop().await;
}

/// The broker vanishes after the handler failed and before the copy in the retry queue is confirmed: the event must be
/// in at least one of the two queues, and in the end be tried again.
#[tokio::test]
async fn an_event_is_not_lost_between_its_failure_and_its_retry() {
    let stage = Stage::new().await;
    let proxy = TcpProxy::start(stage.vhost.address()).await;
    let go_on = Arc::new(Notify::new());
    let script = Script::new({
        let go_on = Arc::clone(&go_on);
        move |delivery| {
            let go_on = Arc::clone(&go_on);
            async move {
                if delivery.attempt > 1 {
                    return Ok(());
                }
                if !delivery.redelivered {
                    go_on.notified().await;
                }
                Err(HandlerError::Retry("not yet".into()))
            }
        }
    });
    let broker = BrokerConfig::new(stage.vhost.url_via(proxy.address()), "test");
    let consuming = consume(broker, quick(), script.clone()).await;
    stage.post("payment/1", 1).await;
    script.called(1).await;
    proxy.cut();
    stage.wait_depth("test.events", 1).await;
    go_on.notify_one();
    proxy.heal();
    // Where the consumer had not noticed the loss yet, there is a copy in the retry queue beside the redelivery.
    let question = async || script.calls();
    let tried_again = |calls: &Vec<Delivery>| calls.iter().any(|call| call.attempt == 2);
    wait_until("another attempt", SOON, question, tried_again).await;
    for queue in ["test.events", "test.events.retry.50ms", "test.events.dead"] {
        stage.wait_depth(queue, 0).await;
    }
    assert!(script.calls().iter().any(|call| call.redelivered));
    consuming.stop().await;
    stage.wait_depth("test.events", 0).await;
}

/// Somebody deletes a retry queue under a running consumer: it is declared anew, the event is not lost.
#[tokio::test]
async fn a_deleted_retry_queue_comes_back() {
    let stage = Stage::new().await;
    let script = Script::new(|delivery| async move {
        match delivery.attempt {
            1 => Err(HandlerError::Retry("not yet".into())),
            _ => Ok(()),
        }
    });
    let consuming = consume(stage.broker(), quick(), script.clone()).await;
    stage.post("payment/1", 1).await;
    script.called(2).await;
    stage
        .channel()
        .await
        .queue_delete(
            "test.events.retry.50ms".into(),
            lapin::options::QueueDeleteOptions::default(),
        )
        .await
        .unwrap();
    let id = stage.post("payment/1", 2).await;
    let calls = script.called(4).await;
    assert_eq!((calls[3].envelope.id, calls[3].attempt), (id, 2));
    consuming.stop().await;
}

/// A consumer that starts before its broker.
#[tokio::test]
async fn a_broker_that_is_away_is_waited_for() {
    let stage = Stage::new().await;
    stage.declare().await;
    let proxy = TcpProxy::start(stage.vhost.address()).await;
    proxy.cut();
    let script = Script::content();
    let consumer = banyan_messaging::Consumer::new(
        "test",
        &crate::support::KINDS,
        BrokerConfig::new(stage.vhost.url_via(proxy.address()), "test"),
        quick(),
        script.clone(),
    );
    assert!(consumer.declare().await.is_err());
    let shutdown = tokio_util::sync::CancellationToken::new();
    let task = tokio::spawn(consumer.run(shutdown.clone()));
    stage.post("payment/1", 1).await;
    proxy.heal();
    script.called(1).await;
    shutdown.cancel();
    task.await.unwrap().unwrap();
}

/// Where the broker kills the connection while nothing is underway, events published later still arrive.
#[tokio::test]
async fn a_connection_closed_by_the_broker_is_opened_again() {
    let stage = Stage::new().await;
    let script = Script::content();
    let consuming = consume(stage.broker(), quick(), script.clone()).await;
    stage.post("payment/1", 1).await;
    script.called(1).await;
    // The management lists a connection some seconds after it was opened.
    let question = async || stage.vhost.close_connections().await;
    wait_until("connections to close", SOON, question, |closed| *closed > 0).await;
    let other = stage.vhost.connect().await;
    let channel = other.create_channel().await.unwrap();
    channel
        .confirm_select(lapin::options::ConfirmSelectOptions::default())
        .await
        .unwrap();
    post_on(&channel, "payment/1", 2).await;
    script.called(2).await;
    consuming.stop().await;
}

const CHILD: &str = "BANYAN_TEST_KILLED_CONSUMER";

/// The test's own binary is the process that dies: with `CHILD` set it consumes and never ends.
#[tokio::test]
async fn what_a_killed_process_had_underway_comes_again() {
    if let Ok(url) = std::env::var(CHILD) {
        let script = Script::new(|delivery| async move {
            println!("\nhandling {}", delivery.envelope.id);
            std::future::pending().await
        });
        let _consuming = consume(BrokerConfig::new(url, "killed"), quick(), script).await;
        std::future::pending::<()>().await;
    }
    let stage = Stage::new().await;
    stage.declare().await;
    let id = stage.post("payment/1", 1).await;
    let mut child = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "consumer_faults::what_a_killed_process_had_underway_comes_again",
            "--nocapture",
        ])
        .env(CHILD, &stage.vhost.amqp_url)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let handling = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if line == format!("handling {id}") {
                return;
            }
        }
        panic!("the child ended before it handled anything");
    };
    tokio::time::timeout(SOON, handling).await.unwrap();
    // SIGKILL.
    child.kill().await.unwrap();

    let script = Script::content();
    let consuming = consume(stage.broker(), quick(), script.clone()).await;
    let calls = script.called(1).await;
    assert!(calls[0].redelivered);
    assert_eq!((calls[0].envelope.id, calls[0].attempt), (id, 1));
    consuming.stop().await;
    stage.wait_depth("test.events", 0).await;
}
