//! Finds the lines of a log that explain why a process failed.

use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

/// Lines quoted at most.
const MAX_LINES: usize = 6;
/// Bytes read from the end of a log at most.
const MAX_BYTES: u64 = 64 * 1024;

/// Words that mark a line as the explanation.
const MARKS: [&str; 12] = [
    "error",
    "fatal",
    "panic",
    "failed",
    "refused",
    "denied",
    "cannot",
    "could not",
    "in use",
    "traceback",
    "emerg",
    "no such",
];

/// The explaining lines written after byte `from`, with the log's path, as one sentence for an error.
pub fn explain(log: &Path, from: u64) -> String {
    let text = tail(log, from);
    let lines = explaining_lines(&text);
    if lines.is_empty() {
        return format!("its log {} says nothing", log.display());
    }
    format!("its log {} says:\n  {}", log.display(), lines.join("\n  "))
}

/// Whether the log has this text after byte `from`.
pub(crate) fn contains(log: &Path, from: u64, text: &str) -> bool {
    tail(log, from).contains(text)
}

fn tail(log: &Path, from: u64) -> String {
    let mut bytes = Vec::new();
    if let Ok(mut file) = fs::File::open(log) {
        let length = file.metadata().map_or(0, |metadata| metadata.len());
        let start = from.min(length).max(length.saturating_sub(MAX_BYTES));
        if file.seek(SeekFrom::Start(start)).is_ok() {
            // A log that cannot be read explains nothing; the caller then says so.
            let _ = file.read_to_end(&mut bytes);
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn explaining_lines(text: &str) -> Vec<&str> {
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.trim().is_empty())
        .collect();
    let marked: Vec<&str> = lines
        .iter()
        .filter(|line| {
            let lower = line.to_lowercase();
            MARKS.iter().any(|mark| lower.contains(mark))
        })
        .copied()
        .collect();
    let chosen = if marked.is_empty() { lines } else { marked };
    chosen[chosen.len().saturating_sub(MAX_LINES)..].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_with_the_error_is_chosen() {
        let text = "starting\nlistening soon\n2025 FATAL:  could not create lock file\nshutting down\n";
        assert_eq!(
            explaining_lines(text),
            ["2025 FATAL:  could not create lock file"]
        );
    }

    #[test]
    fn without_a_marked_line_the_last_ones_are_quoted() {
        let text = (0..20)
            .map(|number| format!("line {number}"))
            .collect::<Vec<_>>()
            .join("\n");
        let lines = explaining_lines(&text);
        assert_eq!(lines.len(), MAX_LINES);
        assert_eq!(lines.last(), Some(&"line 19"));
    }

    #[test]
    fn only_what_was_written_after_the_start_counts() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("a.log");
        fs::write(&log, "old ERROR\nnew fatal\n").unwrap();
        let text = explain(&log, 10);
        assert!(
            text.contains("new fatal") && !text.contains("old ERROR"),
            "{text}"
        );
    }
}
