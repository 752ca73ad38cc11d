//! `renew_subscriptions`

use banyan_service_kit::{Job, jobs::ScheduleError};

use crate::{
    config::RenewConfig,
    use_cases::{Env, renew::renew_due},
};

pub(super) fn job(config: &RenewConfig, env: Env) -> Result<Job, ScheduleError> {
    let limit = config.limit;
    Job::new("renew_subscriptions", &config.cron, move |run| {
        let env = env.clone();
        async move {
            let tried = renew_due(&env, limit, &run.shutdown).await?;
            if tried > 0 {
                tracing::info!(tried, "subscriptions were due");
            }
            Ok(())
        }
    })
}
