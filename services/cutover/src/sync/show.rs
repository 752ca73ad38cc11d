//! What an operator sees.

use std::process::ExitCode;

use banyan_table_sync::check::{Finding, Planned};
use banyan_table_sync::state::Conflict;
use banyan_table_sync::status::Status;
use comfy_table::{Table, presets};
use serde_json::{Value, json};

use super::orders::State;

fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    table
}

fn print_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}

fn findings_table(findings: &[Finding]) -> Table {
    let mut shown = table(["", "TABLE", "COLUMN", "PROBLEM"]);
    for finding in findings {
        shown.add_row([
            if finding.is_fatal { "error" } else { "note" },
            finding.table.as_deref().unwrap_or("-"),
            finding.column.as_deref().unwrap_or("-"),
            &finding.problem,
        ]);
    }
    shown
}

/// Exit code 1 where it cannot work.
pub(super) fn checked(findings: &[Finding], planned: &[Planned], as_json: bool) -> anyhow::Result<ExitCode> {
    let fatal = findings.iter().filter(|finding| finding.is_fatal).count();
    if as_json {
        print_json(&json!({ "ok": fatal == 0, "findings": findings, "tables": planned }))?;
    } else {
        let mut shown = table(["TABLE", "FROM", "ABOUT ROWS", "COLUMNS", "LEFT OUT"]);
        for one in planned {
            shown.add_row([
                one.table.clone(),
                one.source.clone(),
                one.estimated_rows.to_string(),
                one.columns.to_string(),
                one.left_out.join(", "),
            ]);
        }
        println!("{shown}");
        if !findings.is_empty() {
            println!("\n{}", findings_table(findings));
        }
        println!(
            "\n{} tables, {fatal} errors, {} notes",
            planned.len(),
            findings.len() - fatal
        );
    }
    Ok(exit(fatal == 0))
}

pub(super) fn started(domain: &str, findings: &[Finding], as_json: bool) -> anyhow::Result<ExitCode> {
    let is_started = findings.is_empty();
    if as_json {
        print_json(&json!({ "started": is_started, "findings": findings }))?;
    } else if is_started {
        println!(
            "{domain} is to be kept in step; a process of the role `sync` sees to it, and `cutover sync status {domain}` shows how far it is"
        );
    } else {
        println!("{}\n", findings_table(findings));
        println!("{domain} was not started: mend what is called an error");
    }
    Ok(exit(is_started))
}

/// Exit code 1 where something needs an operator.
pub(super) fn states(states: &[State], as_json: bool) -> anyhow::Result<ExitCode> {
    let is_well = |state: &State| {
        let failed = state.order.as_ref().and_then(|order| order.report.as_ref());
        failed.is_none_or(|report| report.problem.is_none())
    };
    if as_json {
        print_json(&states)?;
    } else {
        for state in states {
            one(state);
        }
    }
    Ok(exit(states.iter().all(is_well)))
}

fn one(state: &State) {
    let Some(order) = &state.order else {
        println!("{}: no sync\n", state.domain);
        return;
    };
    println!(
        "{}: {}, {} (ordered by {} at {})",
        state.domain, order.wanted, order.ways, order.ordered_by, order.ordered_at
    );
    match &order.report {
        None => println!("  no process has seen to it yet: does one of the role `sync` run?"),
        Some(report) => {
            println!(
                "  {} by {} at {}",
                report.state, report.runner, report.reported_at
            );
            if let Some(problem) = &report.problem {
                println!("  problem: {problem}");
            }
        }
    }
    let mut shown = table([
        "",
        "COPY",
        "LAG",
        "BEHIND",
        "LOG KEPT",
        "SLOT",
        "HELD",
        "CONFLICTS",
        "STOPPED",
    ]);
    for status in &state.directions {
        let lag = order.report.as_ref().and_then(|report| match status.direction {
            "forward" => report.forward_lag_ms,
            _ => report.back_lag_ms,
        });
        shown.add_row([
            status.direction.to_owned(),
            copied(status),
            lag.map_or_else(|| "-".to_owned(), |lag| format!("{lag} ms")),
            bytes(status.behind_bytes),
            status.retained_bytes.map_or_else(|| "-".to_owned(), bytes),
            status.slot.clone(),
            status.held.to_string(),
            status.conflicts.to_string(),
            status
                .stopped
                .iter()
                .map(|stopped| stopped.table.as_str())
                .collect::<Vec<_>>()
                .join(", "),
        ]);
    }
    println!("{shown}");
    for stopped in state.directions.iter().flat_map(|status| &status.stopped) {
        println!("  {} is stopped: {}", stopped.table, stopped.problem);
    }
    println!();
}

fn copied(status: &Status) -> String {
    let copy = &status.copy;
    if copy.is_done {
        return format!("done, {} rows", copy.rows);
    }
    let share = copy.rows * 100 / copy.estimated_rows.max(1);
    let rate = copy
        .rows_per_second
        .map_or_else(String::new, |rate| format!(", {rate}/s"));
    let left = copy
        .seconds_left
        .map_or_else(String::new, |seconds| format!(", {seconds} s left"));
    format!(
        "{share} % ({} of about {} rows{rate}{left})",
        copy.rows, copy.estimated_rows
    )
}

fn bytes(count: i64) -> String {
    const UNITS: [&str; 4] = ["B", "KiB", "MiB", "GiB"];
    let (mut count, mut unit) = (count, 0);
    while count >= 10 * 1024 && unit + 1 < UNITS.len() {
        count /= 1024;
        unit += 1;
    }
    format!("{count} {}", UNITS[unit])
}

/// With the columns that differ; with the values where they are to be revealed.
pub(crate) fn told(conflicts: &[Conflict], reveal: bool) -> Vec<Value> {
    let one = |conflict: &Conflict| {
        let mut told = json!(conflict);
        told["columns"] = json!(differing(conflict));
        if !reveal && let Some(fields) = told.as_object_mut() {
            fields.remove("legacy");
            fields.remove("new");
        }
        told
    };
    conflicts.iter().map(one).collect()
}

/// Which columns differ; the values with `reveal` only.
pub(super) fn conflicts(conflicts: &[Conflict], as_json: bool, reveal: bool) -> anyhow::Result<ExitCode> {
    let told = told(conflicts, reveal);
    if as_json {
        print_json(&told)?;
    } else if told.is_empty() {
        println!("no conflicts");
    } else {
        let mut shown = table(["TABLE", "KEY", "FOUND AT", "DIFFERING COLUMNS"]);
        for conflict in conflicts {
            shown.add_row([
                conflict.table.clone(),
                conflict.key.join(", "),
                conflict.found_at.to_string(),
                differing(conflict).join(", "),
            ]);
            if reveal {
                println!("{}", serde_json::to_string_pretty(conflict)?);
            }
        }
        println!("{shown}");
    }
    Ok(exit(conflicts.is_empty()))
}

fn differing(conflict: &Conflict) -> Vec<String> {
    match (&conflict.legacy, &conflict.new) {
        (Some(Value::Object(legacy)), Some(Value::Object(new))) => legacy
            .iter()
            .filter(|(name, value)| new.get(*name) != Some(value))
            .map(|(name, _)| name.clone())
            .collect(),
        (None, Some(_)) => vec!["deleted in legacy".to_owned()],
        (Some(_), None) => vec!["deleted in the service".to_owned()],
        _ => Vec::new(),
    }
}

fn exit(fine: bool) -> ExitCode {
    if fine {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_at_a_glance() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(10 * 1024), "10 KiB");
        assert_eq!(bytes(3 * 1024 * 1024 * 1024), "3072 MiB");
    }

    #[test]
    fn values_are_not_shown_unless_asked_for() {
        let conflict = Conflict {
            direction: "forward",
            table: "customer".to_owned(),
            key: vec!["7".to_owned()],
            legacy: Some(json!({ "id": 7, "email": "ada@example.com" })),
            new: Some(json!({ "id": 7, "email": "ada@example.org" })),
            found_at: time::OffsetDateTime::UNIX_EPOCH,
        };
        let shown = |reveal: bool| json!(told(std::slice::from_ref(&conflict), reveal)).to_string();
        assert!(shown(false).contains(r#""columns":["email"]"#) && !shown(false).contains("ada@"));
        assert!(shown(true).contains("ada@example.org"));
    }
}
