//! Pool, migrations and error classes against a real PostgreSQL.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it must be"
)]

use std::{sync::Arc, time::Duration};

use banyan_db::{DbConfig, ErrorClass, classify, connect, migrate, ready, retry_serialization};
use banyan_test_support::{TcpProxy, TestDb, wait_for};
use sqlx::{PgPool, migrate::Migrator};
use tokio::sync::Barrier;

const SOON: Duration = Duration::from_secs(20);

async fn with_accounts() -> TestDb {
    let db = TestDb::create(None).await;
    sqlx::raw_sql(
        "CREATE TABLE account (id int CONSTRAINT account_is_one PRIMARY KEY, balance int CONSTRAINT no_debt CHECK (balance >= 0));
         INSERT INTO account VALUES (1, 100), (2, 100)",
    )
    .execute(&db.pool)
    .await
    .unwrap();
    db
}

/// Moves 10 from one account to the other; both rows are locked, in the order given, with a pause for the other side.
async fn transfer(pool: &PgPool, from: i32, to: i32, meet: Option<&Barrier>) -> Result<(), sqlx::Error> {
    let mut transaction = pool.begin().await?;
    sqlx::query("UPDATE account SET balance = balance - 10 WHERE id = $1")
        .bind(from)
        .execute(&mut *transaction)
        .await?;
    if let Some(meet) = meet {
        meet.wait().await;
    }
    sqlx::query("UPDATE account SET balance = balance + 10 WHERE id = $1")
        .bind(to)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await
}

#[tokio::test]
async fn a_transaction_that_lost_a_deadlock_runs_again_and_both_take_effect() {
    let db = with_accounts().await;
    let meet = Arc::new(Barrier::new(2));
    let runs = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let mut tasks = tokio::task::JoinSet::new();
    for (from, to) in [(1, 2), (2, 1)] {
        let (pool, meet, runs) = (db.pool.clone(), Arc::clone(&meet), Arc::clone(&runs));
        tasks.spawn(async move {
            let mut first = true;
            retry_serialization(|| {
                runs.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                // Both hold one row and want the other: only in the first run.
                let meet = std::mem::take(&mut first).then_some(&*meet);
                transfer(&pool, from, to, meet)
            })
            .await
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap().unwrap();
    }
    assert_eq!(
        runs.load(std::sync::atomic::Ordering::Relaxed),
        3,
        "one of the two lost, once"
    );
    let balances: Vec<i32> = sqlx::query_scalar("SELECT balance FROM account ORDER BY id")
        .fetch_all(&db.pool)
        .await
        .unwrap();
    assert_eq!(balances, [100, 100]);
}

#[tokio::test]
async fn a_refused_row_names_its_constraint() {
    let db = with_accounts().await;
    for (statement, constraint) in [
        ("INSERT INTO account VALUES (1, 0)", "account_is_one"),
        ("UPDATE account SET balance = -1", "no_debt"),
    ] {
        let error = sqlx::query(statement).execute(&db.pool).await.unwrap_err();
        assert_eq!(classify(&error), ErrorClass::Constraint(constraint.into()));
    }
    let error = sqlx::query("SELECT nonsense")
        .execute(&db.pool)
        .await
        .unwrap_err();
    assert_eq!(classify(&error), ErrorClass::Other);
}

#[tokio::test]
async fn a_session_that_the_server_ended_is_unavailable_and_an_idle_one_is_replaced_unseen() {
    let db = TestDb::create(None).await;
    let mut config = DbConfig::new(db.url.clone());
    config.max_connections = 1;
    let pool = connect(&config, "db-test").await.unwrap();

    let mut held = pool.acquire().await.unwrap();
    sqlx::query("SELECT 1").execute(&mut *held).await.unwrap();
    assert!(db.kill_sessions().await > 0);
    // The server ends a session a moment after it was told to.
    let error = wait_for("the session to end", SOON, async || {
        match sqlx::query("SELECT 1").execute(&mut *held).await {
            Ok(_) => Err("it still answers"),
            Err(error) => Ok(error),
        }
    })
    .await;
    assert_eq!(classify(&error), ErrorClass::Unavailable, "{error}");
    drop(held);

    ready(&pool).await.unwrap();
    assert!(db.kill_sessions().await > 0);
    // Idle for longer than the pool trusts a connection: the dead one is noticed before it is handed out.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    ready(&pool).await.unwrap();
}

#[tokio::test]
async fn a_database_that_comes_back_is_used_again() {
    let db = TestDb::create(None).await;
    let proxy = TcpProxy::before(&db.url, 5432).await;
    let mut config = DbConfig::new(db.url_via(proxy.address()));
    config.acquire_timeout_ms = 300;
    proxy.cut();
    let pool = connect(&config, "db-test").await.unwrap();
    let message = ready(&pool).await.unwrap_err().to_string();
    assert!(message.contains(db.name()), "{message}");
    proxy.heal();
    wait_for("the database to be ready", SOON, async || ready(&pool).await).await;
}

#[tokio::test]
async fn several_processes_migrate_at_once_and_each_file_runs_once() {
    let db = TestDb::create(None).await;
    let files = tempfile::tempdir().unwrap();
    std::fs::write(files.path().join("0001_one.sql"), "CREATE TABLE one (id int)").unwrap();
    // Waits for the end of every statement that is under way, those of the other processes too.
    let concurrent = "-- no-transaction\nCREATE INDEX CONCURRENTLY of_one ON one (id)";
    std::fs::write(files.path().join("0002_index.sql"), concurrent).unwrap();
    let migrator = Migrator::new(files.path()).await.unwrap();
    // All of them are connected, so that nobody is done before the others begin.
    drop(futures::future::join_all((0..4).map(|_| db.pool.acquire())).await);
    let at_once = futures::future::join_all((0..4).map(|_| migrate(&db.pool, &migrator))).await;
    for done in at_once {
        done.unwrap();
    }

    std::fs::write(files.path().join("0003_broken.sql"), "CREATE TABLE one (id int)").unwrap();
    let migrator = Migrator::new(files.path()).await.unwrap();
    let message = migrate(&db.pool, &migrator).await.unwrap_err().to_string();
    assert!(
        message.contains(db.name()) && message.contains("migration 3"),
        "{message}"
    );
}
