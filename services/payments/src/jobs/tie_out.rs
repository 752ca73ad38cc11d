//! `tie_out`

use banyan_service_kit::{Job, jobs::ScheduleError};
use time::{Duration, UtcOffset};

use crate::config::JobConfig;
use crate::use_cases::{Env, tie_out};

/// Ties the day before its tick out, whenever it is done.
pub(super) fn job(config: &JobConfig, env: Env) -> Result<Job, ScheduleError> {
    Job::new("tie_out", &config.cron, move |run| {
        let env = env.clone();
        async move {
            let day = (run.scheduled_at.to_offset(UtcOffset::UTC) - Duration::DAY).date();
            let report = tie_out::run(&env, day).await?;
            tie_out::measure(&report);
            if report.differences.is_empty() {
                tracing::info!(%day, compared = report.compared, "the day ties out");
            } else {
                tracing::error!(%day, differences = report.differences.len(), "the day does not tie out");
            }
            Ok(())
        }
    })
}
