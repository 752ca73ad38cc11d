//! The jobs: each is a use case with its schedule.

mod create_payouts;
mod purge_expired;
mod reconcile_pending_payments;
mod renew_subscriptions;
mod tie_out;

use banyan_service_kit::Job;
use banyan_service_kit::jobs::ScheduleError;

use crate::config::JobsConfig;
use crate::use_cases::Env;

/// Every job that has a schedule.
///
/// # Errors
/// The schedule that is no cron expression.
pub fn all(config: &JobsConfig, env: &Env) -> Result<Vec<Job>, ScheduleError> {
    let env = || env.clone();
    let all = [
        unless_never(&config.reconcile_pending_payments.cron, || {
            reconcile_pending_payments::job(&config.reconcile_pending_payments, env())
        }),
        unless_never(&config.renew_subscriptions.cron, || {
            renew_subscriptions::job(&config.renew_subscriptions, env())
        }),
        unless_never(&config.create_payouts.cron, || {
            create_payouts::job(&config.create_payouts, env())
        }),
        unless_never(&config.tie_out.cron, || tie_out::job(&config.tie_out, env())),
        unless_never(&config.purge_expired.cron, || {
            purge_expired::job(&config.purge_expired, env())
        }),
    ];
    all.into_iter().filter_map(Result::transpose).collect()
}

fn unless_never(
    cron: &str,
    job: impl FnOnce() -> Result<Job, ScheduleError>,
) -> Result<Option<Job>, ScheduleError> {
    (!cron.is_empty()).then(job).transpose()
}
