//! `deliver_pending`

use std::sync::Arc;

use banyan_service_kit::{Job, jobs::ScheduleError};

use crate::{
    config::DeliverPendingConfig,
    storage::due::Kind,
    use_cases::{deliver::Deliver, deliver_due},
};

pub(super) fn job(config: &DeliverPendingConfig, deliver: Arc<Deliver>) -> Result<Job, ScheduleError> {
    let limit = config.limit;
    Job::new("deliver_pending", &config.cron, move |_| {
        let deliver = Arc::clone(&deliver);
        async move {
            let tally = deliver_due::run(&deliver, Kind::Pending, None, limit).await?;
            if tally.tried > 0 {
                tracing::info!(
                    tried = tally.tried,
                    done = tally.done,
                    "forgotten notifications taken up"
                );
            }
            Ok(())
        }
    })
}
