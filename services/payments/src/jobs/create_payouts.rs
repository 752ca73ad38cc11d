//! `create_payouts`

use banyan_service_kit::{Job, jobs::ScheduleError};

use crate::config::JobConfig;
use crate::use_cases::{Env, payouts};

pub(super) fn job(config: &JobConfig, env: Env) -> Result<Job, ScheduleError> {
    Job::new("create_payouts", &config.cron, move |_| {
        let env = env.clone();
        async move {
            let tally = payouts::run(&env).await?;
            if tally != payouts::Tally::default() {
                tracing::info!(
                    reconciled = tally.reconciled,
                    created = tally.created,
                    failed = tally.failed,
                    "payouts brought forward"
                );
            }
            Ok(())
        }
    })
}
