//! Keeps two databases in step until it is told to end: the least that a program around this crate has to do.
//!
//! ```text
//! export SOURCE_URL=postgres://… TARGET_URL=postgres://…
//! keep_in_step <name> check <mapping.toml>      what would go wrong, before anything runs
//! keep_in_step <name> forward <mapping.toml>    from the legacy side to the new one
//! keep_in_step <name> both <mapping.toml>       and back, once the new side is written too
//! ```
//!
//! It may be killed at any moment and started again: it goes on where it was. So it is also what the crate's own tests kill.
//! `COPY_CHUNK_ROWS` and `COPY_ROWS_PER_SECOND` make the first copy slower than it could be.

use std::env;
use std::error::Error;
use std::num::NonZeroU32;
use std::process::ExitCode;
use std::sync::Arc;

use banyan_table_sync::changes::{self, Ways};
use banyan_table_sync::snapshot::Limits;
use banyan_table_sync::{Database, Link, Mapping, check};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<ExitCode, Failure> {
    tracing_subscriber::fmt().json().flatten_event(true).init();
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [name, what, mapping] = arguments.as_slice() else {
        return Err("usage: keep_in_step <name> check|forward|both <mapping.toml>".into());
    };
    let link = Link {
        name: name.clone(),
        mapping: Arc::new(Mapping::parse(&std::fs::read_to_string(mapping)?)?),
        source: database("legacy", "SOURCE_URL")?,
        target: database("new", "TARGET_URL")?,
    };
    match what.as_str() {
        "check" => findings(&link).await,
        "forward" => run(&link, Ways::Forward).await,
        "both" => run(&link, Ways::Both).await,
        _ => Err("it is check, forward or both".into()),
    }
}

fn database(name: &'static str, variable: &str) -> Result<Database, Failure> {
    let url =
        env::var(variable).map_err(|_| format!("{variable} is not set: the URL of the {name} database"))?;
    Ok(Database {
        name: name.into(),
        url: url.into(),
    })
}

async fn findings(link: &Link) -> Result<ExitCode, Failure> {
    let findings = check::check(link, check::Options::default()).await?;
    for finding in &findings {
        let place = [&finding.table, &finding.column].map(|part| part.as_deref().unwrap_or("-"));
        println!("{} {}", place.join(" "), finding.problem);
    }
    let is_fatal = findings.iter().any(|finding| finding.is_fatal);
    Ok(ExitCode::from(u8::from(is_fatal)))
}

async fn run(link: &Link, ways: Ways) -> Result<ExitCode, Failure> {
    let number = |variable: &str| {
        env::var(variable)
            .ok()
            .map(|text| text.parse::<NonZeroU32>())
            .transpose()
    };
    let limits = Limits::unthrottled();
    let limits = Limits {
        chunk_rows: number("COPY_CHUNK_ROWS")?.unwrap_or(limits.chunk_rows),
        rows_per_second: number("COPY_ROWS_PER_SECOND")?,
        ..limits
    };
    let shutdown = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let token = shutdown.clone();
    tokio::spawn(async move {
        terminate.recv().await;
        token.cancel();
    });
    // What a connection or a server does is tried again in there; an error is what only an operator can mend.
    changes::run(link, ways, limits, &shutdown).await?;
    Ok(ExitCode::SUCCESS)
}
