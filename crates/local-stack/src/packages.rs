//! The programs that come from the machine's packages: which are missing, and how to install them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::unistd::Uid;

use crate::error::StackError;
use crate::process::find_program;
use crate::{nginx, postgres, python, rabbitmq};

/// A program that the stack needs, with the Debian packages that have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// What is missing, in words.
    pub what: &'static str,
    /// Debian and Ubuntu packages.
    pub packages: &'static [&'static str],
}

/// A check of one program.
struct Requirement {
    what: &'static str,
    packages: &'static [&'static str],
    present: fn() -> bool,
}

const REQUIREMENTS: [Requirement; 5] = [
    Requirement {
        what: "PostgreSQL server",
        packages: &["postgresql"],
        present: || postgres::binaries().is_ok(),
    },
    Requirement {
        what: "RabbitMQ server with Erlang",
        packages: &["rabbitmq-server"],
        present: || rabbitmq::server_script().is_ok() && has("erl") && has("epmd"),
    },
    Requirement {
        what: "nginx",
        packages: &["nginx"],
        present: || has("nginx"),
    },
    Requirement {
        what: "nginx JavaScript module (njs)",
        packages: &["libnginx-mod-http-js"],
        present: || nginx::js_module().is_some(),
    },
    Requirement {
        what: "Python 3.11 or newer with venv",
        packages: &["python3", "python3-venv"],
        present: || python::interpreter().is_ok(),
    },
];

fn has(program: &str) -> bool {
    find_program(Path::new(program)).is_ok()
}

/// What is not installed.
pub fn missing() -> Vec<Missing> {
    REQUIREMENTS
        .iter()
        .filter(|requirement| !(requirement.present)())
        .map(|requirement| Missing {
            what: requirement.what,
            packages: requirement.packages,
        })
        .collect()
}

/// What to tell the user: the missing programs and the command that installs them.
pub fn advice(missing: &[Missing]) -> String {
    let names: Vec<&str> = missing.iter().map(|one| one.what).collect();
    let how = if has_apt() {
        let sudo = if Uid::effective().is_root() { "" } else { "sudo " };
        format!(
            "{sudo}apt-get update && {sudo}apt-get install --no-install-recommends {}",
            packages(missing).join(" ")
        )
    } else {
        "install them with this system's package manager (Debian's names: ".to_owned()
            + &packages(missing).join(", ")
            + ")"
    };
    format!("missing: {}\nto install: {how}", names.join(", "))
}

fn packages(missing: &[Missing]) -> Vec<&'static str> {
    missing
        .iter()
        .flat_map(|one| one.packages.iter().copied())
        .collect()
}

fn has_apt() -> bool {
    has("apt-get") && has("dpkg")
}

/// Installs what is missing. The servers that come with the packages are not started: while apt runs, a
/// `policy-rc.d` forbids it (unless the machine has one of its own, which then decides).
pub fn install(missing: &[Missing], log: &Path) -> Result<(), StackError> {
    if !has_apt() {
        return Err(StackError::Other(advice(missing)));
    }
    let mut command = if Uid::effective().is_root() {
        Command::new("sh")
    } else {
        let sudo = find_program(Path::new("sudo")).map_err(|_| StackError::Other(advice(missing)))?;
        let mut command = Command::new(sudo);
        command.arg("sh");
        command
    };
    command.args(["-c", INSTALL, "install"]).args(packages(missing));
    let out = fs::OpenOptions::new().create(true).append(true).open(log);
    let out = out.map_err(|source| StackError::Io {
        action: "open",
        path: log.to_owned(),
        source,
    })?;
    let mark = out.metadata().map_or(0, |metadata| metadata.len());
    let err = out.try_clone().map_err(|source| StackError::Io {
        action: "open",
        path: log.to_owned(),
        source,
    })?;
    // sudo asks for its password on the terminal itself, not through these.
    let status = command.stdin(Stdio::inherit()).stdout(out).stderr(err).status();
    let status = status.map_err(|source| StackError::Io {
        action: "run",
        path: PathBuf::from("apt-get"),
        source,
    })?;
    if status.success() {
        return Ok(());
    }
    Err(StackError::Other(format!(
        "apt-get could not install the packages; {}\n{}",
        crate::log_excerpt::explain(log, mark),
        advice(missing)
    )))
}

const INSTALL: &str = r#"
set -e
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT INT TERM
    printf '#!/bin/sh\n# Written by local-stack while it installs packages: start no server.\nexit 101\n' > "$policy"
    chmod 755 "$policy"
fi
apt-get update
apt-get install -y --no-install-recommends "$@"
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_names_the_programs_and_the_packages() {
        let missing = [
            Missing {
                what: "nginx",
                packages: &["nginx"],
            },
            Missing {
                what: "Python",
                packages: &["python3", "python3-venv"],
            },
        ];
        let text = advice(&missing);
        assert!(text.contains("missing: nginx, Python"), "{text}");
        assert!(text.contains("nginx") && text.contains("python3-venv"), "{text}");
    }

    #[test]
    fn the_install_script_is_valid_shell() {
        let status = Command::new("sh").args(["-n", "-c", INSTALL]).status().unwrap();
        assert!(status.success());
    }
}
