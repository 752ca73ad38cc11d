//! `purge_expired`

use std::time::Duration;

use banyan_idempotency::{inbox, reap};
use banyan_service_kit::Job;
use banyan_service_kit::jobs::ScheduleError;

use crate::config::PurgeConfig;
use crate::use_cases::Env;

pub(super) fn job(config: &PurgeConfig, env: Env) -> Result<Job, ScheduleError> {
    let batch = config.batch.get();
    let keep_inbox = Duration::from_hours(24 * u64::from(config.keep_inbox_days));
    Job::new("purge_expired", &config.cron, move |_| {
        let pool = env.pool.clone();
        async move {
            let keys = reap(&pool, batch).await?;
            let inbox = inbox::prune(&pool, keep_inbox).await?;
            if keys + inbox > 0 {
                tracing::info!(keys, inbox, "old rows deleted");
            }
            Ok(())
        }
    })
}
