//! Verbs of the service's own: tying a day out from the command line.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::json;
use time::Date;
use time::macros::format_description;

use crate::domain::tie_out::Difference;
use crate::use_cases::Env;
use crate::use_cases::tie_out::{self, Report};

/// The verbs.
pub(crate) fn verbs() -> Vec<Command> {
    vec![
        Command::new("tie-out")
            .about("Compares payments, ledger and Stripe for a UTC day; fails when they do not agree")
            .args([
                Arg::new("date")
                    .long("date")
                    .value_name("YYYY-MM-DD")
                    .required(true)
                    .value_parser(parse)
                    .help("The day; one that is not over yet shows what is under way"),
                Arg::new("json")
                    .long("json")
                    .action(ArgAction::SetTrue)
                    .help("Print one JSON object"),
            ]),
    ]
}

/// Runs one of [`verbs`].
///
/// # Errors
/// What kept the day from being compared.
pub(crate) async fn run(env: &Env, verb: &str, args: &ArgMatches) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(verb == "tie-out", "unknown verb `{verb}`");
    let day = args.get_one::<Date>("date").context("no day")?;
    let report = tie_out::run(env, *day).await?;
    if args.get_flag("json") {
        println!("{}", as_json(&report));
    } else {
        print(&report);
    }
    Ok(if report.differences.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn parse(text: &str) -> Result<Date, String> {
    Date::parse(text, format_description!("[year]-[month]-[day]"))
        .map_err(|_| "must be a day such as 2026-03-01".to_owned())
}

fn as_json(report: &Report) -> serde_json::Value {
    let difference = |one: &Difference| {
        json!({
            "kind": one.kind.name(),
            "object": one.object,
            "currency": one.currency.map(|code| code.to_string()),
            "expectedMinor": one.expected_minor,
            "actualMinor": one.actual_minor,
        })
    };
    json!({
        "day": report.day.to_string(),
        "runId": report.run_id,
        "compared": report.compared,
        "differences": report.differences.iter().map(difference).collect::<Vec<_>>(),
    })
}

fn print(report: &Report) {
    let shown = |minor: Option<i64>| minor.map_or_else(|| "-".to_owned(), |minor| minor.to_string());
    for one in &report.differences {
        println!(
            "{:18} {:32} {:3} expected {:>12} actual {:>12}",
            one.kind.name(),
            one.object,
            one.currency.map(|code| code.to_string()).unwrap_or_default(),
            shown(one.expected_minor),
            shown(one.actual_minor),
        );
    }
    println!(
        "{}: {} compared, {} differences (amounts in minor units)",
        report.day,
        report.compared,
        report.differences.len()
    );
}
