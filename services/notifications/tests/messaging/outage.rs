//! The database goes away between the mail server's acceptance and the record.

use std::time::Duration;

use banyan_dev_sinks::mail::Fault;
use banyan_test_support::{TcpProxy, TestDb, TestVhost, wait_until};
use sqlx::postgres::PgPoolOptions;

use crate::support::{BOUND, DEAD, World, payment};

#[tokio::test]
async fn a_mail_that_could_not_be_recorded_is_recorded_later_and_not_sent_again() {
    let migrator = notifications::migrator();
    let (db, vhost) = tokio::join!(TestDb::create(Some(&migrator)), TestVhost::create());
    let proxy = TcpProxy::before(&db.url, 5432).await;
    let pool = PgPoolOptions::new()
        .acquire_timeout(Duration::from_secs(1))
        .connect_lazy(&db.url_via(proxy.address()))
        .expect("a pool");
    let world = World::start_on(db, pool, vhost, &[], |_| ()).await;
    world.sign_up(42, "en").await;
    world.sink.set_fault(Fault::Hold);
    let event = payment(7, 42);
    let before = world.sink.count();
    wait_until(
        "the sign-up's lock to be given back",
        BOUND,
        async || locks(&world, "%").await,
        |locks| *locks == 0,
    )
    .await;
    world.publish(&event).await;
    // When everything is read the mail is on its way, and the database goes.
    let reading = "SELECT * FROM open_deliveries%";
    wait_until(
        "the mail on its way",
        BOUND,
        async || locks(&world, reading).await,
        |locks| *locks == 1,
    )
    .await;
    proxy.cut();
    world.sink.set_fault(Fault::None);
    world
        .sink
        .wait_for(before + 1, crate::support::BOUND)
        .await
        .expect("the mail");
    // At least one try to record it has failed by now.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    proxy.heal();
    let row = world.row(event.id, "delivered").await;
    assert_eq!(row.attempts, 1);
    assert_eq!(world.mails_of(event.id), 1, "sent again after the outage");
    assert_eq!(world.vhost.depth(DEAD).await, Some(0));
}

/// Advisory locks held by idle sessions whose last statement was like this.
async fn locks(world: &World, statement: &str) -> i64 {
    sqlx::query_scalar(
        "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)
         WHERE locktype = 'advisory' AND datname = current_database() AND state = 'idle' AND query LIKE $1",
    )
    .bind(statement)
    .fetch_one(&world.db.pool)
    .await
    .expect("pg_locks")
}
