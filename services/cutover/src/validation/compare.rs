//! A run, from its beginning or from where a killed one was.

use std::time::Duration;

use banyan_events::payloads::MigrationAlert;
use banyan_messaging::outbox::{self, NewEvent};
use banyan_table_sync::Link;
use banyan_table_sync::validate::{self, Options, Progress, Reached, TableReport};
use banyan_tracing_setup::context;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;
use uuid::Uuid;

use crate::config::Validation;
use crate::error::{Error, Result};
use crate::storage::runs::{self, Asked, Found, Run};

/// Compares the two sides of domains.
#[derive(Clone, Debug)]
pub(crate) struct Validator {
    pub(crate) pool: PgPool,
    pub(crate) config: Validation,
}

impl Validator {
    /// How rows are compared.
    pub(crate) fn options(&self, tables: Vec<String>) -> Options {
        Options {
            range_rows: self.config.range_rows,
            pause_percent: self.config.pause_percent,
            most_differences: self.config.most_differences,
            patience: Duration::from_secs(self.config.patience_seconds),
            tables,
            ..Options::default()
        }
    }

    /// Compares, keeps what was found, and publishes `migration.alert` where it is too much. A full run that was killed goes on, unless
    /// `anew`. `tell` is called with each step.
    ///
    /// # Errors
    /// [`Error::Refused`] where another process validates the domain; cutover's own database. That a domain's database is away makes
    /// the run undecided, and is no error.
    pub(crate) async fn validate(
        &self,
        link: &Link,
        asked: &Asked<'_>,
        anew: bool,
        tell: &mut (dyn FnMut(&Reached) + Send),
        shutdown: &CancellationToken,
    ) -> Result<Run> {
        for table in asked.tables {
            if link.mapping.table(table).is_none() {
                return Err(Error::Unknown(format!(
                    "the mapping of {} has no table {table}",
                    link.mapping.domain
                )));
            }
        }
        // Held to the end of the run: two that write the same run down would mix.
        let domain = &link.mapping.domain;
        let _lock = runs::lock(&self.pool, domain).await?.ok_or_else(|| {
            Error::Refused(format!(
                "another validation of {domain} is going on; `cutover validate list {domain}` shows it"
            ))
        })?;
        let span = tracing::info_span!(
            "validation",
            otel.name = format!("validate {}", link.mapping.domain),
            domain = link.mapping.domain,
            run_id = tracing::field::Empty,
            sample_size = tracing::field::Empty,
            mismatches = tracing::field::Empty,
            mismatch_rate = tracing::field::Empty,
        );
        async {
            let unfinished = match asked.sample_size {
                None if !anew => runs::unfinished(&self.pool, asked).await?,
                _ => None,
            };
            let id = match unfinished {
                Some(id) => {
                    tracing::info!(run_id = %id, "going on with a run that was not finished");
                    id
                }
                None => {
                    runs::begin(
                        &self.pool,
                        asked,
                        context::trace_id(&tracing::Span::current()).as_deref(),
                    )
                    .await?
                }
            };
            let problem = match self.compare(id, link, asked, tell, shutdown).await {
                Ok(()) => None,
                Err(Error::Sync(banyan_table_sync::Error::Stopped)) => {
                    return Err(banyan_table_sync::Error::Stopped.into());
                }
                Err(Error::Sync(error)) => Some(error.to_string()),
                Err(error) => return Err(error),
            };
            let run = self.finish(id, problem.as_deref()).await?;
            let span = tracing::Span::current();
            span.record("run_id", tracing::field::display(run.id));
            span.record("sample_size", run.rows_compared);
            span.record("mismatches", run.mismatches);
            span.record("mismatch_rate", &run.mismatch_rate);
            tell_metrics(&run);
            Ok(run)
        }
        .instrument(span)
        .await
    }

    async fn compare(
        &self,
        id: Uuid,
        link: &Link,
        asked: &Asked<'_>,
        tell: &mut (dyn FnMut(&Reached) + Send),
        shutdown: &CancellationToken,
    ) -> Result<()> {
        let mut options = self.options(asked.tables.to_vec());
        if let Some(size) = asked.sample_size {
            for report in validate::sample(link, &options, size).await? {
                runs::finish_table(&self.pool, id, &report).await?;
            }
            return Ok(());
        }
        let (finished, reached) = runs::progress(&self.pool, id).await?;
        let names = link.mapping.tables.iter().map(|table| table.target.clone());
        options.tables = names
            .filter(|name| asked.tables.is_empty() || asked.tables.contains(name))
            .filter(|name| !finished.contains(name))
            .collect();
        if options.tables.is_empty() {
            return Ok(());
        }
        // The comparison does not wait for its bookkeeping, which a kill may leave behind but never ahead.
        let (steps, mut written) = mpsc::unbounded_channel();
        let writer = async {
            while let Some(step) = written.recv().await {
                match step {
                    Progress::Range(reached) => runs::reach(&self.pool, id, &reached).await?,
                    Progress::Table(report) => runs::finish_table(&self.pool, id, &report).await?,
                }
            }
            Ok::<(), Error>(())
        };
        let mut progress = move |step: Progress| {
            match &step {
                Progress::Range(reached) => tell(reached),
                Progress::Table(report) => tell(&whole(report)),
            }
            let _ = steps.send(step);
        };
        let compared = async {
            let done = validate::full(link, &options, &reached, &mut progress, shutdown).await;
            // Ends the writer.
            drop(progress);
            done
        };
        let (compared, written) = tokio::join!(compared, writer);
        written?;
        compared?;
        Ok(())
    }

    /// Writes the outcome, and the alert with it.
    async fn finish(&self, id: Uuid, problem: Option<&str>) -> Result<Run> {
        let mut transaction = self.pool.begin().await?;
        runs::finish(&mut transaction, id, problem).await?;
        let run = runs::run(&mut transaction, id).await?;
        if self.is_too_much(&run) {
            let event = NewEvent::new(format!("migration/{}", run.domain), alert(&run));
            outbox::publish(&mut transaction, event).await?;
            tracing::error!(
                domain = run.domain,
                run_id = %run.id,
                mismatches = run.mismatches,
                mismatch_rate = run.mismatch_rate,
                "both sides differ"
            );
        }
        transaction.commit().await?;
        Ok(run)
    }

    /// Above the limit, or any row of a table that must not have one.
    fn is_too_much(&self, run: &Run) -> bool {
        let is_strict = |table: &str| self.config.strict_tables.iter().any(|strict| strict == table);
        let any_strict = run
            .tables
            .iter()
            .any(|table| table.mismatches > 0 && is_strict(&table.table));
        let ppm = i128::from(run.mismatches) * 1_000_000;
        any_strict || ppm > i128::from(run.rows_compared) * i128::from(self.config.max_mismatch_ppm)
    }
}

fn whole(report: &TableReport) -> Reached {
    Reached {
        table: report.table.clone(),
        rows: report.rows_compared,
        estimated_rows: report.rows_compared,
        ..Reached::default()
    }
}

fn alert(run: &Run) -> MigrationAlert {
    let tables: Vec<String> = run
        .tables
        .iter()
        .filter(|table| table.mismatches > 0)
        .map(|table| format!("{} of {}", table.mismatches, table.table))
        .collect();
    MigrationAlert {
        service: run.domain.clone(),
        mismatches: run.mismatches,
        sample_size: run.rows_compared,
        mismatch_rate: run.mismatch_rate.clone(),
        message: format!(
            "{} of {} rows differ: {}",
            run.mismatches,
            run.rows_compared,
            tables.join(", ")
        ),
        run_id: run.id,
    }
}

fn tell_metrics(run: &Run) {
    let outcome = run.outcome.clone().unwrap_or_default();
    let labels = [("domain", run.domain.clone()), ("kind", run.kind.clone())];
    metrics::counter!("banyan_validation_runs_total", "domain" => run.domain.clone(), "kind" => run.kind.clone(), "outcome" => outcome)
        .increment(1);
    metrics::counter!("banyan_validation_rows_total", &labels)
        .increment(u64::try_from(run.rows_compared).unwrap_or_default());
    metrics::counter!("banyan_validation_mismatches_total", &labels)
        .increment(u64::try_from(run.mismatches).unwrap_or_default());
}

/// What a validation prints and the API answers.
pub(crate) fn answer(run: &Run, differences: &[Found]) -> Value {
    let mut answer = json!(run);
    answer["differences"] = json!(differences);
    answer
}
