//! Waiting until what a transaction wrote can be seen.
//!
//! A commit is in the log, and so in the stream of changes, a moment before other sessions see it; with synchronous replication the
//! moment can be long. Who reads the changed rows too soon reads what they were before.

use std::collections::HashSet;
use std::time::Duration;

use sqlx::PgConnection;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(1);

/// Waits until none of these transactions, which have committed, is in progress for others any more. The ids are without their epoch.
pub(super) async fn visible(from: &mut PgConnection, writers: &HashSet<u32>) -> Result<(), sqlx::Error> {
    if writers.is_empty() {
        return Ok(());
    }
    loop {
        let snapshot: String = sqlx::query_scalar("SELECT pg_current_snapshot()::text")
            .fetch_one(&mut *from)
            .await?;
        if sees(&snapshot, writers) {
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Whether a snapshot, `xmin:xmax:xip,...`, sees what all of them wrote.
///
/// <https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-PG-SNAPSHOT-PARTS>
fn sees(snapshot: &str, writers: &HashSet<u32>) -> bool {
    let mut parts = snapshot.split(':');
    let mut ids = parts.by_ref().skip(1).take(2).map(|part| {
        let ids = part.split(',').filter_map(|id| id.parse::<u64>().ok());
        ids.map(without_epoch).collect::<Vec<u32>>()
    });
    let (next, running) = (ids.next().unwrap_or_default(), ids.next().unwrap_or_default());
    let Some(next) = next.first() else { return false };
    // Ids go round: an id is earlier if it is less than half a round behind.
    let is_earlier = |id: &u32| next.wrapping_sub(*id).wrapping_sub(1) < u32::MAX / 2;
    writers.iter().all(|id| is_earlier(id) && !running.contains(id))
}

#[expect(clippy::cast_possible_truncation, reason = "the epoch is what is cut off")]
const fn without_epoch(id: u64) -> u32 {
    id as u32
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::sees;

    #[test]
    fn a_snapshot_sees_what_had_ended() {
        for (snapshot, writer, seen) in [
            ("10:20:10,15", 9, true),
            ("10:20:10,15", 12, true),
            ("10:20:10,15", 15, false),
            ("10:20:", 19, true),
            ("10:20:", 20, false),
            ("10:20:", 25, false),
            // The second epoch, just begun.
            ("4294967290:4294967301:4294967298", 2, false),
            ("4294967290:4294967301:4294967298", 3, true),
            ("4294967290:4294967301:4294967298", 4_294_967_295, true),
            ("4294967290:4294967301:", 6, false),
        ] {
            assert_eq!(
                sees(snapshot, &HashSet::from([writer])),
                seen,
                "{writer} in {snapshot}"
            );
        }
    }
}
