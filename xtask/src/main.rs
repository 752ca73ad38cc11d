//! Developer tasks: cargo xtask up, down, status, logs, cutover, test, bench, tidy, generate.

mod bench;
mod cli;
mod contract;
mod cutover;
mod generate;
mod logs;
mod manage;
mod psql;
mod rollout;
mod root;
mod soak;
mod status;
mod table;
mod test;
mod tidy;
mod trace;
mod up;

use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::{Cli, Command, Suite};

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli.command).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Up(options) => up::up(options).await,
        Command::Down(options) => up::down(options).await,
        Command::Status { json } => status::status(json),
        Command::Logs(options) => logs::logs(options).await,
        Command::Rollout { name, basis_points } => rollout::rollout(&name, basis_points).await,
        Command::Trace { trace_id } => trace::trace(&trace_id),
        Command::Psql { role, args } => psql::psql(&role, &args),
        Command::Cutover { args } => cutover::cutover(&args),
        Command::Manage { args } => manage::manage(&args),
        Command::Test {
            suite: Some(Suite::Contract(options)),
            ..
        } => contract::contract(&options).await,
        Command::Test {
            filter, rust_only, ..
        } => test::test(filter.as_deref(), rust_only).await,
        Command::Soak { name, count } => soak::soak(&name, count).await,
        Command::Bench { name, json } => bench::bench(&name, json).await,
        Command::Tidy => tidy::tidy().await,
        Command::Generate { check, release } => generate::generate(check, release).await,
        Command::Completion { shell } => Ok(cli::completion(shell)),
    }
}
