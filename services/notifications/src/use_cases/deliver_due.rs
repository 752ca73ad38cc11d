//! Taking up notifications again that nobody tries any more: forgotten ones, and failed ones that another try may mend.

use banyan_events::Event;
use time::Duration;

use super::{conclusion::Verdict, deliver::Deliver};
use crate::{
    domain::{notice::Notice, occasion::Occasion},
    storage::{
        StoreError,
        due::{self, Due, Kind},
    },
};

/// Longer than any send can take, so that nobody else takes what is being tried.
const LEASE: Duration = Duration::minutes(10);

/// Claimed at a time: each is tried within the lease.
const CHUNK: i64 = 20;

/// What a run came to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tally {
    /// Taken up.
    pub tried: u32,
    /// Handled now.
    pub done: u32,
}

/// Tries what is due, up to `limit`. `max_attempts` counts all tries of a notification; `None`: no bound, and queued stays queued.
///
/// # Errors
/// The database's.
pub async fn run(
    deliver: &Deliver,
    kind: Kind,
    max_attempts: Option<u16>,
    limit: u32,
) -> Result<Tally, StoreError> {
    let mut tally = Tally::default();
    while tally.tried < limit {
        let most = max_attempts.map_or(i32::MAX, i32::from);
        let chunk = CHUNK.min(i64::from(limit - tally.tried));
        let claimed = due::claim(deliver.pool(), kind, deliver.now(), LEASE, most, chunk).await?;
        if claimed.is_empty() {
            return Ok(tally);
        }
        for due in claimed {
            tally.tried += 1;
            let Some(occasion) = occasion(due) else { continue };
            if deliver.run(&occasion).await? == Verdict::Done {
                tally.done += 1;
            }
        }
    }
    Ok(tally)
}

/// The event again, from what was kept of it. What cannot be read any more is left to people, and said so.
fn occasion(due: Due) -> Option<Occasion> {
    let kind = super::conclusion::kind(&due.event_type)?;
    let event = match Event::decode(kind.name(), &kind.dataschema(), &due.payload.data) {
        Ok(event) => event,
        Err(error) => {
            tracing::error!(%error, event.id = %due.event_id, "a notification cannot be taken up again");
            return None;
        }
    };
    Some(Occasion {
        event_id: due.event_id,
        subject: due.payload.0.subject,
        sequence: due.payload.0.sequence,
        event,
        notice: Notice::of(kind)?,
        trace_id: due.trace_id,
        // There is no ladder behind a job: what fails here is failed until the next run.
        last_try: true,
    })
}
