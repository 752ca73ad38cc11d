//! A real PostgreSQL server: start, role isolation, kill, restart, and who holds its port.

use banyan_local_stack::postgres::{Postgres, PostgresSettings};
use sqlx::{Connection as _, PgConnection, Row as _};

async fn start(dir: &tempfile::TempDir) -> Postgres {
    Postgres::start(dir.path(), 0, PostgresSettings::for_tests())
        .await
        .expect("postgres starts")
}

#[tokio::test]
async fn committed_rows_survive_kill_9_on_the_same_port() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(&dir).await;
    let url = server.create_role_and_database("payments").await.unwrap();
    let mut connection = PgConnection::connect(&url).await.unwrap();
    sqlx::raw_sql("CREATE TABLE kept (id int); INSERT INTO kept VALUES (7)")
        .execute(&mut connection)
        .await
        .unwrap();
    let (port, before) = (server.port(), server.process().unwrap());

    server.kill9().await.unwrap();
    assert!(server.process().is_none());
    sqlx::raw_sql("SELECT 1")
        .execute(&mut connection)
        .await
        .expect_err("the session died with the server");

    // The stale postmaster.pid of the killed server lies there.
    assert!(dir.path().join("data/postmaster.pid").exists());
    server.restart().await.unwrap();
    assert_eq!(server.port(), port);
    assert_ne!(server.process().unwrap(), before);
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let row = sqlx::query("SELECT id FROM kept")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(row.get::<i32, _>(0), 7);
    let level = sqlx::query("SHOW wal_level")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(level.get::<String, _>(0), "logical");
    server.stop().await.unwrap();
    assert!(
        !dir.path().join("data/postmaster.pid").exists(),
        "an orderly stop tidies up"
    );
}

#[tokio::test]
async fn a_role_reaches_its_own_database_only() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(&dir).await;
    let payments = server.create_role_and_database("payments").await.unwrap();
    let users = server.create_role_and_database("users").await.unwrap();
    assert_eq!(
        server.create_role_and_database("users").await.unwrap(),
        users,
        "repeating changes nothing"
    );
    PgConnection::connect(&users).await.expect("its own database");

    for other in ["payments", "postgres", "template1"] {
        let url = format!("{}/{other}", users.rsplit_once('/').unwrap().0);
        let error = PgConnection::connect(&url).await.expect_err(other).to_string();
        assert!(
            error.contains("permission denied for database"),
            "{other}: {error}"
        );
    }
    let wrong_password = payments.replace("payments:", "payments:x");
    let error = PgConnection::connect(&wrong_password)
        .await
        .expect_err("wrong password")
        .to_string();
    assert!(error.contains("password authentication failed"), "{error}");

    let guest = server
        .create_guest_role("legacy_relay", "payments")
        .await
        .unwrap();
    let mut guest = PgConnection::connect(&guest)
        .await
        .expect("a guest may connect where it was let in");
    let error = sqlx::raw_sql("CREATE TABLE mine (id int)")
        .execute(&mut guest)
        .await
        .expect_err("owns nothing");
    assert!(
        error.to_string().contains("permission denied for schema public"),
        "{error}"
    );
}

#[tokio::test]
async fn a_running_server_is_taken_over_and_its_data_are_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let first = start(&dir).await.detach();
    let second = start(&dir).await;
    assert_eq!(first.process(), second.process());
    assert_eq!(first.admin_url(), second.admin_url());
    for (name, mode) in [("instance.json", 0o600), ("data", 0o700), ("", 0o700)] {
        let metadata = std::fs::metadata(dir.path().join(name)).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, mode, "{name}");
    }
    let process = second.process().unwrap();
    drop(second);
    // Dropping the owning handle kills the server, so that a failing test leaves none behind.
    tokio::time::timeout(std::time::Duration::from_secs(10), async {
        while process.is_alive() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("dropped server ends");
}

#[tokio::test]
async fn a_taken_port_is_named_with_its_holder() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let dir = tempfile::tempdir().unwrap();
    let error = Postgres::start(dir.path(), port, PostgresSettings::for_tests())
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(&format!(
            "port {port} for postgres is taken by pid {}",
            std::process::id()
        )),
        "{error}"
    );
}

#[tokio::test]
async fn a_failed_start_quotes_the_line_that_explains_it() {
    let dir = tempfile::tempdir().unwrap();
    let settings = PostgresSettings {
        extra: vec![("shared_preload_libraries".into(), "no_such_library".into())],
        ..Default::default()
    };
    let error = Postgres::start(dir.path(), 0, settings)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("postgres ended while starting")
            && error.contains("could not access file \"no_such_library\""),
        "{error}"
    );
}
