//! `process_bounces`

use std::{path::PathBuf, sync::Arc};

use banyan_service_kit::{Job, jobs::ScheduleError};

use crate::{
    config::BouncesConfig,
    use_cases::{deliver::Deliver, process_bounces},
};

pub(super) fn job(config: &BouncesConfig, deliver: Arc<Deliver>) -> Result<Job, ScheduleError> {
    let (maildir, limit) = (PathBuf::from(&config.maildir), config.limit);
    Job::new("process_bounces", &config.cron, move |_| {
        let (deliver, maildir) = (Arc::clone(&deliver), maildir.clone());
        async move {
            let domain = &deliver.settings().message_id_domain;
            let tally = process_bounces::run(deliver.pool(), &maildir, domain, limit).await?;
            if tally.read > 0 {
                tracing::info!(read = tally.read, marked = tally.marked, "bounces processed");
            }
            Ok(())
        }
    })
}
