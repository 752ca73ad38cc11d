//! `purge_old_logs`

use std::sync::Arc;

use banyan_service_kit::{Job, jobs::ScheduleError};

use crate::{
    config::PurgeConfig,
    use_cases::{deliver::Deliver, purge},
};

pub(super) fn job(config: &PurgeConfig, deliver: Arc<Deliver>) -> Result<Job, ScheduleError> {
    let (keep_days, keep_inbox_days) = (config.keep_days, config.keep_inbox_days);
    Job::new("purge_old_logs", &config.cron, move |_| {
        let deliver = Arc::clone(&deliver);
        async move {
            let tally = purge::run(deliver.pool(), deliver.now(), keep_days, keep_inbox_days).await?;
            if tally.notifications + tally.inbox > 0 {
                tracing::info!(
                    notifications = tally.notifications,
                    inbox = tally.inbox,
                    "old rows deleted"
                );
            }
            Ok(())
        }
    })
}
