//! The shared servers: started once however many ask, reused, stopped.

use banyan_local_stack::TestServers;
use sqlx::Connection as _;

#[tokio::test]
async fn many_that_ask_at_once_get_the_same_servers() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second, third) = tokio::join!(
        TestServers::ensure_in(dir.path()),
        TestServers::ensure_in(dir.path()),
        TestServers::ensure_in(dir.path()),
    );
    let first = first.expect("servers start");
    assert_eq!((&second.unwrap(), &third.unwrap()), (&first, &first));
    sqlx::PgConnection::connect(&first.postgres_url)
        .await
        .expect("postgres answers");
    TestServers::stop_in(dir.path()).await.unwrap();
    sqlx::PgConnection::connect(&first.postgres_url)
        .await
        .expect_err("postgres is stopped");
    TestServers::stop_in(dir.path())
        .await
        .expect("stopping twice is no error");
}
