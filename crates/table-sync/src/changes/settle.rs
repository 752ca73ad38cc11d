//! Asking a running stream, from any process: to carry rows again, and whether it has caught up.

use std::time::Duration;

use sqlx::PgConnection;

use super::ASK;
use crate::database::Link;
use crate::error::{Doing as _, Error};
use crate::key::Key;
use crate::mapping::Direction;
use crate::state;

/// Between two looks at the position.
const LOOK: Duration = Duration::from_millis(20);

/// Rows that one message names.
const STEP: usize = 500;

/// Waits until a stream has carried all that is committed on its read side now. Where there is no such stream there is nothing to wait
/// for.
///
/// # Errors
/// [`Error::Unsettled`] where it takes longer than `patience`; the database's.
pub async fn settle(link: &Link, direction: Direction, patience: Duration) -> Result<(), Error> {
    let stream = link.stream(direction);
    let mut to = link.to(direction).connect(&stream).await?;
    if !state::is_prepared(&mut to).await? || state::position(&mut to, &stream).await?.is_none() {
        return Ok(());
    }
    let mut from = link.from(direction).connect(&stream).await?;
    // A mark of nobody: the stream goes past it at once, also where nothing else is written.
    let goal = tell(&mut from, link, super::MARK, "0").await?;
    let goal = state::lsn(&goal);
    let began = tokio::time::Instant::now();
    loop {
        let position = state::position(&mut to, &stream).await?;
        let Some(position) = position else { return Ok(()) };
        if position.applied >= goal {
            return Ok(());
        }
        if began.elapsed() > patience {
            return Err(Error::Unsettled {
                stream,
                waited: patience,
                problem: format!(
                    "it is at {}, and has to come to {goal}; does it run?",
                    position.applied
                ),
            });
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Has a stream carry these rows again as they are now; it does so in its turn, so nothing newer is overwritten. Those that both sides
/// wrote wait for a [`resolve`] all the same.
///
/// # Errors
/// The database's.
pub async fn carry_again(link: &Link, direction: Direction, table: &str, keys: &[Key]) -> Result<(), Error> {
    ask(link, direction, table, keys, false).await
}

/// Decides a conflict: these rows become on the written side of `keep` what they are on its read side, and the other version is gone but
/// for what `table_sync.conflict` has of it. The stream does it in its turn. A row that the other side has written once more since then
/// is a new conflict.
///
/// # Errors
/// The database's.
pub async fn resolve(link: &Link, keep: Direction, table: &str, keys: &[Key]) -> Result<(), Error> {
    ask(link, keep, table, keys, true).await
}

async fn ask(
    link: &Link,
    direction: Direction,
    table: &str,
    keys: &[Key],
    decided: bool,
) -> Result<(), Error> {
    let stream = link.stream(direction);
    let mut from = link.from(direction).connect(&stream).await?;
    for step in keys.chunks(STEP) {
        let keys: Vec<serde_json::Value> = step.iter().map(Key::to_json).collect();
        let content = serde_json::json!([table, keys, decided]).to_string();
        tell(&mut from, link, ASK, &content).await?;
    }
    Ok(())
}

/// Writes a message into the log, and gives its position.
async fn tell(from: &mut PgConnection, link: &Link, prefix: &str, content: &str) -> Result<String, Error> {
    sqlx::query_scalar("SELECT (pg_logical_emit_message(true, $1, $2) - '0/0')::text")
        .bind(prefix)
        .bind(format!("{}{content}", link.origin_prefix()))
        .fetch_one(from)
        .await
        .doing(|| "writing a message into the log".to_owned())
}
