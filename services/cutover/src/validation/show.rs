//! What an operator sees.

use std::process::ExitCode;

use comfy_table::{Table, presets};

use super::answer;
use super::repair::Repair;
use crate::storage::runs::{Found, Run};

/// More differences than this are counted only; `--json` has them all.
const SHOWN: usize = 50;

fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    table
}

pub(super) fn runs(runs: &[Run], as_json: bool) -> anyhow::Result<ExitCode> {
    if as_json {
        println!("{}", serde_json::to_string_pretty(runs)?);
        return Ok(ExitCode::SUCCESS);
    }
    let mut shown = table([
        "RUN",
        "KIND",
        "STARTED",
        "OUTCOME",
        "ROWS",
        "MISMATCHES",
        "ASKED BY",
    ]);
    for run in runs {
        shown.add_row([
            run.id.to_string(),
            run.kind.clone(),
            run.started_at.to_string(),
            run.outcome.clone().unwrap_or_else(|| "unfinished".to_owned()),
            run.rows_compared.to_string(),
            run.mismatches.to_string(),
            run.asked_by.clone(),
        ]);
    }
    println!("{shown}");
    Ok(ExitCode::SUCCESS)
}

pub(super) fn run(run: &Run, differences: &[Found], as_json: bool) -> anyhow::Result<ExitCode> {
    if as_json {
        println!("{}", serde_json::to_string_pretty(&answer(run, differences))?);
    } else {
        found(run, differences);
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn found(run: &Run, differences: &[Found]) {
    let mut tables = table(["TABLE", "ROWS", "MISMATCHES"]);
    for one in &run.tables {
        let more = if one.has_more { " or more" } else { "" };
        tables.add_row([
            one.table.clone(),
            one.rows_compared.to_string(),
            format!("{}{more}", one.mismatches),
        ]);
    }
    println!("{tables}\n");
    if !differences.is_empty() {
        let mut shown = table(["TABLE", "KEY", "KIND", "COLUMNS", "REPAIRED"]);
        for found in differences.iter().take(SHOWN) {
            let repaired = found.repaired_at.map_or_else(String::new, |at| at.to_string());
            shown.add_row([
                found.table.clone(),
                found.key.join(", "),
                found.kind.clone(),
                found.columns.join(", "),
                repaired,
            ]);
        }
        println!("{shown}");
        if differences.len() > SHOWN {
            println!("... and {} more; --json has them all", differences.len() - SHOWN);
        }
        println!();
    }
    println!(
        "run {}: {}, {} rows compared, {} mismatches (rate {})",
        run.id,
        run.outcome.as_deref().unwrap_or("not finished"),
        run.rows_compared,
        run.mismatches,
        run.mismatch_rate
    );
    if let Some(problem) = &run.problem {
        println!("it could not be told: {problem}");
    }
    if run.mismatches > 0 {
        println!("`cutover repair {}` shows what would mend it", run.id);
    }
}

pub(super) fn repaired(done: &Repair, as_json: bool) -> anyhow::Result<ExitCode> {
    if as_json {
        println!("{}", serde_json::to_string_pretty(done)?);
    } else {
        let mut shown = table(["TABLE", "KIND", "ROWS"]);
        for (table, kinds) in &done.planned {
            for (kind, rows) in kinds {
                shown.add_row([table.clone(), kind.clone(), rows.to_string()]);
            }
        }
        println!("{shown}\n");
        let from = match done.from {
            super::Side::Legacy => "the monolith's",
            super::Side::New => "the service's",
        };
        if done.dry_run {
            println!(
                "{} rows would become {from}; nothing was done, --apply does it",
                done.rows
            );
        } else {
            println!(
                "{} of {} rows are alike now, {} still differ",
                done.repaired, done.rows, done.left
            );
        }
    }
    Ok(if done.dry_run || done.left == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
