//! What an operator can have done.

use std::time::Duration;

use banyan_table_sync::changes::{self, Ways};
use banyan_table_sync::check::{self as checks, Finding};
use banyan_table_sync::status::{self, Status};
use banyan_table_sync::{Direction, Key, Link};
use serde::Serialize;
use serde_json::json;
use sqlx::PgPool;

use crate::error::{Error, Result};
use crate::storage::actions;
use crate::storage::orders::{self as store, Order};

/// How long the process that runs a sync may take to end it.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(100);

/// Where a domain's sync stands.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct State {
    pub(crate) domain: String,
    /// None was given, or it was stopped.
    pub(crate) order: Option<Order>,
    /// Those that were started.
    pub(crate) directions: Vec<Status>,
}

pub(crate) async fn state(pool: &PgPool, link: &Link) -> Result<State> {
    Ok(State {
        domain: link.mapping.domain.clone(),
        order: store::order(pool, &link.mapping.domain).await?,
        directions: status::status(link).await?,
    })
}

pub(crate) async fn check(link: &Link) -> Result<Vec<Finding>> {
    Ok(checks::check(link, checks::Options::default()).await?)
}

/// Starts a sync, or changes its ways; a mapping that does not fit is refused.
pub(crate) async fn start(pool: &PgPool, link: &Link, ways: Ways, actor: &str) -> Result<Vec<Finding>> {
    // What is under way was checked, and finds out by itself what changes. An order alone is not: a stop may have died after it had
    // removed the streams.
    if status::status(link).await?.is_empty() {
        let findings = check(link).await?;
        if findings.iter().any(|finding| finding.is_fatal) {
            return Ok(findings);
        }
    }
    store::start(pool, &link.mapping.domain, ways, actor).await?;
    Ok(Vec::new())
}

pub(crate) async fn pause(pool: &PgPool, link: &Link, actor: &str) -> Result<()> {
    wanted(pool, link, "paused", actor).await
}

pub(crate) async fn resume(pool: &PgPool, link: &Link, actor: &str) -> Result<()> {
    wanted(pool, link, "running", actor).await
}

async fn wanted(pool: &PgPool, link: &Link, wanted: &str, actor: &str) -> Result<()> {
    let domain = &link.mapping.domain;
    if store::want(pool, domain, wanted, actor).await? {
        Ok(())
    } else {
        Err(Error::Refused(format!(
            "there is no sync of {domain}; `cutover sync start {domain}` starts one"
        )))
    }
}

/// Ends a sync for good: slots, publications and positions go, the rows stay.
pub(crate) async fn stop(pool: &PgPool, link: &Link, actor: &str) -> Result<()> {
    ended(pool, link, actor).await?;
    for direction in [Direction::Forward, Direction::Back] {
        changes::remove(link, direction).await?;
    }
    let mut transaction = pool.begin().await?;
    store::forget(&mut transaction, &link.mapping.domain).await?;
    actions::record(
        &mut transaction,
        actor,
        "sync.stop",
        &link.mapping.domain,
        &json!({}),
    )
    .await?;
    Ok(transaction.commit().await?)
}

/// Forgets how far the forward direction was, so that all is copied again. What a lost slot needs.
pub(crate) async fn resync(pool: &PgPool, link: &Link, actor: &str) -> Result<()> {
    ended(pool, link, actor).await?;
    changes::resync(link, Direction::Forward).await?;
    let mut connection = pool.acquire().await?;
    actions::record(
        &mut connection,
        actor,
        "sync.resync",
        &link.mapping.domain,
        &json!({}),
    )
    .await?;
    drop(connection);
    resume(pool, link, actor).await
}

/// Pauses, and waits until no process carries anything.
async fn ended(pool: &PgPool, link: &Link, actor: &str) -> Result<()> {
    store::want(pool, &link.mapping.domain, "paused", actor).await?;
    let began = tokio::time::Instant::now();
    loop {
        let directions = status::status(link).await?;
        let Some(running) = directions.iter().find(|status| status.is_running) else {
            return Ok(());
        };
        if began.elapsed() > PATIENCE {
            return Err(Error::Refused(format!(
                "{} is still held by a process after {} s; does it have the same cutover database? \
                 `cutover sync status {}` names it",
                running.stream,
                PATIENCE.as_secs(),
                link.mapping.domain
            )));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Decides a conflict for the legacy side (`Forward`) or the new one (`Back`), and waits until it is done.
pub(crate) async fn resolve(
    pool: &PgPool,
    link: &Link,
    table: &str,
    key: &[String],
    keep: Direction,
    actor: &str,
) -> Result<()> {
    let table = link.mapping.table(table).ok_or_else(|| {
        Error::Unknown(format!(
            "the mapping of {} has no table {table}",
            link.mapping.domain
        ))
    })?;
    let open = banyan_table_sync::state::conflicts(link).await?;
    let is_it =
        |conflict: &banyan_table_sync::state::Conflict| conflict.table == table.target && conflict.key == key;
    if !open.iter().any(is_it) {
        return Err(Error::Unknown(format!(
            "row {} of {} is in no open conflict; `cutover sync conflicts {}` lists them",
            key.join(", "),
            table.target,
            link.mapping.domain
        )));
    }
    let detail = json!({ "table": table.target, "key": key, "keep": keep.name() });
    let mut connection = pool.acquire().await?;
    actions::record(
        &mut connection,
        actor,
        "sync.resolve",
        &link.mapping.domain,
        &detail,
    )
    .await?;
    drop(connection);
    changes::resolve(link, keep, &table.target, &[Key::new(key.to_vec())]).await?;
    Ok(changes::settle(link, keep, PATIENCE).await?)
}
