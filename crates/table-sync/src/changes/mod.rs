//! Following the changes of one database and carrying them into the other, for months.
//!
//! ```text
//! log ──► reader ──► pending rows ──► applier ──► rows and position, in one transaction
//! ```
//!
//! Logical replication (`pgoutput`) tells which rows changed; a row that changed a hundred times meanwhile is carried once. The slot is
//! told how far the log is not needed only after the position is recorded in the written database, so what a crash loses is read again.
//! What is written carries a replication origin, and the other direction leaves transactions of such origins out: nothing goes in
//! circles. See <https://www.postgresql.org/docs/current/logicaldecoding.html> and
//! <https://www.postgresql.org/docs/current/replication-origins.html>.

mod applier;
mod decode;
mod guard;
mod pending;
mod reader;
mod settle;
mod slot;
mod tables;
mod untangle;
mod visible;

use std::time::Duration;

use pgwire_replication::{Lsn, ReplicationClient};
use sqlx::PgConnection;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::applier::{Applier, Mode};
use self::guard::Guard;
use self::pending::Pending;
use self::reader::Reader;
use crate::apply::TablePlan;
use crate::database::Link;
use crate::error::{Doing as _, Error};
use crate::mapping::Direction;
use crate::{snapshot, state};

pub use self::settle::{carry_again, resolve, settle};
pub use self::slot::{remove, resync};

/// The prefix of the marks that a direction waits for.
const MARK: &str = "table_sync_mark";
/// The prefix of what asks for rows to be carried again.
const ASK: &str = "table_sync_carry";

/// After a failure, doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// What ran this long was not the same failure again.
const WELL_AFTER: Duration = Duration::from_secs(30);

/// Which ways rows go.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ways {
    /// From the legacy side only.
    Forward,
    /// From the new side only.
    Back,
    /// Both, with conflicts detected.
    Both,
}

/// Runs the sync of a domain until the shutdown: copies what is not copied yet, then follows the changes. What goes wrong with a
/// connection or a server is tried again; two processes may run it, and one waits for the other.
///
/// # Errors
/// What no other try mends: a lost slot, a mapping that does not fit.
pub async fn run(
    link: &Link,
    ways: Ways,
    limits: snapshot::Limits,
    shutdown: &CancellationToken,
) -> Result<(), Error> {
    let mut pause = FIRST_PAUSE;
    loop {
        let began = tokio::time::Instant::now();
        let error = tokio::select! {
            ended = run_once(link, ways, limits, shutdown) => match ended {
                Ok(()) => return Ok(()),
                Err(error) => error,
            },
            () = shutdown.cancelled() => return Ok(()),
        };
        match &error {
            Error::Busy(_) => tracing::debug!(%error, "waiting"),
            Error::Database { .. } | Error::Replication { .. } => {
                tracing::warn!(error = %chain(&error), "the sync begins again");
            }
            _ => return Err(error),
        }
        if began.elapsed() > WELL_AFTER {
            pause = FIRST_PAUSE;
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shutdown.cancelled() => return Ok(()),
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        source = error.source();
    }
    text
}

async fn run_once(
    link: &Link,
    ways: Ways,
    limits: snapshot::Limits,
    shutdown: &CancellationToken,
) -> Result<(), Error> {
    match ways {
        Ways::Forward => {
            let Some(way) = Way::open(link, Direction::Forward, limits, shutdown).await? else {
                return Ok(());
            };
            way.follow(link, None).await
        }
        Ways::Back => {
            let Some(way) = Way::open(link, Direction::Back, limits, shutdown).await? else {
                return Ok(());
            };
            way.follow(link, None).await
        }
        Ways::Both => {
            let forward = Way::open(link, Direction::Forward, limits, shutdown).await?;
            let back = Way::open(link, Direction::Back, limits, shutdown).await?;
            let (Some(forward), Some(back)) = (forward, back) else {
                return Ok(());
            };
            let (pending_forward, pending_back) = (
                std::sync::Arc::clone(&forward.pending),
                std::sync::Arc::clone(&back.pending),
            );
            tokio::try_join!(
                forward.follow(link, Some(&pending_back)),
                back.follow(link, Some(&pending_forward))
            )?;
            Ok(())
        }
    }
}

/// A direction that is copied and may be followed.
struct Way {
    direction: Direction,
    stream: String,
    position: Lsn,
    plans: Vec<TablePlan>,
    pending: std::sync::Arc<Pending>,
    from: PgConnection,
    /// Holds the lock that keeps a second process out.
    to: PgConnection,
}

impl Way {
    /// `None` where it was told to end before the copy was done.
    async fn open(
        link: &Link,
        direction: Direction,
        limits: snapshot::Limits,
        shutdown: &CancellationToken,
    ) -> Result<Option<Self>, Error> {
        let stream = link.stream(direction);
        let mut from = link.from(direction).connect(&stream).await?;
        let mut to = link.to(direction).connect(&stream).await?;
        only_one(&mut to, &stream).await?;
        state::prepare(&mut to).await?;
        link.write_as_sync(&mut to, direction, "apply").await?;
        let position = slot::start(link, direction, &mut from, &mut to).await?;
        let (plans, stopped) = slot::tables(link, direction, limits, &mut from, &mut to).await?;
        if !snapshot::copy(link, direction, &plans, limits, shutdown).await? {
            return Ok(None);
        }
        let place = |name: &str| plans.iter().position(|plan| plan.flow.table == name);
        let held = state::held_rows(&mut to, &stream).await?;
        let held = held
            .into_iter()
            .filter_map(|(name, key, reason)| Some(((place(&name)?, key), reason)));
        let pending = Pending::new(held);
        for table in stopped {
            pending.stop(table, true);
        }
        Ok(Some(Self {
            direction,
            stream,
            position,
            plans,
            pending: std::sync::Arc::new(pending),
            from,
            to,
        }))
    }

    /// Follows the changes; ends by an error only.
    async fn follow(self, link: &Link, other: Option<&Pending>) -> Result<(), Error> {
        let Self {
            direction,
            stream,
            position,
            plans,
            pending,
            from,
            to,
        } = self;
        let config = link.replication(direction, position)?;
        let mut client = ReplicationClient::connect(config)
            .await
            .map_err(|error| Error::Replication {
                slot: stream.clone(),
                error,
            })?;
        let guard = match other {
            None => None,
            Some(other) => Some(Guard {
                other,
                marker: link.to(direction).connect(&stream).await?,
                prefix: link.origin_prefix(),
                last_mark: 0,
            }),
        };
        let recorded = watch::Sender::new(position);
        let seen = recorded.subscribe();
        let for_reader = plans.clone();
        let mut applier = Applier {
            link,
            direction,
            stream: &stream,
            plans,
            pending: &pending,
            guard,
            from,
            to,
            recorded,
            idle: None,
            mode: Mode::Changed,
        };
        let mut reader = Reader::new(link, &stream, &for_reader, &pending, other);
        tracing::info!(stream, %position, "following the changes");
        tokio::select! {
            ended = reader.read(&mut client, seen) => ended,
            ended = applier.apply() => ended,
        }
    }
}

/// Keeps other processes out for as long as the session lives.
async fn only_one(to: &mut PgConnection, stream: &str) -> Result<(), Error> {
    let alone: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock(hashtextextended($1, 0))")
        .bind(stream)
        .fetch_one(to)
        .await
        .doing(|| format!("locking {stream}"))?;
    if alone {
        Ok(())
    } else {
        Err(Error::Busy(stream.to_owned()))
    }
}
