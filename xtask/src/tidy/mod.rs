//! `cargo xtask tidy`: what people forget and compilers do not see.

mod layers;
mod manifests;
mod sizes;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, bail};
use banyan_events::compat::check_released;

use crate::generate;
use crate::root::root;

/// One thing to mend.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// From the repository's root, with the line where there is one.
    place: String,
    /// What is wrong and what to do.
    message: String,
}

/// Prints every finding; fails when there is one.
pub(crate) async fn tidy() -> anyhow::Result<ExitCode> {
    let root = root();
    let files = Files::of(&root)?;
    let mut findings = layers::check(&files)?;
    findings.extend(sizes::check(&files)?);
    findings.extend(manifests::check(&files)?);
    findings.extend(stale(&root).await?);
    for broken in check_released(&root)? {
        findings.push(Finding {
            place: "crates/events/released".to_owned(),
            message: broken.to_string(),
        });
    }
    for finding in &findings {
        println!("{}: {}", finding.place, finding.message);
    }
    if findings.is_empty() {
        println!("tidy: {} files", files.paths.len());
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("{} to mend", findings.len());
    Ok(ExitCode::FAILURE)
}

async fn stale(root: &Path) -> anyhow::Result<Vec<Finding>> {
    let message = "is generated and not current; run `cargo xtask generate` and commit";
    let finding = |stale: generate::Stale| Finding {
        place: stale.path.display().to_string(),
        message: message.into(),
    };
    Ok(generate::stale(root).await?.into_iter().map(finding).collect())
}

/// The files of the repository, as git has them or would take them.
pub(crate) struct Files {
    root: PathBuf,
    /// From the root.
    paths: Vec<PathBuf>,
}

impl Files {
    fn of(root: &Path) -> anyhow::Result<Self> {
        let mut git = Command::new("git");
        git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(root);
        let output = git.output().context("running git ls-files")?;
        if !output.status.success() {
            bail!("git ls-files failed: {}", String::from_utf8_lossy(&output.stderr));
        }
        let text = String::from_utf8(output.stdout).context("a file name is not UTF-8")?;
        let mut paths: Vec<PathBuf> = text
            .split('\0')
            .filter(|name| !name.is_empty())
            .map(PathBuf::from)
            .filter(|path| root.join(path).is_file())
            .collect();
        paths.sort();
        paths.dedup();
        Ok(Self {
            root: root.to_owned(),
            paths,
        })
    }

    /// The paths with this ending.
    fn ending(&self, extension: &str) -> impl Iterator<Item = &Path> {
        self.paths
            .iter()
            .map(PathBuf::as_path)
            .filter(move |path| path.extension().is_some_and(|end| end == extension))
    }

    fn read(&self, path: &Path) -> anyhow::Result<String> {
        std::fs::read_to_string(self.root.join(path)).with_context(|| format!("reading {}", path.display()))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A repository with these files.
    pub(crate) fn repository(files: &[(&str, &str)]) -> (tempfile::TempDir, Files) {
        let dir = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        let init = Command::new("git")
            .args(["init", "-q"])
            .current_dir(dir.path())
            .status()
            .unwrap();
        assert!(init.success());
        let files = Files::of(dir.path()).unwrap();
        (dir, files)
    }
}
