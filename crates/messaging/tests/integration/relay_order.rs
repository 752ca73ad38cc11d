//! Order per subject: in the table, at the broker, with several relays, late commits, kills and refusals.

use std::collections::BTreeMap;

use banyan_messaging::{RelayConfig, RelayError};
use banyan_test_support::{TestDb, wait_until};
use lapin::{
    options::{BasicAckOptions, BasicGetOptions},
    types::AMQPValue,
};
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{TestCaseError, TestRunner},
};
use sqlx::{Connection, PgPool};
use uuid::Uuid;

use crate::support::{SOON, Seen, Stage, assert_complete, own_pool};

fn quick() -> RelayConfig {
    RelayConfig {
        poll_interval_ms: 50,
        ..RelayConfig::default()
    }
}

/// Writers that go on until told: each writes single events of a few subjects, as fast as the database takes them.
fn write_on(stage: &Stage, writers: usize, events: usize) -> tokio::task::JoinSet<()> {
    let mut tasks = tokio::task::JoinSet::new();
    for writer in 0..writers {
        let pool = stage.pool().clone();
        tasks.spawn(async move {
            for number in 0..events {
                sqlx::query("INSERT INTO outbox (id, subject, type, payload) VALUES ($1, $2, 'payment.completed', '{}')")
                    .bind(Uuid::now_v7())
                    .bind(format!("payment/{}", (writer + number) % 5))
                    .execute(&pool)
                    .await
                    .unwrap();
            }
        });
    }
    tasks
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_relays_one_publishes_and_the_other_takes_over() {
    let stage = Stage::new().await;
    let mut tap = stage.tap().await;
    let mut relays = BTreeMap::from([
        ("one".to_owned(), stage.start_relay("one", quick())),
        ("two".to_owned(), stage.start_relay("two", quick())),
    ]);
    let (first, pid) = stage.led().await;
    let writers = write_on(&stage, 4, 150);

    tap.messages(100).await;
    stage.kill_session(pid).await;
    tap.messages(250).await;
    let (leader, pid) = stage.led().await;
    // The process dies: its tasks first, then, when the server notices, its session.
    relays.remove(&leader).unwrap().kill().await;
    let _ = sqlx::query("SELECT pg_terminate_backend($1)")
        .bind(pid)
        .execute(stage.pool())
        .await
        .unwrap();

    writers.join_all().await;
    let seen = tap.events(600).await;
    assert_complete(&seen, &stage.written().await);
    stage.all_marked().await;
    let (last, _) = stage.led().await;
    assert_ne!(last, leader, "the standby took over; {first} led at first");
    for (_, relay) in relays {
        relay.stop().await;
    }
}

#[tokio::test]
async fn a_transaction_that_commits_late_is_not_skipped() {
    let stage = Stage::new().await;
    let mut tap = stage.tap().await;
    let relay = stage.relay(RelayConfig::default());

    let mut late = stage.pool().begin().await.unwrap();
    sqlx::query("INSERT INTO outbox (id, subject, type, payload) VALUES (gen_random_uuid(), 'user/1', 'user.signup', '{}')")
        .execute(&mut *late)
        .await
        .unwrap();
    stage.write("payment/1").await;
    assert_eq!(relay.drain_once().await.unwrap(), 1);
    late.commit().await.unwrap();
    assert_eq!(relay.drain_once().await.unwrap(), 1);

    let seen = tap.messages(2).await;
    assert_eq!((seen[0].subject.as_str(), seen[0].sequence), ("payment/1", 2));
    assert_eq!((seen[1].subject.as_str(), seen[1].sequence), ("user/1", 1));
    assert_eq!(relay.drain_once().await.unwrap(), 0);
}

#[tokio::test]
async fn a_relay_killed_between_publish_and_mark_publishes_again_in_order() {
    let stage = Stage::new().await;
    let mut tap = stage.tap().await;
    stage.write_many(60, 3).await;

    // Reading is allowed, marking waits.
    let mut marks_wait = sqlx::PgConnection::connect(&stage.db.url).await.unwrap();
    sqlx::raw_sql("BEGIN; LOCK TABLE outbox IN SHARE MODE")
        .execute(&mut marks_wait)
        .await
        .unwrap();
    let killed = stage.start_relay("killed", quick());
    let (_, pid) = stage.led().await;
    tap.messages(60).await;
    let question = async || {
        let marking: bool = sqlx::query_scalar(
            "SELECT wait_event_type = 'Lock' AND query LIKE '%UPDATE outbox%' FROM pg_stat_activity WHERE pid = $1",
        )
        .bind(pid)
        .fetch_one(stage.pool())
        .await
        .unwrap();
        marking
    };
    wait_until("the marks to wait", SOON, question, |marking| *marking).await;
    killed.kill().await;
    stage.kill_session(pid).await;
    assert_eq!(stage.unpublished().await, 60);
    sqlx::raw_sql("COMMIT").execute(&mut marks_wait).await.unwrap();

    let next = stage.start_relay("next", quick());
    let seen = tap.messages(120).await;
    stage.all_marked().await;
    next.stop().await;
    assert_eq!(tap.seen().len(), 120, "twice, not more");
    assert_complete(&seen, &stage.written().await);
    let ids = |half: &[Seen]| half.iter().map(|one| one.id).collect::<Vec<_>>();
    assert_eq!(
        ids(&seen[..60]),
        ids(&seen[60..]),
        "the second time in the same order"
    );
}

/// A full queue refuses; whatever is refused in the middle, nothing newer of its subject goes before it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_full_queue_refuses_stays_unpublished_and_comes_later_in_order() {
    let stage = Stage::new().await;
    let full = [
        ("x-queue-type", AMQPValue::LongString("classic".into())),
        ("x-max-length", AMQPValue::LongInt(1)),
        ("x-overflow", AMQPValue::LongString("reject-publish".into())),
    ];
    stage.queue("small", "#", &full).await;
    stage.write_many(30, 2).await;

    let refused = stage.relay(quick()).drain_once().await.unwrap_err();
    assert!(
        matches!(refused, RelayError::Refused { refused: 1.., .. }),
        "{refused}"
    );
    let left = stage.unpublished().await;
    assert!((1..30).contains(&left), "{left} of 30 are unmarked");

    let running = stage.start_relay("relay", quick());
    let channel = stage.channel().await;
    let mut seen: Vec<(String, i64)> = Vec::new();
    let until = tokio::time::Instant::now() + SOON;
    while seen.len() < 30 {
        assert!(tokio::time::Instant::now() < until, "only {} came", seen.len());
        let Some(message) = channel
            .basic_get("small".into(), BasicGetOptions::default())
            .await
            .unwrap()
        else {
            tokio::task::yield_now().await;
            continue;
        };
        message.ack(BasicAckOptions::default()).await.unwrap();
        let body: serde_json::Value = serde_json::from_slice(&message.data).unwrap();
        let one = (
            body["subject"].as_str().unwrap().to_owned(),
            body["sequence"].as_str().unwrap().parse().unwrap(),
        );
        if !seen.contains(&one) {
            seen.push(one);
        }
    }
    stage.all_marked().await;
    running.stop().await;
    for subject in ["payment/0", "payment/1"] {
        let order: Vec<i64> = seen
            .iter()
            .filter(|one| one.0 == subject)
            .map(|one| one.1)
            .collect();
        assert!(order.is_sorted(), "{subject}: {order:?}");
    }
}

/// One transaction: the subjects it writes to, in order, and whether it commits.
#[derive(Clone, Debug)]
struct Writer {
    subjects: Vec<u8>,
    commits: bool,
}

fn writer() -> impl Strategy<Value = Writer> {
    // In one order of subjects, as the outbox asks for.
    (vec(0_u8..4, 1..4), prop::bool::weighted(0.8)).prop_map(|(mut subjects, commits)| {
        subjects.sort_unstable();
        Writer { subjects, commits }
    })
}

/// Whatever writers do side by side: when an event gets its number, exactly the events of its subject with smaller
/// numbers have committed. So the order of the numbers is the order of the commits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_order_of_a_subjects_numbers_is_the_order_of_its_commits() {
    let database = TestDb::create(None).await;
    sqlx::raw_sql(banyan_messaging::OUTBOX_SQL)
        .execute(&database.pool)
        .await
        .unwrap();
    let pool = own_pool(&database.url, "writers", 8);
    let runtime = tokio::runtime::Handle::current();
    let property = tokio::task::spawn_blocking(move || {
        let config = ProptestConfig {
            cases: 40,
            max_shrink_iters: 30,
            failure_persistence: None,
            ..ProptestConfig::default()
        };
        TestRunner::new(config).run(&vec(writer(), 2..25), |writers| {
            runtime.block_on(side_by_side(&pool, writers))
        })
    });
    property.await.unwrap().unwrap();
}

async fn side_by_side(pool: &PgPool, writers: Vec<Writer>) -> Result<(), TestCaseError> {
    sqlx::raw_sql("TRUNCATE outbox").execute(pool).await.unwrap();
    let commits: usize = writers
        .iter()
        .filter(|it| it.commits)
        .map(|it| it.subjects.len())
        .sum();
    let mut tasks = tokio::task::JoinSet::new();
    for writer in writers {
        let pool = pool.clone();
        tasks.spawn(async move {
            let mut transaction = pool.begin().await.unwrap();
            for subject in &writer.subjects {
                // With the number taken, a new statement sees what had committed until then, and this one's own rows.
                let id = Uuid::now_v7();
                let subject = format!("user/{subject}");
                sqlx::query(
                    "INSERT INTO outbox (id, subject, type, payload) VALUES ($1, $2, 'user.signup', '{}')",
                )
                .bind(id)
                .bind(&subject)
                .execute(&mut *transaction)
                .await
                .unwrap();
                sqlx::query(
                    "UPDATE outbox SET payload = jsonb_build_object('before',
                       (SELECT count(*) FROM outbox WHERE subject = $2 AND id <> $1)) WHERE id = $1",
                )
                .bind(id)
                .bind(&subject)
                .execute(&mut *transaction)
                .await
                .unwrap();
            }
            if writer.commits {
                transaction.commit().await.unwrap();
            } else {
                transaction.rollback().await.unwrap();
            }
        });
    }
    tasks.join_all().await;
    let rows: Vec<(i64, i64)> = sqlx::query_as(
        "SELECT (payload->>'before')::bigint, row_number() OVER (PARTITION BY subject ORDER BY sequence) - 1 FROM outbox",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    prop_assert_eq!(rows.len(), commits, "what was rolled back is not there");
    prop_assert!(rows.iter().all(|(before, place)| before == place), "{:?}", rows);
    Ok(())
}
