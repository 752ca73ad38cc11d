//! `cargo xtask generate`: the files that are made from others and committed all the same.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, bail};
use banyan_events::compat::{check_released, release_files};
use banyan_events::generate as events;

use crate::root::root;
use crate::test;

/// A generated file: its path from the repository's root, and its content.
type Generated = (PathBuf, String);

/// Writes what is stale, or only tells it.
pub(crate) async fn generate(check: bool, release: bool) -> anyhow::Result<ExitCode> {
    let stale = stale(&root()).await?;
    for change in &stale {
        if !check {
            change.apply(&root())?;
        }
        println!(
            "{} {}",
            if check { "stale:" } else { "wrote" },
            change.path.display()
        );
    }
    if release {
        freeze(&root())?;
    }
    if check && !stale.is_empty() {
        eprintln!("run `cargo xtask generate` and commit");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// Copies the current schemas to the released ones, which nothing may break afterwards.
fn freeze(root: &Path) -> anyhow::Result<()> {
    let broken = check_released(root)?;
    if let Some(broken) = broken.first() {
        bail!("not released, for {broken}");
    }
    for (path, content) in release_files() {
        let change = Stale {
            path,
            content: Some(content),
        };
        change.apply(root)?;
    }
    println!("released the current event schemas");
    Ok(())
}

/// A file that is not what it should be.
pub(crate) struct Stale {
    /// From the repository's root.
    pub(crate) path: PathBuf,
    /// What it should hold; `None` where it should not exist.
    content: Option<String>,
}

impl Stale {
    fn apply(&self, root: &Path) -> anyhow::Result<()> {
        let path = root.join(&self.path);
        let Some(content) = &self.content else {
            return fs::remove_file(&path).with_context(|| format!("removing {}", path.display()));
        };
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).with_context(|| format!("creating {}", parent.display()))?;
        }
        fs::write(&path, content).with_context(|| format!("writing {}", path.display()))
    }
}

/// Every generated file that is missing, different or left over.
pub(crate) async fn stale(root: &Path) -> anyhow::Result<Vec<Stale>> {
    let mut files = events::files();
    files.extend(sql_copies(root)?);
    files.extend(openapi_documents(root).await?);
    let wanted: BTreeSet<PathBuf> = files.iter().map(|(path, _)| path.clone()).collect();
    let differs = |(path, content): &Generated| {
        fs::read_to_string(root.join(path))
            .ok()
            .is_none_or(|found| found != *content)
    };
    let mut stale: Vec<Stale> = files
        .into_iter()
        .filter(differs)
        .map(|(path, content)| Stale {
            path,
            content: Some(content),
        })
        .collect();
    for directory in events::OWNED_DIRECTORIES {
        let entries = fs::read_dir(root.join(directory)).with_context(|| format!("reading {directory}"))?;
        let paths = entries
            .flatten()
            .map(|entry| Path::new(directory).join(entry.file_name()));
        let left_over =
            paths.filter(|path| path.extension().is_some_and(|end| end == "json") && !wanted.contains(path));
        stale.extend(left_over.map(|path| Stale { path, content: None }));
    }
    Ok(stale)
}

/// The services with operations that need an Idempotency-Key.
const KEYED: [&str; 2] = ["payments", "users"];

/// The migrations of services whose users are moved one by one.
const MOVING: [&str; 1] = ["payments/0014_ownership.sql"];

/// The tables of crates, where writers in both languages migrate them. An applied migration is never edited: a new
/// version of the tables is a new file.
fn sql_copies(root: &Path) -> anyhow::Result<Vec<Generated>> {
    let read = |name: &str| {
        let path = root.join("crates").join(name);
        fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
    };
    let outbox = read("messaging/sql/outbox.v1.sql")?;
    // Its first line names the place it had when the migrations were applied.
    let inbox = read("idempotency/sql/inbox.v1.sql")?;
    let idempotency = read("idempotency/sql/idempotency.v1.sql")?;
    let ownership = read("ownership/sql/ownership.v1.sql")?;
    let both = format!("{outbox}\n{inbox}");
    let python = Path::new("clients/python/src/banyan/django/sql");
    let mut files = vec![
        (python.join("outbox.v1.sql"), outbox),
        (python.join("ownership.v1.sql"), ownership.clone()),
    ];
    files.extend(MOVING.map(|migration| (Path::new("migrations").join(migration), ownership.clone())));
    files.extend(KEYED.map(|service| {
        let path = Path::new("migrations").join(service).join("0002_idempotency.sql");
        (path, idempotency.clone())
    }));
    let services = fs::read_dir(root.join("migrations")).context("reading migrations")?;
    for service in services.flatten().filter(|entry| entry.path().is_dir()) {
        files.push((
            Path::new("migrations")
                .join(service.file_name())
                .join("0001_messaging.sql"),
            both.clone(),
        ));
    }
    files.sort();
    Ok(files)
}

/// What each service says of its own API.
async fn openapi_documents(root: &Path) -> anyhow::Result<Vec<Generated>> {
    let mut files = Vec::new();
    let binaries = test::build_binaries().await?;
    for service in services(root)? {
        let program = binaries
            .get(&service)
            .with_context(|| format!("the service {service} has no binary"))?;
        let output = Command::new(program)
            .arg("openapi")
            .output()
            .with_context(|| format!("running {service}"))?;
        if !output.status.success() {
            bail!(
                "`{service} openapi` failed ({}): {}",
                output.status,
                String::from_utf8_lossy(&output.stderr)
            );
        }
        let text =
            String::from_utf8(output.stdout).with_context(|| format!("`{service} openapi` is not text"))?;
        files.push((Path::new("services").join(&service).join("openapi.json"), text));
    }
    Ok(files)
}

/// Names of the services.
pub(crate) fn services(root: &Path) -> anyhow::Result<Vec<String>> {
    let entries = fs::read_dir(root.join("services")).context("reading services")?;
    let mut names: Vec<String> = entries
        .flatten()
        .filter(|entry| entry.path().join("Cargo.toml").is_file())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    Ok(names)
}
