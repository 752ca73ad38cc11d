//! The jobs: each is a use case with its schedule.

mod purge_expired;
mod reconcile_pending_payments;

use banyan_service_kit::Job;
use banyan_service_kit::jobs::ScheduleError;

use crate::config::JobsConfig;
use crate::use_cases::Env;

/// Every job, by the configuration's schedules.
///
/// # Errors
/// The schedule that is no cron expression.
pub fn all(config: &JobsConfig, env: &Env) -> Result<Vec<Job>, ScheduleError> {
    Ok(vec![
        reconcile_pending_payments::job(&config.reconcile_pending_payments, env.clone())?,
        purge_expired::job(&config.purge_expired, env.clone())?,
    ])
}
