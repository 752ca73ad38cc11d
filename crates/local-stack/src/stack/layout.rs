//! Where a stack keeps its files, and which ports it uses.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use nix::unistd::Uid;
use sha2::{Digest as _, Sha256};

use crate::error::{IoContext as _, StackError};
use crate::python::hex;
use crate::run_as::RunAs;

/// The variable that moves every port of a stack.
pub const PORT_OFFSET: &str = "BANYAN_PORT_OFFSET";
/// The variable that puts a stack's state elsewhere than `.banyan`.
pub const STATE_DIR: &str = "BANYAN_STATE_DIR";

/// Files and ports of one stack.
#[derive(Debug, Clone)]
pub struct Layout {
    /// The repository.
    pub root: PathBuf,
    /// All run-time state; `.banyan` unless moved.
    pub state: PathBuf,
    /// Added to every port.
    pub offset: u16,
}

/// The processes with a port, as in the contracts.
const PORTS: [(&str, u16); 14] = [
    ("gateway", 8080),
    ("monolith", 8000),
    ("payments", 3001),
    ("users", 3002),
    ("notifications", 3003),
    ("reporting", 3004),
    ("cutover", 3005),
    ("postgres", 55432),
    ("rabbitmq", 55672),
    ("rabbitmq-management", 55673),
    ("stripe", 8420),
    ("localstripe", 8421),
    ("mail", 1025),
    ("traces", 4318),
];

impl Layout {
    /// The stack of a repository, as the environment says.
    pub fn from_env(root: &Path) -> Result<Self, StackError> {
        let offset = match std::env::var(PORT_OFFSET) {
            Ok(text) if !text.is_empty() => text
                .parse()
                .map_err(|_| StackError::Other(format!("{PORT_OFFSET} is `{text}`; it must be a number")))?,
            _ => 0,
        };
        let state = std::env::var_os(STATE_DIR).filter(|dir| !dir.is_empty());
        Self::new(
            root,
            &state.map_or_else(|| root.join(".banyan"), PathBuf::from),
            offset,
        )
    }

    /// A stack with its state in `state` and every port moved by `offset`.
    pub fn new(root: &Path, state: &Path, offset: u16) -> Result<Self, StackError> {
        if let Some((name, port)) = PORTS.iter().find(|(_, port)| port.checked_add(offset).is_none()) {
            return Err(StackError::Other(format!(
                "{PORT_OFFSET}={offset} moves {name} beyond port 65535; take at most {}",
                u16::MAX - port
            )));
        }
        let root = fs::canonicalize(root).at("resolve", root)?;
        let state = if state.is_absolute() {
            state.to_owned()
        } else {
            root.join(state)
        };
        Ok(Self { root, state, offset })
    }

    /// The port of a process; 0 where it has none.
    pub fn port(&self, process: &str) -> u16 {
        PORTS
            .iter()
            .find(|(name, _)| *name == process)
            .map_or(0, |(_, port)| port + self.offset)
    }

    /// `http://127.0.0.1:<port>` of a process.
    pub fn url(&self, process: &str) -> String {
        format!("http://127.0.0.1:{}", self.port(process))
    }

    /// The log of a process.
    pub fn log(&self, process: &str) -> PathBuf {
        self.state.join("log").join(format!("{process}.log"))
    }

    /// A file or directory of the state.
    pub fn file(&self, name: &str) -> PathBuf {
        self.state.join(name)
    }

    /// Makes the state directory. Its parts with secrets are closed; the directory itself can be passed through, for
    /// PostgreSQL and RabbitMQ run as accounts of their own when this is root. Where such an account cannot reach the
    /// repository at all (say it lies in /root), the state goes to /var/tmp and `.banyan` becomes a link to it.
    pub fn create(&self) -> Result<(), StackError> {
        if !self.state.exists() {
            match self.elsewhere()? {
                Some(real) => {
                    fs::create_dir_all(&real).at("create", &real)?;
                    // What is left of a link whose target is gone.
                    let _ = fs::remove_file(&self.state);
                    symlink(&real, &self.state).at("link", &self.state)?;
                }
                None => fs::create_dir_all(&self.state).at("create", &self.state)?,
            }
        }
        fs::set_permissions(&self.state, fs::Permissions::from_mode(0o711)).at("open", &self.state)?;
        let logs = self.state.join("log");
        fs::create_dir_all(&logs).at("create", &logs)
    }

    /// Removes the state directory and what it links to.
    pub fn remove(&self) -> Result<(), StackError> {
        if let Ok(real) = fs::read_link(&self.state) {
            fs::remove_dir_all(&real).at("remove", &real)?;
            return fs::remove_file(&self.state).at("remove", &self.state);
        }
        if self.state.exists() {
            fs::remove_dir_all(&self.state).at("remove", &self.state)?;
        }
        Ok(())
    }

    /// A directory that the servers' accounts can reach, where the wanted one is not.
    fn elsewhere(&self) -> Result<Option<PathBuf>, StackError> {
        let accounts = [
            RunAs::unprivileged(&["postgres"])?,
            RunAs::unprivileged(&["rabbitmq"])?,
        ];
        let parent = self.state.parent().unwrap_or(&self.root);
        fs::create_dir_all(parent).at("create", parent)?;
        let parent = fs::canonicalize(parent).at("resolve", parent)?;
        if accounts
            .iter()
            .flatten()
            .all(|account| account.can_reach(&parent.join("state")).is_ok())
        {
            return Ok(None);
        }
        let hash = hex(&Sha256::digest(self.state.as_os_str().as_encoded_bytes()));
        Ok(Some(PathBuf::from(format!(
            "/var/tmp/banyan-{}-{}",
            Uid::effective(),
            &hash[..12]
        ))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_port_moves_by_the_offset() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::new(root.path(), Path::new(".banyan"), 1000).unwrap();
        assert_eq!(layout.port("gateway"), 9080);
        assert_eq!(layout.port("postgres"), 56432);
        let error = Layout::new(root.path(), Path::new(".banyan"), 10_000)
            .unwrap_err()
            .to_string();
        assert!(error.contains("take at most"), "{error}");
    }

    #[test]
    fn state_under_a_closed_directory_goes_elsewhere_and_is_removed_whole() {
        let root = tempfile::tempdir().unwrap();
        let closed = root.path().join("closed");
        fs::create_dir(&closed).unwrap();
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
        let layout = Layout::new(&closed, Path::new(".banyan"), 0).unwrap();
        layout.create().unwrap();
        layout.create().expect("repeating changes nothing");
        let real = fs::canonicalize(&layout.state).unwrap();
        assert_eq!(
            real.starts_with("/var/tmp"),
            Uid::effective().is_root(),
            "{}",
            real.display()
        );
        assert!(layout.log("x").parent().unwrap().is_dir());
        layout.remove().unwrap();
        layout.remove().expect("removing twice is no error");
        assert!(!real.exists() && fs::symlink_metadata(&layout.state).is_err());
    }
}
