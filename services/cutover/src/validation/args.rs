//! The verbs `validate` and `repair`.

use std::num::NonZeroU32;
use std::process::ExitCode;

use banyan_table_sync::validate::Reached;
use clap::{ArgMatches, Args, Command, FromArgMatches as _, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::repair::{Side, Wanted, repair};
use super::{Validator, answer, show};
use crate::domains::Domains;
use crate::error::Error;
use crate::operator::operator_at_the_terminal;
use crate::storage::orders;
use crate::storage::runs::{self, Asked};

/// What a validation could not tell.
const UNDECIDED: u8 = 2;

/// The verb with its actions.
pub(crate) fn validate_command() -> Command {
    let command = Command::new("validate")
        .about("Compare both sides of a domain")
        .long_about(
            "Compare both sides of a domain. Exit code 0: equal; 1: not; 2: it could not be told.\n\n\
             A difference counts only if it is still there after the sync has carried all that was written before.",
        )
        .subcommand_required(true)
        .arg_required_else_help(true);
    Action::augment_subcommands(command)
}

/// The verb.
pub(crate) fn repair_command() -> Command {
    let command = Command::new("repair").about(
        "Carry the rows again that a validation found different; shows what it would do unless --apply",
    );
    RepairArgs::augment_args(command)
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Compare rows picked at random on both sides.
    Sample {
        /// The domain, such as payments.
        domain: String,
        /// How many rows; the configuration says how many else.
        #[arg(long)]
        size: Option<NonZeroU32>,
        #[command(flatten)]
        chosen: Chosen,
    },
    /// Compare all rows. One that was killed goes on where it was.
    Full {
        /// The domain.
        domain: String,
        /// Begin anew, also where an earlier run was not finished.
        #[arg(long)]
        anew: bool,
        #[command(flatten)]
        chosen: Chosen,
    },
    /// List the newest runs of a domain.
    List {
        /// The domain.
        domain: String,
        /// How many.
        #[arg(long, default_value_t = 20)]
        limit: u32,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show a run with its differences.
    Show {
        /// Its id.
        run: Uuid,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
struct Chosen {
    /// Only these tables, by their names in the service.
    #[arg(long = "table", value_name = "TABLE")]
    tables: Vec<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct RepairArgs {
    /// The validation run.
    run: Uuid,
    /// Do it.
    #[arg(long)]
    apply: bool,
    /// Whose version is right; not needed where rows go one way only.
    #[arg(long, value_enum)]
    from: Option<Side>,
    /// Only these tables, by their names in the service.
    #[arg(long = "table", value_name = "TABLE")]
    tables: Vec<String>,
    /// The most rows that may be written again.
    #[arg(long, default_value_t = 1000)]
    budget: usize,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Runs `validate`.
///
/// # Errors
/// A domain or table that there is not; another validation of the domain; cutover's own database.
pub(crate) async fn run_validate(
    validator: &Validator,
    domains: &Domains,
    args: &ArgMatches,
) -> anyhow::Result<ExitCode> {
    match Action::from_arg_matches(args)? {
        Action::Sample { domain, size, chosen } => {
            let size = size.unwrap_or(validator.config.sample_size).get();
            compare(validator, domains, &domain, Some(size), false, &chosen).await
        }
        Action::Full { domain, anew, chosen } => {
            compare(validator, domains, &domain, None, anew, &chosen).await
        }
        Action::List { domain, limit, json } => {
            let runs = runs::runs(&validator.pool, &domain, i64::from(limit)).await?;
            show::runs(&runs, json)
        }
        Action::Show { run, json } => {
            let mut connection = validator.pool.acquire().await?;
            let found = runs::run(&mut connection, run).await?;
            let differences = runs::differences(&validator.pool, run).await?;
            show::run(&found, &differences, json)
        }
    }
}

async fn compare(
    validator: &Validator,
    domains: &Domains,
    domain: &str,
    sample_size: Option<u32>,
    anew: bool,
    chosen: &Chosen,
) -> anyhow::Result<ExitCode> {
    let actor = operator_at_the_terminal();
    let asked = Asked {
        domain,
        by: &actor,
        sample_size,
        tables: &chosen.tables,
    };
    let link = domains.link(domain)?;
    let shutdown = CancellationToken::new();
    let _on_interrupt = stop_on_interrupt(shutdown.clone());
    let bar = bar();
    let mut tell = |reached: &Reached| {
        bar.set_length(reached.estimated_rows);
        bar.set_position(reached.rows);
        bar.set_message(reached.table.clone());
    };
    let done = validator.validate(link, &asked, anew, &mut tell, &shutdown).await;
    bar.finish_and_clear();
    let run = match done {
        Ok(run) => run,
        Err(error @ (Error::Unknown(_) | Error::Config(_))) => return Err(error.into()),
        // Who asks in a script has to know that nothing was found out.
        Err(error) => {
            if chosen.json {
                println!("{}", json!({ "domain": domain, "error": error.to_string() }));
            }
            eprintln!("cutover: {error}");
            return Ok(ExitCode::from(UNDECIDED));
        }
    };
    let differences = runs::differences(&validator.pool, run.id).await?;
    if chosen.json {
        println!("{}", serde_json::to_string_pretty(&answer(&run, &differences))?);
    } else {
        show::found(&run, &differences);
    }
    Ok(match run.outcome.as_deref() {
        Some("equal") => ExitCode::SUCCESS,
        Some("different") => ExitCode::FAILURE,
        _ => ExitCode::from(UNDECIDED),
    })
}

/// Runs `repair`. Exit code 1 where rows still differ.
///
/// # Errors
/// A run that there is not; what the present state forbids; a database that is away.
pub(crate) async fn run_repair(
    validator: &Validator,
    domains: &Domains,
    args: &ArgMatches,
) -> anyhow::Result<ExitCode> {
    let args = RepairArgs::from_arg_matches(args)?;
    let mut connection = validator.pool.acquire().await?;
    let run = runs::run(&mut connection, args.run).await?;
    drop(connection);
    let link = domains.link(&run.domain)?;
    let order = orders::order(&validator.pool, &run.domain).await?;
    let ways = order.filter(orders::Order::is_running).map(|order| order.ways());
    let wanted = Wanted {
        run: args.run,
        from: args.from,
        tables: args.tables,
        budget: args.budget,
        dry_run: !args.apply,
    };
    let done = repair(validator, link, ways, &wanted, &operator_at_the_terminal()).await?;
    show::repaired(&done, args.json)
}

/// A run that is interrupted in order can go on.
fn stop_on_interrupt(shutdown: CancellationToken) -> tokio_util::task::AbortOnDropHandle<()> {
    tokio_util::task::AbortOnDropHandle::new(tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            shutdown.cancel();
        }
    }))
}

/// Goes to standard error, and only where that is a terminal.
fn bar() -> ProgressBar {
    let style = "{spinner} {msg:32} {pos:>12} of about {len} rows  {per_sec}  {eta} left";
    let bar = ProgressBar::new(0);
    // The template is a constant, and right.
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style);
    }
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_lines_are_consistent() {
        validate_command().debug_assert();
        repair_command().debug_assert();
        let parse = |line: &str| validate_command().try_get_matches_from(line.split(' '));
        parse("validate sample payments --size 50 --json").unwrap();
        parse("validate sample payments --size 0").unwrap_err();
        parse("validate full payments --table payment --table refund").unwrap();
    }
}
