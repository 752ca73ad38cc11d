//! The command line that every service has.

use std::path::PathBuf;
use std::process::ExitCode;

use banyan_tracing_setup::LogTo;
use clap::{Arg, ArgMatches, Command, value_parser};
use clap_complete::Shell;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{self, Loaded};
use crate::run::{context, start};
use crate::service::{Role, Service};

/// The exit code for a configuration that cannot be used: `EX_CONFIG` of `sysexits.h`.
const EXIT_CONFIG: u8 = 78;

/// Runs the command line of a service: the whole `main` of its binary.
///
/// Exit codes: 0 done, 1 failed (or stopped before everything in flight had finished), 2 wrong usage, 78 the
/// configuration cannot be used.
pub fn main<S: Service>() -> ExitCode {
    let matches = command::<S>().get_matches();
    let Some((verb, args)) = matches.subcommand() else {
        return ExitCode::from(2);
    };
    match verb {
        "openapi" => return print(&document::<S>()),
        "completion" => return completion::<S>(args),
        _ => {}
    }
    let file = matches.get_one::<PathBuf>("config");
    let config = match config::load::<S>(file.map(PathBuf::as_path), std::env::vars_os()) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("{}: {error}", S::NAME);
            return ExitCode::from(EXIT_CONFIG);
        }
    };
    if verb == "config" {
        return print(config.rendered());
    }
    match operate::<S>(verb, args, &config) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{}: {error:#}", S::NAME);
            ExitCode::FAILURE
        }
    }
}

/// The verbs that need telemetry and a runtime.
fn operate<S: Service>(
    verb: &str,
    args: &ArgMatches,
    config: &Loaded<S::Config>,
) -> anyhow::Result<ExitCode> {
    // Before the runtime: the exporter's client must not be made inside one.
    // What a verb of the service's own prints is for a script to read.
    let log_to = match verb {
        "serve" | "migrate" => LogTo::Output,
        _ => LogTo::Error,
    };
    let telemetry = banyan_tracing_setup::init(S::NAME, S::VERSION, log_to)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(config.kit.runtime.worker_threads.get())
        .thread_name(S::NAME)
        .enable_all()
        .build()?;
    let result = match verb {
        "serve" => serve::<S>(&runtime, args, config),
        "migrate" => runtime.block_on(migrate::<S>(config)),
        verb => runtime.block_on(async {
            let ctx = context::<S>(config, CancellationToken::new(), TaskTracker::new()).await?;
            S::run_verb(ctx, verb.to_owned(), args.clone()).await
        }),
    };
    if let Err(error) = &result {
        tracing::error!(error = format!("{error:#}"), verb, "failed");
    }
    // What is still running after the drain is not waited for.
    runtime.shutdown_background();
    telemetry.flush_blocking();
    result
}

fn serve<S: Service>(
    runtime: &Runtime,
    args: &ArgMatches,
    config: &Loaded<S::Config>,
) -> anyhow::Result<ExitCode> {
    let roles: Vec<Role> = match args.get_many::<Role>("only") {
        Some(only) => only.copied().collect(),
        None => Role::ALL.to_vec(),
    };
    runtime.block_on(async {
        let mut signals = Signals::new()?;
        let running = start::<S>(config, &roles).await?;
        let shutdown = running.shutdown_token();
        let mut finished = std::pin::pin!(running.finished());
        tokio::select! {
            name = signals.next() => tracing::info!(signal = name, "told to stop; once more stops at once"),
            _ = &mut finished => return Ok(ExitCode::FAILURE),
        }
        shutdown.cancel();
        tokio::select! {
            clean = finished => Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE }),
            name = signals.next() => {
                tracing::warn!(signal = name, "told to stop again: stopping at once");
                Ok(ExitCode::FAILURE)
            }
        }
    })
}

async fn migrate<S: Service>(config: &Loaded<S::Config>) -> anyhow::Result<ExitCode> {
    let ctx = context::<S>(config, CancellationToken::new(), TaskTracker::new()).await?;
    let migrator = S::migrator();
    banyan_db::migrate(&ctx.pool, &migrator).await?;
    tracing::info!(migrations = migrator.iter().count(), "the database is up to date");
    ctx.pool.close().await;
    Ok(ExitCode::SUCCESS)
}

/// SIGTERM and SIGINT.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

fn command<S: Service>() -> Command {
    let prefix = config::env_prefix(S::NAME);
    Command::new(S::NAME)
        .version(S::VERSION)
        .about(S::ABOUT)
        .after_help(format!(
            "Configuration: compiled-in defaults, then the file of --config, then environment variables\n\
             {prefix}<SECTION>__<KEY>, such as {prefix}HTTP__LISTEN=0.0.0.0:8080. A secret may be given as the path\n\
             of a file: {prefix}DATABASE__URL_FILE. `{} config` shows what is in force and where it came from.",
            S::NAME
        ))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .arg(
            Arg::new("config")
                .long("config")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .global(true)
                .help("A TOML file over the compiled-in defaults"),
        )
        .subcommand(
            Command::new("serve").about("Serve HTTP, consume events, relay the outbox and run the jobs").arg(
                Arg::new("only")
                    .long("only")
                    .value_name("ROLE")
                    .value_parser(value_parser!(Role))
                    .value_delimiter(',')
                    .action(clap::ArgAction::Append)
                    .help("Run one role, to scale it by itself; health and metrics are there in any case"),
            ),
        )
        .subcommand(Command::new("migrate").about("Apply what is missing of the database migrations"))
        .subcommand(Command::new("openapi").about("Print the OpenAPI 3.1 document"))
        .subcommand(
            Command::new("config")
                .about("Print the configuration in force and where each value came from, secrets redacted; fail on a bad one"),
        )
        .subcommand(
            Command::new("completion").about("Print the completion script of a shell").arg(
                Arg::new("shell").value_name("SHELL").value_parser(value_parser!(Shell)).required(true),
            ),
        )
        .subcommands(S::verbs())
}

fn completion<S: Service>(args: &ArgMatches) -> ExitCode {
    let Some(shell) = args.get_one::<Shell>("shell") else {
        return ExitCode::from(2);
    };
    let mut script = Vec::new();
    clap_complete::generate(*shell, &mut command::<S>(), S::NAME, &mut script);
    print(&String::from_utf8_lossy(&script))
}

fn document<S: Service>() -> String {
    // The model holds texts, numbers and maps with text keys only, which always serialise.
    let mut json = S::openapi().to_pretty_json().unwrap_or_default();
    json.push('\n');
    json
}

/// Prints to standard output; a reader that went away (`… | head`) is no error.
fn print(text: &str) -> ExitCode {
    use std::io::Write;
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    }
}
