//! The scheduled jobs: each is a use case with its schedule.

mod renew_subscriptions;

use banyan_service_kit::{Job, jobs::ScheduleError};

use crate::{config::JobsConfig, use_cases::Env};

/// Every job, by the configuration's schedules.
///
/// # Errors
/// The schedule that is no cron expression.
pub fn all(config: &JobsConfig, env: &Env) -> Result<Vec<Job>, ScheduleError> {
    Ok(vec![renew_subscriptions::job(
        &config.renew_subscriptions,
        env.clone(),
    )?])
}
