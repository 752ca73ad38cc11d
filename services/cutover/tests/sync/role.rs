//! What a sync may do in the databases.

use banyan_local_stack::postgres::sync_role_sql;
use sqlx::PgPool;

use crate::world::{World, execute, number};

/// A role as `deploy/postgres/sync-role.sql` makes it; its URL.
async fn sync_role(pool: &PgPool, url: &str, role: &str) -> String {
    execute(pool, &format!("CREATE ROLE {role} LOGIN PASSWORD 'only-here'")).await;
    let owner: String = sqlx::query_scalar("SELECT current_user::text")
        .fetch_one(pool)
        .await
        .expect("the owner");
    execute(pool, &sync_role_sql(role, &owner)).await;
    let place = url.rsplit_once('@').expect("a URL with a login").1;
    format!("postgres://{role}:only-here@{place}")
}

async fn drop_role(pool: &PgPool, role: &str) {
    execute(pool, &format!("DROP OWNED BY {role} CASCADE; DROP ROLE {role}")).await;
}

#[tokio::test]
async fn the_rights_that_the_runbook_grants_are_enough() {
    let mut world = World::new().await;
    let suffix = &world.legacy.name()[world.legacy.name().len() - 12..];
    let roles = ["legacy", "payments"].map(|side| format!("{side}_sync_{suffix}"));
    world.sync_urls = [
        sync_role(&world.legacy.pool, &world.legacy.url, &roles[0]).await,
        sync_role(&world.payments.pool, &world.payments.url, &roles[1]).await,
    ];
    let is_superuser = format!("SELECT count(*) FROM pg_roles WHERE rolsuper AND rolname LIKE '%{suffix}'");
    assert_eq!(number(&world.legacy.pool, &is_superuser).await, 0);
    let (code, text) = world.run("sync check payments").await;
    assert_eq!(code, 0, "{text}");
    let runner = world.serve("sync").await;
    world.in_step("both").await;
    execute(
        &world.payments.pool,
        "UPDATE payment SET description = 'of the service' WHERE id = 7",
    )
    .await;
    let (code, text) = world.run("validate full payments").await;
    assert_eq!(code, 0, "{text}");
    let (code, text) = world.run("sync stop payments --yes").await;
    assert_eq!(code, 0, "{text}");
    drop(runner);
    drop_role(&world.legacy.pool, &roles[0]).await;
    drop_role(&world.payments.pool, &roles[1]).await;
}
