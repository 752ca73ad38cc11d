//! Cargo manifests: one version of everything, and no service inside another.

use std::path::Path;

use anyhow::Context as _;
use toml::{Table, Value};

use super::{Files, Finding};

/// Checks every manifest but the workspace's own.
pub(super) fn check(files: &Files) -> anyhow::Result<Vec<Finding>> {
    let manifests: Vec<&Path> = files.ending("toml").filter(|path| is_member(path)).collect();
    let services: Vec<&str> = manifests
        .iter()
        .filter(|path| path.starts_with("services"))
        .filter_map(|path| path.iter().nth(1)?.to_str())
        .collect();
    let mut findings = Vec::new();
    for path in &manifests {
        let manifest: Table = files
            .read(path)?
            .parse()
            .with_context(|| format!("parsing {}", path.display()))?;
        for (name, value) in dependencies(&manifest) {
            if let Some(message) = complaint(path, name, value, &services) {
                findings.push(Finding {
                    place: path.display().to_string(),
                    message,
                });
            }
        }
        if manifest.get("lints").and_then(|lints| lints.get("workspace")) != Some(&Value::Boolean(true)) {
            let message =
                "add `[lints] workspace = true`: without it no lint of the workspace holds".to_owned();
            findings.push(Finding {
                place: path.display().to_string(),
                message,
            });
        }
    }
    Ok(findings)
}

fn is_member(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "Cargo.toml")
        && path.parent().is_some_and(|parent| parent != Path::new(""))
}

fn complaint(path: &Path, name: &str, value: &Value, services: &[&str]) -> Option<String> {
    if services.contains(&name) && !path.starts_with("crates/end-to-end") {
        return Some(format!(
            "depends on the service `{name}`: services share crates, events and nothing else"
        ));
    }
    let from_workspace = value.get("workspace") == Some(&Value::Boolean(true));
    (!from_workspace)
        .then(|| format!("`{name}` has a version of its own; put it into the workspace's Cargo.toml"))
}

fn dependencies(manifest: &Table) -> impl Iterator<Item = (&str, &Value)> {
    ["dependencies", "dev-dependencies", "build-dependencies"]
        .iter()
        .filter_map(|kind| manifest.get(*kind)?.as_table())
        .flatten()
        .map(|(name, value)| (name.as_str(), value))
}

#[cfg(test)]
mod tests {
    use super::super::tests::repository;
    use super::*;

    #[test]
    fn versions_and_services_as_dependencies_are_found() {
        let lints = "[lints]\nworkspace = true\n";
        let good = format!("{lints}[dependencies]\nserde.workspace = true\n");
        let bad = "[dependencies]\nserde = \"1\"\npayments = { workspace = true }\n";
        let (_dir, files) = repository(&[
            ("Cargo.toml", "[workspace]\n"),
            ("services/payments/Cargo.toml", &good),
            ("crates/x/Cargo.toml", bad),
        ]);
        let findings = check(&files).unwrap();
        let messages: Vec<&str> = findings.iter().map(|finding| finding.message.as_str()).collect();
        assert_eq!(messages.len(), 3, "{messages:?}");
        assert!(
            messages
                .iter()
                .any(|message| message.contains("`serde` has a version"))
        );
        assert!(
            messages
                .iter()
                .any(|message| message.contains("the service `payments`"))
        );
        assert!(
            findings
                .iter()
                .all(|finding| finding.place == "crates/x/Cargo.toml")
        );
    }
}
