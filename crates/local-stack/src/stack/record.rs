//! `.banyan/stack.json`: what runs, where, and with which credentials (mode 600).

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Layout;
use crate::error::StackError;
use crate::process::Identity;
use crate::secret;

/// The credential with which Stripe's webhooks are signed.
pub const WEBHOOK_SECRET: &str = "stripe.webhook_secret";

/// Everything that `up` made and `status`, `logs` and `down` need.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StackRecord {
    /// Added to every port.
    pub port_offset: u16,
    /// In the order of starting.
    pub processes: Vec<ProcessRecord>,
    /// Where to reach what, by name.
    pub urls: BTreeMap<String, String>,
    /// Generated secrets and the URLs that hold them, by name.
    pub credentials: BTreeMap<String, String>,
}

/// One started process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProcessRecord {
    /// Name, as in the contracts.
    pub name: String,
    /// Pid, start time and boot.
    #[serde(flatten)]
    pub identity: Identity,
    /// Port on 127.0.0.1, where it has one.
    pub port: Option<u16>,
    /// URL, where it has one.
    pub url: Option<String>,
    /// Its log.
    pub log: PathBuf,
    /// What it was started from; another value means that it must be started again.
    pub fingerprint: String,
}

impl StackRecord {
    /// The record of a stack; an empty one where nothing was started.
    pub fn load(layout: &Layout) -> Result<Self, StackError> {
        Ok(secret::read_json(&layout.file("stack.json"), "the record of a stack")?.unwrap_or_default())
    }

    /// Writes the record; only its owner can read it.
    pub fn save(&self, layout: &Layout) -> Result<(), StackError> {
        secret::write_json(&layout.file("stack.json"), self)
    }

    /// The process of this name.
    pub fn process(&self, name: &str) -> Option<&ProcessRecord> {
        self.processes.iter().find(|process| process.name == name)
    }

    /// Puts a process in, in place of an earlier one of its name.
    pub fn put(&mut self, process: ProcessRecord) {
        match self.processes.iter_mut().find(|known| known.name == process.name) {
            Some(known) => *known = process,
            None => self.processes.push(process),
        }
    }

    /// A credential, made and kept when there is none yet.
    pub fn secret(&mut self, name: &str) -> String {
        self.credentials
            .entry(name.to_owned())
            .or_insert_with(secret::password)
            .clone()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use super::*;

    #[test]
    fn the_record_is_private_and_reads_back() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::new(root.path(), Path::new("state"), 7).unwrap();
        layout.create().unwrap();
        let mut record = StackRecord {
            port_offset: 7,
            ..StackRecord::default()
        };
        let secret = record.secret("monolith.secret_key");
        assert_eq!(record.secret("monolith.secret_key"), secret);
        let process = ProcessRecord {
            name: "mail".into(),
            identity: Identity {
                pid: 1,
                start_time: 2,
                boot_id: "b".into(),
            },
            port: Some(1032),
            url: None,
            log: layout.log("mail"),
            fingerprint: "f".into(),
        };
        record.put(process.clone());
        record.put(process.clone());
        record.save(&layout).unwrap();
        let mode = std::fs::metadata(layout.file("stack.json"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        let read = StackRecord::load(&layout).unwrap();
        assert_eq!(
            (read.processes, read.credentials),
            (vec![process], record.credentials)
        );
    }

    #[test]
    fn a_damaged_record_names_the_file() {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::new(root.path(), Path::new("state"), 0).unwrap();
        layout.create().unwrap();
        std::fs::write(layout.file("stack.json"), "{").unwrap();
        let error = StackRecord::load(&layout).unwrap_err().to_string();
        assert!(error.contains("stack.json is not readable"), "{error}");
    }
}
