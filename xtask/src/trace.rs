//! `cargo xtask trace`

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use banyan_dev_sinks::otlp::{Span, tree};

use crate::root::layout;

/// Prints a trace as a tree.
pub(crate) fn trace(trace_id: &str) -> anyhow::Result<ExitCode> {
    let wanted = trace_id.to_lowercase();
    if wanted.is_empty() || !wanted.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        bail!("`{trace_id}` is no trace id: 32 hexadecimal digits, or their beginning");
    }
    let dir = layout()?.file("traces");
    let spans = spans(&dir, &wanted)?;
    let Some(first) = spans.first() else {
        bail!(
            "no span of the trace {wanted} in {}; spans arrive about a second after they end",
            dir.display()
        );
    };
    if let Some(other) = spans.iter().find(|span| span.trace_id != first.trace_id) {
        bail!(
            "{wanted} begins several traces, such as {} and {}; give more digits",
            first.trace_id,
            other.trace_id
        );
    }
    println!("{}", tree(&spans));
    Ok(ExitCode::SUCCESS)
}

fn spans(dir: &Path, wanted: &str) -> anyhow::Result<Vec<Span>> {
    let entries =
        fs::read_dir(dir).with_context(|| format!("reading {} (is the stack up?)", dir.display()))?;
    let mut found = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.extension().is_none_or(|extension| extension != "jsonl") {
            continue;
        }
        let file = fs::File::open(&path).with_context(|| format!("opening {}", path.display()))?;
        for line in BufReader::new(file).lines() {
            let line = line.with_context(|| format!("reading {}", path.display()))?;
            // Looking for the digits first saves decoding every other span; a line being written does not decode yet.
            if line.contains(wanted) {
                found.extend(
                    serde_json::from_str::<Span>(&line)
                        .ok()
                        .filter(|span| span.trace_id.starts_with(wanted)),
                );
            }
        }
    }
    Ok(found)
}
