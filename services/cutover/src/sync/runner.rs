//! The role `sync`: sees to the order for a domain, whatever it is.

use std::time::{Duration, Instant};

use banyan_table_sync::changes::{self, Ways};
use banyan_table_sync::{Direction, Error, Link, snapshot, status};
use sqlx::PgPool;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::storage::orders::{self as store, Order, Said};

/// Between two looks at the order.
const LOOK: Duration = Duration::from_secs(1);
/// Between two looks at how far it is.
const WATCH: Duration = Duration::from_secs(5);
/// A change that takes longer is not waited for: the lag is longer than that.
const LONGEST_LAG: Duration = Duration::from_secs(30);
/// What no other try seems to mend is tried again after this.
const AFTER_FAILURE: Duration = Duration::from_secs(30);

/// Sees to one domain until the shutdown.
#[derive(Clone, Debug)]
pub(crate) struct Runner {
    pub(crate) pool: PgPool,
    pub(crate) link: Link,
    pub(crate) limits: snapshot::Limits,
    /// How this process is called in reports.
    pub(crate) name: String,
}

/// A sync under way.
struct Running {
    ways: Ways,
    stop: CancellationToken,
    task: JoinHandle<Result<(), Error>>,
    /// Looks at how far it is, and says so.
    watch: JoinHandle<()>,
}

/// The last failure, and when.
struct Failed {
    problem: String,
    at: Instant,
}

impl Runner {
    /// Sees to the order.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let mut running: Option<Running> = None;
        let mut failed: Option<Failed> = None;
        while !shutdown.is_cancelled() {
            match store::order(&self.pool, &self.link.mapping.domain).await {
                Ok(order) => self.see_to(order, &mut running, &mut failed).await,
                // Whatever runs goes on: the rows matter more than who wants to change the order.
                Err(error) => {
                    tracing::warn!(domain = self.link.mapping.domain, %error, "the order cannot be read");
                }
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = shutdown.cancelled() => {}
            }
        }
        if let Some(running) = running {
            running.end().await;
        }
    }

    async fn see_to(&self, order: Option<Order>, running: &mut Option<Running>, failed: &mut Option<Failed>) {
        let wanted = order.as_ref().filter(|order| order.is_running()).map(Order::ways);
        if let Some(ended) = running.take_if(|running| running.task.is_finished()) {
            let problem = match ended.end().await {
                Some(problem) => problem,
                None => "it ended".to_owned(),
            };
            tracing::error!(
                domain = self.link.mapping.domain,
                problem,
                "the sync failed; it is tried again"
            );
            *failed = Some(Failed {
                problem,
                at: Instant::now(),
            });
        }
        if let Some(other) = running.take_if(|running| Some(running.ways) != wanted) {
            other.end().await;
        }
        match (wanted, &running) {
            (None, _) => {
                *failed = None;
                if order.is_some() {
                    self.say("paused", None).await;
                }
            }
            (Some(ways), None)
                if failed
                    .as_ref()
                    .is_none_or(|failed| failed.at.elapsed() > AFTER_FAILURE) =>
            {
                *running = Some(self.start(ways));
            }
            (Some(_), None) => {
                let problem = failed.as_ref().map(|failed| failed.problem.as_str());
                self.say("failed", problem).await;
            }
            (Some(_), Some(_)) => {}
        }
    }

    fn start(&self, ways: Ways) -> Running {
        tracing::info!(
            domain = self.link.mapping.domain,
            ways = store::name_of(ways),
            "the sync begins"
        );
        let stop = CancellationToken::new();
        let (link, limits, token) = (self.link.clone(), self.limits, stop.clone());
        let task = tokio::spawn(async move { changes::run(&link, ways, limits, &token).await });
        let watcher = Watcher {
            pool: self.pool.clone(),
            link: self.link.clone(),
            runner: self.name.clone(),
        };
        let token = stop.clone();
        let watch = tokio::spawn(async move {
            token.run_until_cancelled(watcher.watch(ways)).await;
        });
        Running {
            ways,
            stop,
            task,
            watch,
        }
    }

    async fn say(&self, state: &str, problem: Option<&str>) {
        let said = Said {
            runner: &self.name,
            state,
            problem,
            forward_lag_ms: None,
            back_lag_ms: None,
        };
        if let Err(error) = store::report(&self.pool, &self.link.mapping.domain, said).await {
            tracing::warn!(domain = self.link.mapping.domain, %error, "the report cannot be written");
        }
    }
}

impl Running {
    /// Ends it as asked, or finds out why it ended.
    async fn end(self) -> Option<String> {
        self.stop.cancel();
        let _ = self.watch.await;
        match self.task.await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(panic) => Some(panic.to_string()),
        }
    }
}

/// Looks at a running sync from outside: what it says is true for whoever asks.
struct Watcher {
    pool: PgPool,
    link: Link,
    runner: String,
}

impl Watcher {
    async fn watch(&self, ways: Ways) {
        loop {
            let (forward_lag_ms, back_lag_ms) = match ways {
                Ways::Forward => (self.lag(Direction::Forward).await, None),
                Ways::Back => (None, self.lag(Direction::Back).await),
                Ways::Both => tokio::join!(self.lag(Direction::Forward), self.lag(Direction::Back)),
            };
            let problem = self.tell_metrics().await;
            let said = Said {
                runner: &self.runner,
                state: "running",
                problem: problem.as_deref(),
                forward_lag_ms,
                back_lag_ms,
            };
            if let Err(error) = store::report(&self.pool, &self.link.mapping.domain, said).await {
                tracing::warn!(domain = self.link.mapping.domain, %error, "the report cannot be written");
            }
            tokio::time::sleep(WATCH).await;
        }
    }

    /// How long a change takes that is made now.
    async fn lag(&self, direction: Direction) -> Option<i64> {
        // Before the first copy is done there is nothing that a change could be carried into.
        let status = status::status(&self.link).await.ok()?;
        status
            .iter()
            .find(|status| status.direction == direction.name() && status.copy.is_done)?;
        let began = Instant::now();
        let settled = changes::settle(&self.link, direction, LONGEST_LAG).await;
        let lag = began.elapsed();
        metrics::gauge!("banyan_sync_lag_seconds", "domain" => self.link.mapping.domain.clone(), "direction" => direction.name())
            .set(lag.as_secs_f64());
        settled.ok().and_then(|()| i64::try_from(lag.as_millis()).ok())
    }

    /// What an operator should know of; the metrics say the rest.
    async fn tell_metrics(&self) -> Option<String> {
        let directions = match status::status(&self.link).await {
            Ok(directions) => directions,
            Err(error) => return Some(error.to_string()),
        };
        let mut problems = Vec::new();
        for status in &directions {
            let gauge = |name: &'static str, value: i64| {
                metrics::gauge!(name, "domain" => self.link.mapping.domain.clone(), "direction" => status.direction)
                    .set(float(value));
            };
            gauge("banyan_sync_behind_bytes", status.behind_bytes);
            gauge("banyan_sync_retained_bytes", status.retained_bytes.unwrap_or(0));
            gauge("banyan_sync_held_rows", status.held);
            gauge("banyan_sync_open_conflicts", status.conflicts);
            gauge(
                "banyan_sync_stopped_tables",
                i64::try_from(status.stopped.len()).unwrap_or(i64::MAX),
            );
            gauge("banyan_sync_copied_rows", status.copy.rows);
            if let Some(problem) = problem(status) {
                problems.push(problem);
            }
        }
        (!problems.is_empty()).then(|| problems.join("; "))
    }
}

/// The one that an operator has to do something about soonest.
fn problem(status: &status::Status) -> Option<String> {
    let stream = &status.stream;
    // https://www.postgresql.org/docs/current/view-pg-replication-slots.html
    match status.slot.as_str() {
        "lost" | "missing" => return Some(format!("the slot of {stream} is lost: `cutover sync resync`")),
        "unreserved" => {
            return Some(format!(
                "the slot of {stream} is about to be lost: max_slot_wal_keep_size is reached"
            ));
        }
        _ => {}
    }
    if let Some(stopped) = status.stopped.first() {
        return Some(format!("table {} is stopped: {}", stopped.table, stopped.problem));
    }
    if status.conflicts > 0 {
        return Some(format!("{} rows of {stream} are in conflict", status.conflicts));
    }
    (status.held > 0).then(|| format!("{} rows of {stream} are held back", status.held))
}

#[allow(
    clippy::cast_precision_loss,
    reason = "a gauge is a float, and nothing is reckoned with it"
)]
fn float(value: i64) -> f64 {
    value as f64
}
