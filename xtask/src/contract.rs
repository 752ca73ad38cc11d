//! `cargo xtask test contract`

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, bail};
use banyan_local_stack::progress::Progress;
use banyan_local_stack::rollouts;
use banyan_local_stack::stack::{self, Layout, StackRecord, UpOptions, WEBHOOK_SECRET};
use tempfile::TempDir;

use crate::cli::ContractOptions;
use crate::root::{layout, root};
use crate::test::build_binaries;

/// The member of staff among the demo users.
const STAFF: [(&str, &str); 2] = [
    ("CONTRACT_STAFF_EMAIL", "staff@example.com"),
    ("CONTRACT_STAFF_PASSWORD", "correct-horse-battery"),
];
/// Moves every port of a stack of our own above the range from which the kernel takes the ports of outgoing connections.
const FIRST_OFFSET: u16 = 5_600;
/// How many offsets fit between that and the last port.
const OFFSETS: u32 = 4_000;
/// The services that can be asked for their operations directly.
const EXTRACTED: [&str; 1] = ["payments"];
/// While it sends a user's notifications from elsewhere, the monolith has none to list.
const ROLLOUT: &str = "notifications-v2";

/// Runs the suite against a part of the stack, or a URL.
pub(crate) async fn contract(options: &ContractOptions) -> anyhow::Result<ExitCode> {
    let side = match options.against.as_str() {
        side if matches!(side, "monolith" | "gateway") || EXTRACTED.contains(&side) => side,
        url if url.starts_with("http://") || url.starts_with("https://") => {
            return run(options, &[("CONTRACT_BASE_URL".to_owned(), url.to_owned())]).await;
        }
        other => bail!(
            "--against {other}: it is monolith, gateway, {}, or a URL that begins with http",
            EXTRACTED.join(", ")
        ),
    };
    let layout = layout()?;
    let record = StackRecord::load(&layout)?;
    if record
        .process(side)
        .is_some_and(|process| process.identity.is_alive())
    {
        warn_of_rollout(&layout, side)?;
        return run(options, &environment(&layout, &record, side)).await;
    }
    with_own_stack(options, side).await
}

/// Brings a stack up for this run alone, and removes it whatever comes of the run.
async fn with_own_stack(options: &ContractOptions, side: &str) -> anyhow::Result<ExitCode> {
    let (layout, _dir) = own_layout()?;
    eprintln!("no stack runs here: bringing one up for this run");
    let progress = Progress::detect();
    // Ctrl-C ends the suite too; here it is caught, so that the stack does not stay behind.
    let work = async {
        let record = stack::up(&layout, UpOptions::default(), &progress).await?;
        stack::roll_out(&layout, ROLLOUT, 0).await?;
        run(options, &environment(&layout, &record, side)).await
    };
    let result = tokio::select! {
        result = work => result,
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
    };
    stack::down(&layout, true, &progress).await?;
    result
}

fn own_layout() -> anyhow::Result<(Layout, TempDir)> {
    let dir = tempfile::Builder::new().prefix("banyan-contract-").tempdir()?;
    // The servers run under accounts of their own and must be able to pass.
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o711))?;
    let offset = FIRST_OFFSET + u16::try_from(std::process::id() % OFFSETS)?;
    Ok((Layout::new(&root(), &dir.path().join("state"), offset)?, dir))
}

fn warn_of_rollout(layout: &Layout, side: &str) -> anyhow::Result<()> {
    let share = rollouts::basis_points(&layout.file("rollouts.json"), ROLLOUT)?;
    if side == "monolith" && share > 0 {
        eprintln!(
            "{ROLLOUT} is at {share} of 10000: the monolith does not send these users' notifications, so checks that look \
             for them there will fail; `cargo xtask rollout {ROLLOUT} 0` gives them back"
        );
    }
    Ok(())
}

/// What the suite is told of a running stack.
fn environment(layout: &Layout, record: &StackRecord, side: &str) -> Vec<(String, String)> {
    let is_service = EXTRACTED.contains(&side);
    let base = if is_service { "gateway" } else { side };
    let mut variables = vec![
        ("CONTRACT_BASE_URL", layout.url(base)),
        ("CONTRACT_MAILDIR", path(&layout.file("mail"))),
        ("CONTRACT_STRIPE_FRONT", layout.url("stripe")),
    ];
    variables.extend(STAFF.map(|(name, value)| (name, value.to_owned())));
    if let Some(secret) = record.credentials.get(WEBHOOK_SECRET) {
        variables.push(("CONTRACT_WEBHOOK_SECRET", secret.clone()));
    }
    if side == "gateway" {
        variables.push(("CONTRACT_GATEWAY", "true".to_owned()));
    }
    if is_service {
        // The gateway serves the other domains: the checks sign their users up there.
        variables.push(("CONTRACT_SERVICES", format!("/api/{side}/={}", layout.url(side))));
    }
    let owned = variables
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value));
    owned.collect()
}

fn path(path: &Path) -> String {
    path.display().to_string()
}

/// Runs the suite; its exit code is this task's.
async fn run(options: &ContractOptions, environment: &[(String, String)]) -> anyhow::Result<ExitCode> {
    let binaries = build_binaries().await?;
    let program = binaries
        .get("contract-suite")
        .context("the binary contract-suite was not built")?;
    let mut command = Command::new(program);
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    let service = EXTRACTED.iter().find(|name| options.against == **name);
    let filter = options
        .filter
        .clone()
        .or_else(|| Some(format!("/api/{}/", service?)));
    if let Some(filter) = filter {
        command.args(["--filter", &filter]);
    }
    for (wanted, option) in [
        (options.json, "--json"),
        (options.allow_partial, "--allow-partial"),
    ] {
        if wanted {
            command.arg(option);
        }
    }
    let status = command
        .status()
        .with_context(|| format!("starting {}", program.display()))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}
