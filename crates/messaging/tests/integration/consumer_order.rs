//! What runs side by side and what waits.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
};

use banyan_messaging::{Consumer, ConsumerConfig, ConsumerError};
use banyan_test_support::wait_until;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::support::{KINDS, SOON, Script, Stage, consume, post_on, quick};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_a_subject_run_one_after_the_other_in_order() {
    let stage = Stage::new().await;
    let running: Arc<Mutex<HashMap<String, u32>>> = Arc::default();
    let most_at_once = Arc::new(Mutex::new(0));
    let script = Script::new({
        let (running, most) = (Arc::clone(&running), Arc::clone(&most_at_once));
        move |delivery| {
            let (running, most, subject) = (
                Arc::clone(&running),
                Arc::clone(&most),
                delivery.envelope.subject.clone(),
            );
            async move {
                {
                    let mut running = running.lock().unwrap();
                    let of_subject = running.entry(subject.clone()).or_default();
                    *of_subject += 1;
                    assert_eq!(*of_subject, 1, "two events of {subject} at once");
                    let all: u32 = running.values().sum();
                    let mut most = most.lock().unwrap();
                    *most = all.max(*most);
                }
                // Some are quick, some are slow, so that a later event would overtake if it could.
                for _ in 0..delivery.envelope.id.as_u128() % 40 {
                    tokio::task::yield_now().await;
                }
                *running.lock().unwrap().get_mut(&subject).unwrap() -= 1;
                Ok(())
            }
        }
    });
    let consuming = consume(stage.broker(), quick(), script.clone()).await;
    let channel = stage.channel().await;
    for sequence in 1..=300 {
        post_on(&channel, &format!("payment/{}", sequence % 7), sequence).await;
    }
    let calls = script.called(300).await;
    consuming.stop().await;

    let mut last: BTreeMap<&str, i64> = BTreeMap::new();
    for call in &calls {
        let before = last.insert(&call.envelope.subject, call.envelope.sequence);
        assert!(
            before < Some(call.envelope.sequence),
            "{} overtook",
            call.envelope.sequence
        );
        assert_eq!(call.attempt, 1, "a handler that met its like would have panicked");
    }
    assert_eq!(calls.len(), 300);
    stage.wait_depth("test.events", 0).await;
}

/// One event that hangs stops its own subject and no other; and no more than the prefetch is underway.
#[tokio::test]
async fn subjects_run_side_by_side_up_to_the_prefetch() {
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
    for sequence in 1..=30 {
        post_on(&channel, &format!("payment/{sequence}"), sequence).await;
    }
    script.called(20).await;
    // What the broker still holds ready is what was not taken: nothing will change until a handler ends.
    stage.wait_depth("test.events", 10).await;
    assert_eq!(script.calls().len(), 20);
    gate.add_permits(30);
    script.called(30).await;
    consuming.stop().await;
    stage.wait_depth("test.events", 0).await;
}

#[tokio::test]
async fn a_slow_event_holds_its_own_subject_only() {
    let stage = Stage::new().await;
    let (go_on, script) = {
        let go_on = Arc::new(Notify::new());
        let waits = Arc::clone(&go_on);
        let script = Script::new(move |delivery| {
            let waits = Arc::clone(&waits);
            async move {
                if delivery.envelope.sequence == 1 {
                    waits.notified().await;
                }
                Ok(())
            }
        });
        (go_on, script)
    };
    let consuming = consume(stage.broker(), quick(), script.clone()).await;
    stage.post("payment/slow", 1).await;
    script.called(1).await;
    stage.post("payment/slow", 2).await;
    for sequence in 3..=12 {
        stage.post("payment/quick", sequence).await;
    }
    let sequences =
        |script: &Script| -> Vec<i64> { script.calls().iter().map(|call| call.envelope.sequence).collect() };
    script.called(11).await;
    assert_eq!(sequences(&script), [1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    go_on.notify_one();
    script.called(12).await;
    assert_eq!(sequences(&script).last(), Some(&2));
    consuming.stop().await;
}

/// Two processes share the queue's work.
#[tokio::test]
async fn a_second_consumer_takes_its_share() {
    let stage = Stage::new().await;
    let gate = Arc::new(Semaphore::new(0));
    let scripts = [(); 2].map(|()| {
        let gate = Arc::clone(&gate);
        Script::new(move |_| {
            let gate = Arc::clone(&gate);
            async move {
                gate.acquire().await.unwrap().forget();
                Ok(())
            }
        })
    });
    let small = ConsumerConfig {
        prefetch: 2,
        ..quick()
    };
    let one = consume(stage.broker(), small.clone(), scripts[0].clone()).await;
    let two = consume(stage.broker(), small, scripts[1].clone()).await;
    for sequence in 1..=4 {
        stage.post(&format!("payment/{sequence}"), sequence).await;
    }
    scripts[0].called(2).await;
    scripts[1].called(2).await;
    gate.add_permits(4);
    let question = async || stage.vhost.depth("test.events").await;
    wait_until("an empty queue", SOON, question, |depth| *depth == Some(0)).await;
    one.stop().await;
    two.stop().await;
}

#[tokio::test]
async fn a_configuration_that_makes_no_sense_is_refused() {
    let stage = Stage::new().await;
    let run = async |config: ConsumerConfig| {
        let consumer = Consumer::new("test", &KINDS, stage.broker(), config, Script::content());
        tokio::time::timeout(SOON, consumer.run(CancellationToken::new()))
            .await
            .expect("it ends at once")
            .unwrap_err()
    };
    let prefetch = ConsumerConfig {
        prefetch: 0,
        ..quick()
    };
    assert!(matches!(run(prefetch).await, ConsumerError::Prefetch));
    for retry_delays_ms in [vec![0], vec![10, 20, 10]] {
        let delays = ConsumerConfig {
            retry_delays_ms,
            ..quick()
        };
        assert!(matches!(run(delays).await, ConsumerError::RetryDelays));
    }
}
