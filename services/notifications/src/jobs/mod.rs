//! The five jobs: each is a use case with its schedule.

mod deliver_pending;
mod process_bounces;
mod purge_old_logs;
mod retry_failed_deliveries;
mod send_daily_digest;

use std::sync::Arc;

use banyan_service_kit::{Job, jobs::ScheduleError};

use crate::{config::Config, use_cases::deliver::Deliver};

/// Every job, by the configuration's schedules.
///
/// # Errors
/// The schedule that is no cron expression.
pub fn all(config: &Config, deliver: &Arc<Deliver>) -> Result<Vec<Job>, ScheduleError> {
    let jobs = &config.jobs;
    let mut all = vec![
        deliver_pending::job(&jobs.deliver_pending, Arc::clone(deliver))?,
        retry_failed_deliveries::job(&jobs.retry_failed_deliveries, Arc::clone(deliver))?,
        send_daily_digest::job(&jobs.send_daily_digest, Arc::clone(deliver))?,
        purge_old_logs::job(&jobs.purge_old_logs, Arc::clone(deliver))?,
    ];
    if !jobs.process_bounces.maildir.is_empty() {
        all.push(process_bounces::job(&jobs.process_bounces, Arc::clone(deliver))?);
    }
    Ok(all)
}
