//! The broker or the database goes away under a relay at work.

use std::time::Duration;

use banyan_messaging::{BrokerConfig, Relay, RelayConfig, RelayError, topology};
use banyan_test_support::{TcpProxy, wait_until};
use sqlx::postgres::PgPoolOptions;
use tokio_util::sync::CancellationToken;

use crate::support::{Relaying, SOON, Stage, assert_complete, own_pool};

const EVENTS: i32 = 3000;

/// Small batches behind a slow line, so that a cut falls into the middle of one.
fn small_batches() -> RelayConfig {
    RelayConfig {
        batch_size: 100,
        poll_interval_ms: 100,
        ..RelayConfig::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_connection_cut_in_the_middle_loses_nothing() {
    let stage = Stage::new().await;
    let mut tap = stage.tap().await;
    let proxy = TcpProxy::start(stage.vhost.address()).await;
    proxy.delay(Duration::from_millis(1));
    stage.write_many(EVENTS, 7).await;
    let broker = BrokerConfig::new(stage.vhost.url_via(proxy.address()), "test");
    let relay = Relaying::start(Relay::new(
        own_pool(&stage.db.url, "relay", 4),
        broker,
        "/monolith",
        small_batches(),
    ));
    for at in [500, 1500] {
        tap.messages(at).await;
        proxy.cut();
        assert!(stage.unpublished().await > 0, "the cut came too late to matter");
        proxy.heal();
    }
    let seen = tap.events(EVENTS as usize).await;
    stage.all_marked().await;
    relay.stop().await;
    assert_complete(&seen, &stage.written().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_connection_cut_in_the_middle_loses_nothing() {
    let stage = Stage::new().await;
    let mut tap = stage.tap().await;
    let proxy = TcpProxy::before(&stage.db.url, 5432).await;
    proxy.delay(Duration::from_millis(1));
    stage.write_many(EVENTS, 7).await;
    let pool = own_pool(&stage.db.url_via(proxy.address()), "relay", 4);
    let relay = Relaying::start(Relay::new(pool, stage.broker(), "/monolith", small_batches()));
    for at in [500, 1500] {
        tap.messages(at).await;
        proxy.cut();
        assert!(stage.unpublished().await > 0, "the cut came too late to matter");
        proxy.heal();
    }
    let seen = tap.events(EVENTS as usize).await;
    stage.all_marked().await;
    relay.stop().await;
    assert_complete(&seen, &stage.written().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_starts_before_its_servers_waits_for_them() {
    let stage = Stage::new().await;
    let mut tap = stage.tap().await;
    stage.write_many(10, 2).await;
    let (database, broker) = (
        TcpProxy::before(&stage.db.url, 5432).await,
        TcpProxy::start(stage.vhost.address()).await,
    );
    database.cut();
    broker.cut();
    let relay = |patience: Duration| {
        let pool = PgPoolOptions::new()
            .max_connections(4)
            .acquire_timeout(patience)
            .connect_lazy(&stage.db.url_via(database.address()))
            .unwrap();
        let config = BrokerConfig::new(stage.vhost.url_via(broker.address()), "test");
        Relay::new(pool, config, "/monolith", small_batches())
    };
    assert!(matches!(
        relay(Duration::from_millis(200)).drain_once().await.unwrap_err(),
        RelayError::Database(_)
    ));
    // Long enough to connect on a machine whose cores are busy: what takes longer is begun anew, and so never ends.
    let relaying = Relaying::start(relay(Duration::from_secs(5)));
    database.heal();
    // It leads, without a broker.
    stage.led().await;
    assert_eq!(stage.unpublished().await, 10);
    broker.heal();
    tap.messages(10).await;
    stage.all_marked().await;
    relaying.stop().await;
}

/// A shutdown in a long backlog: what is under way is confirmed and marked, nothing new is begun, nothing comes twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_with_a_long_backlog_stops_when_it_is_told() {
    let stage = Stage::new().await;
    let mut tap = stage.tap().await;
    let proxy = TcpProxy::start(stage.vhost.address()).await;
    proxy.delay(Duration::from_millis(2));
    stage.write_many(EVENTS, 700).await;
    let broker = BrokerConfig::new(stage.vhost.url_via(proxy.address()), "test");
    let relay = Relay::new(
        own_pool(&stage.db.url, "relay", 4),
        broker,
        "/monolith",
        small_batches(),
    );
    let relaying = Relaying::start(relay.clone());
    tap.messages(200).await;
    relaying.stop().await;
    let left = stage.unpublished().await;
    assert!(left > 0, "it went on to the end");
    proxy.delay(Duration::ZERO);
    assert_eq!(i64::try_from(relay.drain_once().await.unwrap()).unwrap(), left);
    let seen = tap.messages(EVENTS as usize).await;
    assert_eq!(
        seen.len(),
        EVENTS as usize,
        "an orderly stop publishes nothing twice"
    );
    assert_complete(&seen, &stage.written().await);
}

/// The broker is silent, so no confirm will come: the stop has a bound.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_stops_although_its_broker_is_silent() {
    let stage = Stage::new().await;
    let mut tap = stage.tap().await;
    let proxy = TcpProxy::start(stage.vhost.address()).await;
    let broker = BrokerConfig::new(stage.vhost.url_via(proxy.address()), "test");
    let pool = own_pool(&stage.db.url, "relay", 4);
    let relaying = Relaying::start(Relay::new(pool, broker, "/monolith", small_batches()));
    stage.write("payment/1").await;
    tap.messages(1).await;
    proxy.go_silent();
    stage.write_many(10, 10).await;
    stage.led().await;
    let stopping = std::time::Instant::now();
    relaying.stop().await;
    assert!(
        stopping.elapsed() < Duration::from_secs(9),
        "{:?}",
        stopping.elapsed()
    );
    assert_eq!(stage.unpublished().await, 10);
    let question = async || stage.leader().await;
    wait_until("the lead to be given up", SOON, question, Option::is_none).await;
}

#[tokio::test]
async fn what_no_queue_wants_is_kept_and_counts_as_published() {
    let stage = Stage::new().await;
    stage.queue("payments-only", "payment.*", &[]).await;
    stage.write_many(5, 5).await;
    sqlx::query("INSERT INTO outbox (id, subject, type, payload) VALUES (gen_random_uuid(), 'user/1', 'user.signup', '{}')")
        .execute(stage.pool())
        .await
        .unwrap();
    assert_eq!(stage.relay(RelayConfig::default()).drain_once().await.unwrap(), 6);
    assert_eq!(stage.unpublished().await, 0);
    assert_eq!(stage.vhost.take("payments-only").await.len(), 5);
    let kept = stage.vhost.take(topology::UNROUTED).await;
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].routing_key, "user.signup");
}

// Several threads: a relay that ends at once leaves a connection half made, and with one thread nobody would finish it
// while the test's database waits to be dropped.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configuration_that_makes_no_sense_is_refused() {
    let stage = Stage::new().await;
    for config in [
        RelayConfig {
            batch_size: 0,
            ..RelayConfig::default()
        },
        RelayConfig {
            poll_interval_ms: 0,
            ..RelayConfig::default()
        },
    ] {
        let refused = stage.relay(config).run(CancellationToken::new()).await;
        assert!(matches!(refused, Err(RelayError::Config)));
    }
    let bad = Relay::new(
        own_pool(&stage.db.url, "relay", 4),
        BrokerConfig::new("not a url", "test"),
        "/monolith",
        RelayConfig::default(),
    );
    let ended = tokio::time::timeout(SOON, bad.run(CancellationToken::new()))
        .await
        .unwrap();
    assert!(ended.is_err(), "a URL that cannot be read is not waited for");
}

/// The database was never migrated: said by name, and waited for, because the migration may run beside the start.
#[tokio::test]
async fn an_outbox_that_is_not_there_yet_is_waited_for() {
    let stage = Stage::new().await;
    sqlx::raw_sql("ALTER TABLE outbox RENAME TO elsewhere")
        .execute(stage.pool())
        .await
        .unwrap();
    let relay = stage.relay(small_batches());
    let message = relay.drain_once().await.unwrap_err().to_string();
    assert!(message.contains("\"outbox\" does not exist"), "{message}");
    let mut tap = stage.tap().await;
    let relaying = Relaying::start(relay);
    sqlx::raw_sql("ALTER TABLE elsewhere RENAME TO outbox")
        .execute(stage.pool())
        .await
        .unwrap();
    stage.write("payment/1").await;
    tap.messages(1).await;
    relaying.stop().await;
}
