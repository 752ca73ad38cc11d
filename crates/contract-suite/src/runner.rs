//! Runs checks side by side.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt as _;

use crate::api::{Api, Difference};
use crate::check::Check;
use crate::inputs::{Input, Inputs};
use crate::report::{Outcome, Report, Row};

/// What no check takes.
const LIMIT: Duration = Duration::from_mins(3);

/// Runs the checks, at most `at_once` at the same time, and tells of each end. Checks whose inputs are missing are listed as
/// not run.
pub async fn run(api: &Api, mut checks: Vec<Check>, at_once: usize, ended: impl Fn(&Row)) -> Report {
    let started = Instant::now();
    let inputs = Arc::new(api.shared.inputs.clone());
    // Those that wait for something in the background begin first, and wait while the others work.
    checks.sort_by_key(|check| check.needs.is_empty());
    let runs = checks.into_iter().map(|check| {
        let (api, inputs) = (api.for_another_check(), Arc::clone(&inputs));
        async move { one(api, check, &inputs).await }
    });
    let mut rows = Vec::new();
    let mut runs = futures::stream::iter(runs).buffer_unordered(at_once);
    while let Some(row) = runs.next().await {
        ended(&row);
        rows.push(row);
    }
    Report::new(&inputs.base_url, rows, started.elapsed())
}

async fn one(api: Api, check: Check, inputs: &Inputs) -> Row {
    let missing: Vec<Input> = check
        .needs
        .iter()
        .copied()
        .filter(|input| !inputs.has(*input))
        .collect();
    let started = Instant::now();
    let outcome = if missing.is_empty() {
        // On a task of its own, so that a panic is this check's alone.
        let run = tokio::spawn(tokio::time::timeout(LIMIT, check.run(api)));
        match run.await {
            Ok(Ok(Ok(()))) => Outcome::Passed,
            Ok(Ok(Err(difference))) => Outcome::Failed(difference),
            Ok(Err(_)) => Outcome::Failed(Difference::new(format!("no end after {LIMIT:?}"))),
            Err(panic) => Outcome::Failed(Difference::new(format!("the check itself failed: {panic}"))),
        }
    } else {
        Outcome::NotRun(missing)
    };
    Row {
        name: check.name,
        operation: check.operation,
        outcome,
        elapsed: started.elapsed(),
    }
}
