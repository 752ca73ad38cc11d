//! The first copy: chunks of consecutive keys, in parallel, each in a transaction of its own on both sides.
//!
//! The slot is there before the first chunk is read, and nothing of it is applied before the last one is written. So what changes
//! meanwhile is applied to the finished copy, and no transaction on the legacy side is longer than a chunk. What is done is recorded in
//! the transaction that wrote it: killed anywhere, the copy goes on where it was.

mod chunks;
mod copy;

use std::num::NonZeroU32;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use tokio_util::sync::CancellationToken;

pub(crate) use self::chunks::plan;
use crate::apply::TablePlan;
use crate::database::Link;
use crate::error::Error;
use crate::mapping::Direction;

/// How hard the copy works.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Rows of a chunk: the longest transaction on the read side is as long as this many take.
    pub chunk_rows: NonZeroU32,
    /// Chunks at the same time.
    pub workers: NonZeroU32,
    /// A worker's pause after each chunk as a share of what it took, in percent: 100 halves the load.
    pub pause_percent: u32,
    /// Rows per second of all workers together.
    pub rows_per_second: Option<NonZeroU32>,
}

impl Default for Limits {
    /// Gentle: one short chunk at a time, and then both servers rest for forty times as long as it took. So fewer requests than one in
    /// a hundred meet a chunk, and those wait for a few milliseconds at most (`docs/benchmarks.md`). A pause that follows what a chunk
    /// took, unlike a rate, grows where the server is busy with others. For a night there is [`Limits::unthrottled`].
    fn default() -> Self {
        let number = |number| NonZeroU32::new(number).expect("not zero");
        Self {
            chunk_rows: number(250),
            workers: number(1),
            pause_percent: 4_000,
            rows_per_second: None,
        }
    }
}

impl Limits {
    /// As fast as it goes, for a night or a database that nobody uses.
    pub fn unthrottled() -> Self {
        let number = |number| NonZeroU32::new(number).expect("not zero");
        Self {
            chunk_rows: number(20_000),
            workers: number(2),
            pause_percent: 0,
            rows_per_second: None,
        }
    }

    fn pause_after(self, took: Duration) -> Duration {
        took * self.pause_percent / 100
    }
}

/// Copies what is not copied yet; false where it was told to end before.
pub(crate) async fn copy(
    link: &Link,
    direction: Direction,
    plans: &[TablePlan],
    limits: Limits,
    shutdown: &CancellationToken,
) -> Result<bool, Error> {
    let workers = limits.workers.get();
    let numbers = 0..workers;
    stream::iter(numbers)
        .map(|number| {
            let worker = copy::Worker {
                link,
                direction,
                plans,
                number,
                limits,
                pace: pace(limits),
                shutdown,
            };
            worker.work()
        })
        .buffer_unordered(usize::try_from(workers).unwrap_or(1))
        .try_fold(true, |all, done| async move { Ok(all && done) })
        .await
}

/// What a worker may spend on a row.
fn pace(limits: Limits) -> Option<Duration> {
    let each = limits.rows_per_second?.get();
    Some(Duration::from_secs(1) * limits.workers.get() / each)
}
