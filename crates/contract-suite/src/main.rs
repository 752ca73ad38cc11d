//! Runs the contract suite against a base URL.

use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use banyan_contract_suite::api::Api;
use banyan_contract_suite::check::Check;
use banyan_contract_suite::document::{self, Document};
use banyan_contract_suite::inputs::Inputs;
use banyan_contract_suite::report::{Outcome, Row};
use banyan_contract_suite::{checks, runner};
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};

/// Checks that what answers at a base URL keeps the contract of the public API.
///
/// Every check makes users of its own. Exit code: 0 all passed, 1 some failed, 2 wrong usage, 3 some could not run for want of
/// an option and --allow-partial was not given. `contract-suite openapi` prints the OpenAPI document.
#[derive(Debug, Parser)]
#[command(name = "contract-suite", version, max_term_width = 100)]
struct Options {
    #[command(flatten)]
    inputs: Inputs,
    /// Only checks whose name or operation contains this text, such as `payments/charge` or `GET /api/reports`.
    #[arg(long)]
    filter: Option<String>,
    /// How many checks run at the same time.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    at_once: u16,
    /// Checks that could not run do not count against the result.
    #[arg(long)]
    allow_partial: bool,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
    /// Print the names of the checks and run none.
    #[arg(long)]
    list: bool,
}

/// `contract-suite openapi` needs no base URL.
#[derive(Debug, Parser)]
#[command(name = "contract-suite")]
enum Other {
    /// Print the OpenAPI document.
    Openapi,
}

#[tokio::main]
async fn main() -> ExitCode {
    if let Ok(Other::Openapi) = Other::try_parse() {
        print!("{}", document::TEXT);
        return ExitCode::SUCCESS;
    }
    match run(Options::parse()).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("contract-suite: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let document = Document::load()?;
    let wanted = |check: &Check| {
        let filter = options.filter.as_deref().unwrap_or_default();
        check.name.contains(filter) || check.operation.contains(filter)
    };
    let selected: Vec<Check> = checks(&document).into_iter().filter(wanted).collect();
    ensure!(
        !selected.is_empty(),
        "no check matches --filter; --list names them"
    );
    if options.list {
        for check in selected {
            println!("{}  ({})", check.name, check.operation);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let api = Api::new(document, options.inputs).context("making an HTTP client")?;
    let progress = progress(selected.len());
    let report = runner::run(&api, selected, options.at_once.into(), |row| {
        ended(&progress, row);
    })
    .await;
    progress.finish_and_clear();
    if options.json {
        println!("{}", serde_json::to_string_pretty(&report.json())?);
    } else {
        println!("{}", report.text());
    }
    Ok(report.exit_code(options.allow_partial))
}

/// A bar on a terminal; nothing elsewhere.
fn progress(checks: usize) -> ProgressBar {
    let bar = ProgressBar::new(u64::try_from(checks).unwrap_or(u64::MAX));
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed} {msg}");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn ended(progress: &ProgressBar, row: &Row) {
    if let Outcome::Failed(_) = row.outcome {
        progress.suspend(|| eprintln!("FAILED {}", row.name));
    }
    progress.set_message(row.name.clone());
    progress.inc(1);
}
