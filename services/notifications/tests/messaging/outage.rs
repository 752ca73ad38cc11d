//! The database goes away between the mail server's acceptance and the record.

use std::time::Duration;

use banyan_dev_sinks::mail::Fault;
use banyan_test_support::{TcpProxy, TestDb, TestVhost, wait_until};
use sqlx::postgres::PgPoolOptions;

use crate::support::{World, payment};

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
    world.sink.set_fault(Fault::Delay(Duration::from_millis(500)));
    let event = payment(7, 42);
    let before = world.sink.count();
    world.publish(&event).await;
    // The mail is on its way when the database goes.
    wait_until(
        "the session's lock",
        crate::support::BOUND,
        async || {
            let locks: i64 = sqlx::query_scalar(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1
                  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
            )
            .fetch_one(&world.db.pool)
            .await
            .expect("pg_locks");
            locks
        },
        |locks| *locks > 0,
    )
    .await;
    proxy.cut();
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
    assert_eq!(world.vhost.depth(crate::support::DEAD).await, Some(0));
}
