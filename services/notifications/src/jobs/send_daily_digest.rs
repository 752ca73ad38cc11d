//! `send_daily_digest`

use std::sync::Arc;

use banyan_service_kit::{Job, jobs::ScheduleError};
use time::Duration;
use uuid::Uuid;

use crate::{
    config::DigestConfig,
    use_cases::{
        deliver::Deliver,
        send_digest::{self, Limits},
    },
};

pub(super) fn job(config: &DigestConfig, deliver: Arc<Deliver>) -> Result<Job, ScheduleError> {
    let limits = Limits {
        retry_after: Duration::minutes(config.retry_after_minutes.into()),
        max_attempts: config.max_attempts,
    };
    Job::new("send_daily_digest", &config.cron, move |_| {
        let deliver = Arc::clone(&deliver);
        async move {
            let tally = send_digest::run(&deliver, limits, Uuid::now_v7).await?;
            if tally.sent + tally.unsent > 0 {
                tracing::info!(sent = tally.sent, unsent = tally.unsent, "daily summaries");
            }
            Ok(())
        }
    })
}
