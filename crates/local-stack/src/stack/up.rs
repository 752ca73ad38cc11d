//! Bringing the stack up: everything that is missing, and nothing that is right already.

use std::process::Command;
use std::sync::{Mutex, PoisonError};

use futures::future::try_join_all;

use super::build::{Binaries, build};
use super::gateway::Gateway;
use super::record::{StackRecord, WEBHOOK_SECRET};
use super::servers::{self, SERVICES, Servers};
use super::unit::{Outcome, Unit};
use super::units::{Surroundings, monolith_env};
use super::{Layout, lock};
use crate::error::StackError;
use crate::progress::Progress;
use crate::python::{Requirements, Venv};
use crate::{jwt_key, packages, process, rollouts};

/// How to bring the stack up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UpOptions {
    /// Name missing packages instead of installing them.
    pub no_install: bool,
    /// Build with optimisations.
    pub release: bool,
}

/// Brings the stack up and returns its record.
pub async fn up(layout: &Layout, options: UpOptions, progress: &Progress) -> Result<StackRecord, StackError> {
    layout.create()?;
    let _lock = lock(layout)?;
    ensure_packages(layout, options, progress)?;
    let record = StackRecord::load(layout)?;
    same_ports(layout, &record)?;
    let venv = venv(layout);
    let (binaries, (), (servers, mut record)) = tokio::try_join!(
        build_binaries(layout, options, progress),
        ensure_venv(layout, &venv, progress),
        start_servers(layout, record, progress),
    )?;
    let access = servers.grant(&mut record).await?;
    jwt_key::ensure(&layout.file("jwt-ed25519.pem"))?;
    rollouts::ensure(&layout.file("rollouts.json"))?;
    let surroundings = Surroundings {
        layout,
        binaries: &binaries,
        access: &access,
        venv: &venv,
        webhook_secret: record.secret(WEBHOOK_SECRET),
    };
    let monolith_env = monolith_env(layout, &mut record)?;
    record.save(layout)?;
    migrate(&surroundings, &monolith_env, &servers, progress).await?;

    let starter = Starter {
        layout,
        record: Mutex::new(record),
        progress,
    };
    starter.all(surroundings.sinks()?).await?;
    let mut second = surroundings.services()?;
    second.extend(surroundings.monolith(&monolith_env));
    starter.all(second).await?;
    let gateway = Gateway::prepare(layout)?;
    if starter.one(gateway.unit(layout)).await? == Outcome::Kept && gateway.changed {
        gateway.reload(&starter.record()).await?;
    }
    seed(&surroundings, &monolith_env, progress).await?;
    let mut record = starter.record();
    record.urls = urls(layout, &record);
    record.save(layout)?;
    Ok(record)
}

fn ensure_packages(layout: &Layout, options: UpOptions, progress: &Progress) -> Result<(), StackError> {
    let missing = packages::missing();
    if missing.is_empty() {
        return Ok(());
    }
    if options.no_install {
        return Err(StackError::Other(packages::advice(&missing)));
    }
    let names: Vec<&str> = missing.iter().map(|one| one.what).collect();
    let step = progress.step("packages", &format!("installing {}", names.join(", ")));
    packages::install(&missing, &layout.log("packages"))?;
    let still = packages::missing();
    if !still.is_empty() {
        return Err(StackError::Other(format!(
            "installed, but not found all the same; {}",
            packages::advice(&still)
        )));
    }
    step.done("installed");
    Ok(())
}

/// Two stacks may run side by side, but not with one state directory.
fn same_ports(layout: &Layout, record: &StackRecord) -> Result<(), StackError> {
    let runs = record.processes.iter().any(|process| process.identity.is_alive());
    if runs && record.port_offset != layout.offset {
        return Err(StackError::Other(format!(
            "the stack in {} runs with BANYAN_PORT_OFFSET={}; stop it first (`cargo xtask down`), or set {} for another one",
            layout.state.display(),
            record.port_offset,
            super::STATE_DIR
        )));
    }
    Ok(())
}

/// Starts the servers and records them at once: they must be known even if something else fails.
async fn start_servers(
    layout: &Layout,
    record: StackRecord,
    progress: &Progress,
) -> Result<(Servers, StackRecord), StackError> {
    let servers = servers::start(layout, progress).await?;
    let mut record = StackRecord {
        port_offset: layout.offset,
        ..record
    };
    for process in servers.records() {
        record.put(process);
    }
    record.save(layout)?;
    Ok((servers, record))
}

async fn build_binaries(
    layout: &Layout,
    options: UpOptions,
    progress: &Progress,
) -> Result<Binaries, StackError> {
    let step = progress.step("build", "building the services");
    let binaries = build(&layout.root, options.release, &step).await?;
    step.done("built");
    Ok(binaries)
}

async fn ensure_venv(layout: &Layout, venv: &Venv, progress: &Progress) -> Result<(), StackError> {
    let step = progress.step("python", "installing the monolith's requirements");
    let (venv, requirements) = (venv.clone(), stack_requirements(layout));
    let changed = tokio::task::spawn_blocking(move || venv.ensure(&requirements)).await;
    let changed = changed.map_err(|error| StackError::Other(error.to_string()))??;
    step.done(if changed { "installed" } else { "up to date" });
    Ok(())
}

/// What the monolith and the Python processes of the stack need.
fn stack_requirements(layout: &Layout) -> Requirements {
    let monolith = layout.root.join("monolith");
    Requirements {
        files: ["requirements.txt", "requirements-stack.txt"]
            .map(|name| monolith.join(name))
            .to_vec(),
        lines: Vec::new(),
        editable: vec![(layout.root.join("clients/python"), "[telemetry]")],
    }
}

async fn migrate(
    surroundings: &Surroundings<'_>,
    monolith_env: &[(String, String)],
    servers: &Servers,
    progress: &Progress,
) -> Result<(), StackError> {
    let step = progress.step("migrations", "applying");
    let mut commands = vec![("monolith", manage(surroundings, monolith_env, "migrate"))];
    for service in SERVICES {
        let mut command = Command::new(surroundings.binary(service)?);
        command.arg("migrate").envs(surroundings.service_env(service));
        commands.push((service, command));
    }
    try_join_all(commands.into_iter().map(|(name, command)| helper(name, command))).await?;
    servers.grant_relay().await?;
    step.done("applied");
    Ok(())
}

/// Signs demo users up, each with a card: this takes the whole stack.
async fn seed(
    surroundings: &Surroundings<'_>,
    monolith_env: &[(String, String)],
    progress: &Progress,
) -> Result<(), StackError> {
    let step = progress.step("demo data", "seeding");
    helper("demo data", manage(surroundings, monolith_env, "seed_demo")).await?;
    step.done("seeded");
    Ok(())
}

fn manage(surroundings: &Surroundings<'_>, env: &[(String, String)], verb: &str) -> Command {
    let mut command = manage_py(surroundings.layout, env);
    command.arg(verb);
    command
}

/// The monolith's `manage.py` with these settings, in the stack's Python environment.
pub fn manage_py(layout: &Layout, env: &[(String, String)]) -> Command {
    let mut command = Command::new(venv(layout).program("python"));
    command.arg("manage.py").envs(env.iter().cloned());
    command.current_dir(layout.root.join("monolith"));
    command
}

fn venv(layout: &Layout) -> Venv {
    Venv::at(&layout.file("venv"))
}

async fn helper(name: &'static str, mut command: Command) -> Result<(), StackError> {
    let task = tokio::task::spawn_blocking(move || process::run(&mut command));
    match task.await.map_err(|error| StackError::Other(error.to_string()))? {
        Ok(_) => Ok(()),
        Err(error) => Err(StackError::Other(format!("{name}: {error}"))),
    }
}

/// Starts processes and keeps the record of the stack current while it does.
struct Starter<'a> {
    layout: &'a Layout,
    record: Mutex<StackRecord>,
    progress: &'a Progress,
}

impl Starter<'_> {
    fn record(&self) -> StackRecord {
        self.record.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn all(&self, units: Vec<Unit>) -> Result<(), StackError> {
        try_join_all(units.into_iter().map(|unit| self.one(unit)))
            .await
            .map(drop)
    }

    async fn one(&self, unit: Unit) -> Result<Outcome, StackError> {
        let step = self.progress.step(unit.name, "starting");
        let known = self.record().process(unit.name).cloned();
        let outcome = unit
            .ensure(known, |process| {
                let mut record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
                record.put(process);
                record.save(self.layout)
            })
            .await?;
        step.done(outcome.text());
        Ok(outcome)
    }
}

fn urls(layout: &Layout, record: &StackRecord) -> std::collections::BTreeMap<String, String> {
    let processes = record
        .processes
        .iter()
        .filter_map(|one| Some((one.name.clone(), one.url.clone()?)));
    let mail = format!("smtp://127.0.0.1:{}", layout.port("mail"));
    processes.chain([("mail".to_owned(), mail)]).collect()
}
