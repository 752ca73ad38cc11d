//! The command line.

use std::process::ExitCode;

use clap::{Args, CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;

/// Developer tasks of the Banyan workspace.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The tasks.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start the whole stack natively; run again, it repairs what died and changes nothing that is right.
    ///
    /// Missing packages (PostgreSQL, RabbitMQ, nginx with njs, Python venv) are installed with apt. Nothing touches the
    /// machine's own servers: everything lives under .banyan/ and listens on 127.0.0.1. BANYAN_PORT_OFFSET moves every
    /// port, BANYAN_STATE_DIR the state, so that two stacks can run side by side.
    Up(UpOptions),
    /// Stop exactly what `up` started.
    Down(DownOptions),
    /// Show what runs. The exit code is 1 when something is down.
    Status {
        /// Print JSON instead of a table.
        #[arg(long)]
        json: bool,
    },
    /// Show the log of a process.
    Logs(LogsOptions),
    /// Set the share of a rollout and have the gateway split by it.
    Rollout {
        /// Name, such as notifications-v2.
        name: String,
        /// Hundredths of a percent: 0 to 10000.
        #[arg(value_parser = clap::value_parser!(u16).range(0..=10_000))]
        basis_points: u16,
    },
    /// Print a trace of the running stack as a tree.
    Trace {
        /// 32 hexadecimal digits, as in a `traceId` or `traceparent`; the beginning is enough where it is unique.
        trace_id: String,
    },
    /// Open psql on a database of the running stack, as its owner.
    Psql {
        /// Role: legacy, payments, users, notifications, reporting, cutover.
        #[arg(default_value = "legacy")]
        role: String,
        /// Arguments of psql, such as -c 'SELECT 1'.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<std::ffi::OsString>,
    },
    /// Run a verb of cutover against the running stack, such as sync start payments.
    Cutover {
        /// What cutover is given; --help shows its verbs.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        args: Vec<std::ffi::OsString>,
    },
    /// Run a management command of the monolith with the settings of the running stack, such as seed.
    Manage {
        /// What manage.py is given, such as seed --users 1000 --payments 10000.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        args: Vec<std::ffi::OsString>,
    },
    /// Run the tests: Rust with real servers, then the Python suites. Or one suite of its own.
    #[command(args_conflicts_with_subcommands = true, subcommand_precedence_over_arg = true)]
    Test {
        /// Only tests whose name contains this text.
        filter: Option<String>,
        /// Leave the Python suites out.
        #[arg(long)]
        rust_only: bool,
        #[command(subcommand)]
        suite: Option<Suite>,
    },
    /// Run a heavy test in full, such as ten thousand events through killed servers.
    Soak {
        /// Name, or part of the name, of the tests.
        name: String,
        /// How many events or users, where the test counts; its own heavy count otherwise.
        #[arg(long)]
        count: Option<u32>,
    },
    /// Measure, in a release build against real servers.
    Bench {
        /// What to measure.
        #[arg(value_parser = clap::builder::PossibleValuesParser::new(crate::bench::names()))]
        name: String,
        /// Print JSON instead of a table.
        #[arg(long)]
        json: bool,
    },
    /// Check what people forget: layers, SQL out of place, long files, stale generated files.
    Tidy,
    /// Write the generated files: schemas, AsyncAPI, Python types, SQL copies, OpenAPI documents.
    Generate {
        /// Write nothing; fail when something is not current.
        #[arg(long)]
        check: bool,
        /// Freeze the current event schemas as released, which later versions must stay compatible with.
        #[arg(long, conflicts_with = "check")]
        release: bool,
    },
    /// Print a completion script.
    Completion {
        /// The shell.
        shell: Shell,
    },
}

/// Suites that are run by themselves.
#[derive(Debug, Subcommand)]
pub(crate) enum Suite {
    /// Hold whatever serves the public API to its contract, check by check over HTTP.
    ///
    /// Against the monolith, the gateway or a service of the running stack; where none runs, one with a state and ports of its own is
    /// brought up and removed again. Against any other URL, what the checks need is given by CONTRACT_* variables
    /// (contract-suite --help). The exit code is 0 when all passed, 1 when some failed, 3 when some could not run.
    Contract(ContractOptions),
}

/// Options of `test contract`.
#[derive(Debug, Clone, Args)]
pub(crate) struct ContractOptions {
    /// monolith, gateway, payments (only its operations, asked of the service itself), or a base URL.
    #[arg(long, default_value = "monolith")]
    pub(crate) against: String,
    /// Only checks whose name or operation contains this text, such as payments/charge.
    pub(crate) filter: Option<String>,
    /// Print the result as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Checks that could not run do not count against the result.
    #[arg(long)]
    pub(crate) allow_partial: bool,
}

/// Options of `up`.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct UpOptions {
    /// Only name missing packages.
    #[arg(long)]
    pub(crate) no_install: bool,
    /// Build the services with optimisations.
    #[arg(long)]
    pub(crate) release: bool,
    /// Print the URLs as JSON when everything is up.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Options of `down`.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct DownOptions {
    /// Remove all state too: databases, mail, logs, credentials.
    #[arg(long)]
    pub(crate) purge: bool,
    /// Stop the servers that the tests share instead of the stack.
    #[arg(long, conflicts_with = "purge")]
    pub(crate) test_servers: bool,
}

/// Options of `logs`.
#[derive(Debug, Clone, Args)]
pub(crate) struct LogsOptions {
    /// The process, as in `status`.
    pub(crate) process: String,
    /// Go on showing what is written.
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// How many of the last lines to show.
    #[arg(short = 'n', long, default_value_t = 50)]
    pub(crate) lines: usize,
}

/// Prints a completion script.
pub(crate) fn completion(shell: Shell) -> ExitCode {
    clap_complete::generate(shell, &mut Cli::command(), "cargo-xtask", &mut std::io::stdout());
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn more_than_all_is_refused() {
        Cli::try_parse_from(["xtask", "rollout", "notifications-v2", "10001"]).unwrap_err();
        Cli::try_parse_from(["xtask", "down", "--purge", "--test-servers"]).unwrap_err();
    }

    #[test]
    fn a_suite_is_told_from_a_filter() {
        let parse = |args: &[&str]| {
            Cli::try_parse_from([&["xtask", "test"], args].concat())
                .unwrap()
                .command
        };
        let suite = |args: &[&str]| match parse(args) {
            Command::Test { filter, suite, .. } => {
                (filter, suite.map(|Suite::Contract(options)| options.against))
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(suite(&["charge"]), (Some("charge".to_owned()), None));
        assert_eq!(suite(&["contract"]), (None, Some("monolith".to_owned())));
        let against = suite(&["contract", "--against", "http://127.0.0.1:3001", "payments/"]);
        assert_eq!(against, (None, Some("http://127.0.0.1:3001".to_owned())));
    }
}
