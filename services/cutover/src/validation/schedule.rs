//! Continuous validation, by the clock.

use banyan_service_kit::{Job, JobRun};

use super::Validator;
use crate::config::{Config, Schedule};
use crate::domains::Domains;
use crate::error::Error;
use crate::storage::orders;
use crate::storage::runs::{self, Asked};

/// A sample of every domain whose sync runs, all of it now and then, and forgetting old runs.
pub(crate) fn jobs(config: &Config, domains: &Domains, validator: &Validator) -> anyhow::Result<Vec<Job>> {
    let Schedule { sample, full } = &config.schedule;
    let size = validator.config.sample_size.get();
    let job = |name: &'static str, cron: &str, sample_size: Option<u32>| {
        let (domains, validator) = (domains.clone(), validator.clone());
        Job::new(name, cron, move |run| {
            let (domains, validator) = (domains.clone(), validator.clone());
            async move { all(&domains, &validator, sample_size, &run).await }
        })
    };
    let pool = validator.pool.clone();
    let prune = Job::new("prune validation runs", "0 45 4 * * *", move |_| {
        let pool = pool.clone();
        async move {
            let pruned = runs::prune(&pool).await?;
            tracing::info!(pruned, "old validation runs are forgotten");
            Ok(())
        }
    })?;
    Ok(vec![
        job("sample validation", sample, Some(size))?,
        job("full validation", full, None)?,
        prune,
    ])
}

/// One domain after the other; that one cannot be compared keeps nobody from comparing the next.
async fn all(
    domains: &Domains,
    validator: &Validator,
    sample_size: Option<u32>,
    run: &JobRun,
) -> anyhow::Result<()> {
    for name in domains.names() {
        let order = orders::order(&validator.pool, name).await?;
        if !order.is_some_and(|order| order.is_running()) {
            continue;
        }
        let asked = Asked {
            domain: name,
            by: "schedule",
            sample_size,
            tables: &[],
        };
        let link = domains.link(name)?;
        match validator
            .validate(link, &asked, false, &mut |_| {}, &run.shutdown)
            .await
        {
            Ok(run) => tracing::info!(
                domain = name,
                run_id = %run.id,
                outcome = run.outcome,
                problem = run.problem,
                mismatches = run.mismatches,
                sample_size = run.rows_compared,
                "validated"
            ),
            // By hand, or by a sample that takes longer than it should.
            Err(error @ Error::Refused(_)) => tracing::info!(domain = name, %error, "not validated"),
            Err(error) => tracing::error!(domain = name, %error, "not validated"),
        }
    }
    Ok(())
}
