//! `cargo xtask logs`

use std::io::{SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use banyan_local_stack::stack::{Layout, PROCESSES, StackRecord};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

use crate::cli::LogsOptions;
use crate::root::layout;

/// Prints the end of a log, and follows it.
pub(crate) async fn logs(options: LogsOptions) -> anyhow::Result<ExitCode> {
    let path = path(&layout()?, &options.process)?;
    let text = tokio::fs::read(&path)
        .await
        .with_context(|| format!("reading {}", path.display()))?;
    let mut out = std::io::stdout();
    out.write_all(last_lines(&text, options.lines))?;
    out.flush()?;
    if options.follow {
        follow(&path, text.len() as u64).await?;
    }
    Ok(ExitCode::SUCCESS)
}

fn path(layout: &Layout, process: &str) -> anyhow::Result<PathBuf> {
    if !PROCESSES.contains(&process) {
        bail!(
            "no process is called `{process}`; there are {}",
            PROCESSES.join(", ")
        );
    }
    let record = StackRecord::load(layout)?;
    Ok(record
        .process(process)
        .map_or_else(|| layout.log(process), |known| known.log.clone()))
}

fn last_lines(text: &[u8], lines: usize) -> &[u8] {
    let body = text.strip_suffix(b"\n").unwrap_or(text);
    let ends = body
        .iter()
        .enumerate()
        .rev()
        .filter(|(_, byte)| **byte == b'\n')
        .map(|(index, _)| index + 1);
    match lines {
        0 => &[],
        lines => &text[ends.into_iter().nth(lines - 1).unwrap_or(0)..],
    }
}

async fn follow(path: &Path, mut position: u64) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    let mut file = tokio::fs::File::open(path).await?;
    loop {
        let length = tokio::fs::metadata(path)
            .await
            .map_or(0, |metadata| metadata.len());
        if length < position {
            // Begun anew: `down --purge` and `up` in between.
            file = tokio::fs::File::open(path).await?;
            position = 0;
        }
        file.seek(SeekFrom::Start(position)).await?;
        let mut fresh = Vec::new();
        position += file.read_to_end(&mut fresh).await? as u64;
        out.write_all(&fresh)?;
        out.flush()?;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::last_lines;

    #[test]
    fn the_last_lines_are_whole() {
        assert_eq!(last_lines(b"a\nb\nc\n", 2), b"b\nc\n");
        assert_eq!(last_lines(b"a\nb\nc", 1), b"c");
        assert_eq!(last_lines(b"a\n", 9), b"a\n");
        assert_eq!(last_lines(b"a\n", 0), b"");
        assert_eq!(last_lines(b"", 3), b"");
    }
}
