//! The jobs: each is a use case with its schedule.

mod create_payouts;
mod tie_out;

use banyan_service_kit::{Job, jobs::ScheduleError};

use crate::config::JobsConfig;
use crate::use_cases::Env;

/// Every job that has a schedule.
///
/// # Errors
/// The schedule that is no cron expression.
pub fn all(config: &JobsConfig, env: &Env) -> Result<Vec<Job>, ScheduleError> {
    let mut all = Vec::new();
    if !config.create_payouts.cron.is_empty() {
        all.push(create_payouts::job(&config.create_payouts, env.clone())?);
    }
    if !config.tie_out.cron.is_empty() {
        all.push(tie_out::job(&config.tie_out, env.clone())?);
    }
    Ok(all)
}
