//! `retry_failed_deliveries`

use std::sync::Arc;

use banyan_service_kit::{Job, jobs::ScheduleError};

use crate::{
    config::RetryFailedConfig,
    storage::due::Kind,
    use_cases::{deliver::Deliver, deliver_due},
};

pub(super) fn job(config: &RetryFailedConfig, deliver: Arc<Deliver>) -> Result<Job, ScheduleError> {
    let (limit, max_attempts) = (config.limit, config.max_attempts);
    Job::new("retry_failed_deliveries", &config.cron, move |_| {
        let deliver = Arc::clone(&deliver);
        async move {
            let tally = deliver_due::run(&deliver, Kind::Failed, Some(max_attempts), limit).await?;
            if tally.tried > 0 {
                tracing::info!(
                    tried = tally.tried,
                    done = tally.done,
                    "failed notifications tried again"
                );
            }
            Ok(())
        }
    })
}
