//! The verb `sync`.

use std::process::ExitCode;

use anyhow::Context as _;
use banyan_table_sync::changes::Ways;
use banyan_table_sync::{Direction, Link, state};
use clap::{ArgMatches, Command, FromArgMatches as _, Subcommand, ValueEnum};
use serde_json::json;
use sqlx::PgPool;

use super::{orders, show};
use crate::domains::Domains;
use crate::operator::operator_at_the_terminal;
use crate::validation::Side;

/// The verb with its actions.
pub(crate) fn command() -> Command {
    let command = Command::new("sync")
        .about("Keep a domain's tables in step between the monolith and its new service")
        .subcommand_required(true)
        .arg_required_else_help(true);
    Action::augment_subcommands(command)
}

/// Which ways rows go.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Way {
    /// From the monolith to the service.
    Forward,
    /// From the service to the monolith.
    Back,
    /// Both; a row that both sides wrote is reported as a conflict.
    Both,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Look for everything that would go wrong, without changing anything. Exit code 1 when something would, 2 when that could not be
    /// told.
    Check {
        /// The domain, such as payments.
        domain: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Start the sync of a domain, or change its ways. Refused (exit code 1) when the check finds that it cannot work.
    Start {
        /// The domain.
        domain: String,
        /// Which ways rows go.
        #[arg(long, value_enum, default_value_t = Way::Forward)]
        ways: Way,
        /// Only check, and show what would be written.
        #[arg(long)]
        dry_run: bool,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show how far a sync is: copy, position, lag, rows that are held back, conflicts. Without a domain, all of them.
    Status {
        /// The domain.
        domain: Option<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Stop carrying, and keep everything to go on later. The servers keep their log meanwhile.
    Pause {
        /// The domain.
        domain: String,
    },
    /// Go on after a pause.
    Resume {
        /// The domain.
        domain: String,
    },
    /// End a sync for good: slots, publications and positions go, the rows on both sides stay.
    Stop {
        /// The domain.
        domain: String,
        /// Needed, because a later start copies everything again.
        #[arg(long, required = true)]
        yes: bool,
    },
    /// Copy everything again from the monolith, which a lost slot needs. Refused while rows also go back.
    Resync {
        /// The domain.
        domain: String,
        /// Needed, because rows of the service that differ are overwritten.
        #[arg(long, required = true)]
        yes: bool,
    },
    /// List rows that both sides wrote before either knew of the other's change.
    Conflicts {
        /// The domain.
        domain: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
        /// Show the values too, which may be personal data.
        #[arg(long)]
        reveal: bool,
    },
    /// Decide a conflict.
    Resolve {
        /// The domain.
        domain: String,
        /// The table, by its name in the service.
        table: String,
        /// The row's primary key.
        #[arg(required = true)]
        key: Vec<String>,
        /// Whose version both sides have from now on.
        #[arg(long, value_enum)]
        keep: Side,
    },
}

/// Runs the verb.
///
/// # Errors
/// A domain that there is not; what the present state forbids; a database that is away.
pub(crate) async fn run(pool: &PgPool, domains: &Domains, args: &ArgMatches) -> anyhow::Result<ExitCode> {
    let actor = operator_at_the_terminal();
    match Action::from_arg_matches(args)? {
        Action::Check { domain, json } => check(domains.link(&domain)?, json).await,
        Action::Start {
            domain,
            ways,
            dry_run,
            json,
        } => {
            let link = domains.link(&domain)?;
            if dry_run {
                return check(link, json).await;
            }
            let findings = orders::start(pool, link, ways.into(), &actor).await?;
            show::started(&domain, &findings, json)
        }
        Action::Status { domain, json } => {
            let names: Vec<&str> = match &domain {
                Some(domain) => vec![domain],
                None => domains.names().collect(),
            };
            let mut states = Vec::new();
            for name in names {
                states.push(orders::state(pool, domains.link(name)?).await?);
            }
            show::states(&states, json)
        }
        Action::Pause { domain } => {
            orders::pause(pool, domains.link(&domain)?, &actor).await?;
            println!(
                "{domain} pauses; the servers keep their log for it until `cutover sync resume {domain}`"
            );
            Ok(ExitCode::SUCCESS)
        }
        Action::Resume { domain } => {
            orders::resume(pool, domains.link(&domain)?, &actor).await?;
            println!("{domain} goes on");
            Ok(ExitCode::SUCCESS)
        }
        Action::Stop { domain, .. } => {
            orders::stop(pool, domains.link(&domain)?, &actor).await?;
            println!("the sync of {domain} is gone; the rows stay");
            Ok(ExitCode::SUCCESS)
        }
        Action::Resync { domain, .. } => {
            orders::resync(pool, domains.link(&domain)?, &actor).await?;
            println!("{domain} is copied again; `cutover sync status {domain}` shows how far it is");
            Ok(ExitCode::SUCCESS)
        }
        Action::Conflicts { domain, json, reveal } => {
            let conflicts = state::conflicts(domains.link(&domain)?).await?;
            show::conflicts(&conflicts, json, reveal)
        }
        Action::Resolve {
            domain,
            table,
            key,
            keep,
        } => {
            let link = domains.link(&domain)?;
            orders::resolve(pool, link, &table, &key, Direction::from(keep), &actor).await?;
            println!("row {} of {table} is alike on both sides", key.join(", "));
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Exit code 2: it could not be told, which is not the same as finding something.
async fn check(link: &Link, as_json: bool) -> anyhow::Result<ExitCode> {
    let checked = async {
        let findings = orders::check(link).await?;
        let planned = banyan_table_sync::check::planned(link).await?;
        Ok::<_, crate::error::Error>((findings, planned))
    };
    match checked.await {
        Ok((findings, planned)) => show::checked(&findings, &planned, as_json),
        Err(error) => {
            if as_json {
                println!("{}", json!({ "error": error.to_string() }));
            }
            eprintln!("cutover: {error}");
            Ok(ExitCode::from(2))
        }
    }
}

impl From<Way> for Ways {
    fn from(way: Way) -> Self {
        match way {
            Way::Forward => Self::Forward,
            Way::Back => Self::Back,
            Way::Both => Self::Both,
        }
    }
}

/// Reads it as the API gets it.
pub(crate) fn ways(name: &str) -> anyhow::Result<Ways> {
    let way = Way::from_str(name, false);
    Ok(way
        .map_err(|_| anyhow::anyhow!("`{name}` is none of forward, back, both"))
        .context("ways")?
        .into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent_and_what_destroys_has_to_be_said() {
        command().debug_assert();
        let parse = |line: &str| command().try_get_matches_from(line.split(' '));
        parse("sync start payments --ways both").unwrap();
        parse("sync stop payments").unwrap_err();
        parse("sync stop payments --yes").unwrap();
        parse("sync resync payments").unwrap_err();
        parse("sync resolve payments payment 7 --keep legacy").unwrap();
        parse("sync resolve payments payment 7").unwrap_err();
    }
}
