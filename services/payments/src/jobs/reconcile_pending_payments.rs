//! `reconcile_pending_payments`

use banyan_service_kit::Job;
use banyan_service_kit::jobs::ScheduleError;

use crate::config::ReconcileConfig;
use crate::use_cases::Env;
use crate::use_cases::reconcile::{self, Limits};

pub(super) fn job(config: &ReconcileConfig, env: Env) -> Result<Job, ScheduleError> {
    let limits = Limits {
        batch: config.batch,
        concurrency: config.concurrency,
    };
    Job::new("reconcile_pending_payments", &config.cron, move |run| {
        let env = env.clone();
        async move {
            let tally = reconcile::run(&env, limits, &run.shutdown).await?;
            if tally.seen > 0 {
                tracing::info!(
                    seen = tally.seen,
                    settled = tally.settled,
                    failed = tally.failed,
                    "unknown outcomes looked into"
                );
            }
            Ok(())
        }
    })
}
