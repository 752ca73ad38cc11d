//! A file that grew long has two subjects.

use std::path::Path;

use super::{Files, Finding};

/// Lines at most.
const LIMIT: usize = 500;
/// Made by a program; nobody reads them from top to bottom.
const GENERATED: [&str; 2] = [
    "clients/python/src/banyan/events.py",
    "monolith/payments/migrations/0003_domain_tables.py",
];

/// Checks source files.
pub(super) fn check(files: &Files) -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for path in ["rs", "py", "js"]
        .iter()
        .flat_map(|extension| files.ending(extension))
    {
        let lines = files.read(path)?.lines().count();
        if lines > LIMIT && !GENERATED.iter().any(|generated| path == Path::new(generated)) {
            let message = format!("{lines} lines; split it by subject (at most {LIMIT})");
            findings.push(Finding {
                place: path.display().to_string(),
                message,
            });
        }
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::super::tests::repository;
    use super::*;

    #[test]
    fn a_long_file_is_named() {
        let (long, short) = ("x\n".repeat(LIMIT + 1), "x\n".repeat(LIMIT));
        let (_dir, files) = repository(&[("a.rs", &long), ("b.rs", &short), (GENERATED[0], &long)]);
        let findings = check(&files).unwrap();
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert_eq!(findings[0].place, "a.rs");
    }
}
