//! Which part of a service may know what: `http → use_cases → domain`, SQL under `storage/` alone.

use std::path::Path;

use super::{Files, Finding};

/// A layer, and what it must not mention.
struct Rule {
    layer: &'static str,
    forbidden: &'static [&'static str],
    reason: &'static str,
}

const RULES: [Rule; 3] = [
    Rule {
        layer: "domain",
        forbidden: &[
            "axum::",
            "sqlx::",
            "lapin::",
            "reqwest::",
            "crate::http",
            "crate::storage",
            "crate::use_cases",
        ],
        reason: "the domain knows neither HTTP nor SQL nor the layers above it",
    },
    Rule {
        layer: "http",
        forbidden: &["crate::storage"],
        reason: "a handler calls a use case; storage is the use case's",
    },
    Rule {
        layer: "storage",
        forbidden: &["axum::", "crate::http", "crate::use_cases"],
        reason: "storage is below the use cases",
    },
];

/// Ways to write SQL with sqlx.
const SQL: [&str; 6] = [
    "query!(",
    "query_as!(",
    "query_scalar!(",
    "sqlx::query",
    "sqlx::raw_sql",
    "QueryBuilder",
];

/// Checks the sources of every service.
pub(super) fn check(files: &Files) -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for path in files.ending("rs") {
        let Some(layer) = layer(path) else { continue };
        let text = files.read(path)?;
        // Unit tests at the end of a file may look into tables.
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let lines = code
            .lines()
            .enumerate()
            .filter(|(_, line)| !line.trim_start().starts_with("//"));
        for (number, line) in lines {
            if let Some(message) = complaint(&layer, line) {
                findings.push(Finding {
                    place: format!("{}:{}", path.display(), number + 1),
                    message,
                });
            }
        }
    }
    Ok(findings)
}

fn complaint(layer: &str, line: &str) -> Option<String> {
    for rule in RULES.iter().filter(|rule| rule.layer == layer) {
        if let Some(word) = rule.forbidden.iter().find(|word| line.contains(*word)) {
            return Some(format!("`{word}` in {layer}/: {}", rule.reason));
        }
    }
    let word = SQL
        .iter()
        .find(|word| layer != "storage" && line.contains(*word))?;
    Some(format!(
        "`{word}` outside storage/: move the statement to a function there"
    ))
}

/// The layer of a service's source file: the directory or file right below `src`.
fn layer(path: &Path) -> Option<String> {
    let parts: Vec<&str> = path.iter().filter_map(|part| part.to_str()).collect();
    match parts.as_slice() {
        ["services", _, "src", layer, ..] => Some(layer.trim_end_matches(".rs").to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::repository;
    use super::*;

    #[test]
    fn each_layer_is_held_to_its_rule() {
        let (_dir, files) = repository(&[
            (
                "services/a/src/domain/money.rs",
                "//! sqlx::query in words is fine\nuse sqlx::PgPool;\n",
            ),
            (
                "services/a/src/http/charge.rs",
                "use crate::use_cases::charge;\nuse crate::storage::payments;\n",
            ),
            (
                "services/a/src/use_cases/charge.rs",
                "fn f() { sqlx::query(\"SELECT 1\"); }\n",
            ),
            (
                "services/a/src/storage/payments.rs",
                "fn f() { sqlx::query!(\"SELECT 1\"); }\n",
            ),
            (
                "services/a/src/jobs/x.rs",
                "fn f() {}\n#[cfg(test)]\nmod tests { fn t() { sqlx::query(\"\"); } }\n",
            ),
        ]);
        let places: Vec<String> = check(&files)
            .unwrap()
            .into_iter()
            .map(|finding| finding.place)
            .collect();
        assert_eq!(
            places,
            [
                "services/a/src/domain/money.rs:2",
                "services/a/src/http/charge.rs:2",
                "services/a/src/use_cases/charge.rs:1"
            ]
        );
    }
}
