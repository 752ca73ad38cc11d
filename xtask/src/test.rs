//! `cargo xtask test`

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::Context as _;
use banyan_local_stack::progress::Progress;
use banyan_local_stack::python::{self, Venv};
use banyan_local_stack::stack::{self, Binaries};
use banyan_local_stack::{TestServers, packages};

use crate::root::{cargo, root};

/// Runs the tests.
pub(crate) async fn test(filter: Option<&str>, rust_only: bool) -> anyhow::Result<ExitCode> {
    let venv = prepare().await?;
    let servers = servers().await?;
    build_binaries().await?;
    let mut passed = finish(&mut rust_tests(filter), "Rust tests")? == ExitCode::SUCCESS;
    if !rust_only {
        for suite in ["clients/python", "monolith"] {
            let mut command = python_tests(&venv, &root().join(suite), filter, &servers);
            let code = command
                .status()
                .with_context(|| format!("starting pytest in {suite}"))?
                .code();
            // 5: no test matched the filter.
            let fine = code == Some(0) || (filter.is_some() && code == Some(5));
            if !fine {
                eprintln!("Python tests of {suite} failed");
            }
            passed &= fine;
        }
    }
    Ok(if passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Installs what the tests need: packages, and the Python environment.
pub(crate) async fn prepare() -> anyhow::Result<Venv> {
    let progress = Progress::detect();
    let missing = packages::missing();
    if !missing.is_empty() {
        let step = progress.step("packages", "installing");
        let target = root().join("target");
        std::fs::create_dir_all(&target).with_context(|| format!("creating {}", target.display()))?;
        packages::install(&missing, &target.join("packages.log"))?;
        step.done("installed");
    }
    let step = progress.step("python", "installing the requirements of the tests");
    let venv = tokio::task::spawn_blocking(|| python::test_environment(&root())).await??;
    step.done("ready");
    Ok(venv)
}

/// Starts the servers that the tests share.
pub(crate) async fn servers() -> anyhow::Result<TestServers> {
    let step = Progress::detect().step("test servers", "starting PostgreSQL and RabbitMQ");
    let servers = TestServers::ensure().await?;
    step.done("ready");
    Ok(servers)
}

/// Builds every program, for the tests that start them.
pub(crate) async fn build_binaries() -> anyhow::Result<Binaries> {
    let step = Progress::detect().step("build", "building the programs");
    let binaries = stack::build(&root(), false, &step).await?;
    step.done("built");
    Ok(binaries)
}

/// nextest where it is installed, `cargo test` elsewhere.
pub(crate) fn rust_tests(filter: Option<&str>) -> Command {
    let mut command = cargo();
    let nextest = cargo()
        .args(["nextest", "--version"])
        .output()
        .is_ok_and(|output| output.status.success());
    if nextest {
        command.args(["nextest", "run", "--workspace", "--no-tests", "warn"]);
    } else {
        command.args(["test", "--workspace", "--no-fail-fast"]);
    }
    command.args(filter);
    command
}

fn python_tests(venv: &Venv, suite: &Path, filter: Option<&str>, servers: &TestServers) -> Command {
    let mut command = Command::new(venv.program("python"));
    command.args(["-m", "pytest", "-q"]).current_dir(suite);
    command.args(filter.map(|filter| ["-k", filter]).into_iter().flatten());
    command.env("BANYAN_TEST_POSTGRES_URL", &servers.postgres_url);
    command.env("BANYAN_TEST_AMQP_URL", &servers.amqp_url);
    command.env("BANYAN_TEST_MANAGEMENT_URL", &servers.management_url);
    command
}

/// Runs a command in the foreground; its failure is this task's.
pub(crate) fn finish(command: &mut Command, what: &str) -> anyhow::Result<ExitCode> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command
        .status()
        .with_context(|| format!("starting {program} for {what}"))?;
    if status.success() {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("{what} failed ({status})");
    Ok(ExitCode::FAILURE)
}
