//! Making a cluster and its configuration.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use std::fmt::Write as _;
use std::os::unix::process::CommandExt as _;

use super::{ADMIN, Postgres};
use crate::error::{IoContext as _, StackError};
use crate::process::run;
use crate::run_as::private_dir;
use crate::secret;

/// The directory of the newest installed server binaries. Debian keeps them out of PATH, and what PATH has may be a
/// wrapper around the machine's own cluster, so the versioned directories come first.
pub fn binaries() -> Result<PathBuf, StackError> {
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            Some((
                entry.file_name().to_str()?.parse().ok()?,
                entry.path().join("bin"),
            ))
        })
        .filter(|(_, bin)| bin.join("initdb").is_file() && bin.join("postgres").is_file())
        .collect();
    versions.sort();
    if let Some((_, bin)) = versions.pop() {
        return Ok(bin);
    }
    for bin in ["/usr/bin", "/usr/local/pgsql/bin", "/opt/homebrew/bin"].map(PathBuf::from) {
        if bin.join("initdb").is_file() && bin.join("postgres").is_file() {
            return Ok(bin);
        }
    }
    Err(StackError::Missing {
        program: "PostgreSQL server (initdb, postgres)".to_owned(),
        mend: "install the package `postgresql` (`cargo xtask up` does)".to_owned(),
    })
}

impl Postgres {
    /// The server binaries of this cluster, which must be of one major version for all of its life.
    pub(super) fn binaries(&self) -> Result<PathBuf, StackError> {
        let given = self.settings.binaries.clone().map_or_else(binaries, Ok)?;
        // A link on the way may lead past a directory that is closed to the account.
        let found = fs::canonicalize(&given).at("resolve", &given)?;
        if let Some(account) = &self.account {
            account.can_reach(&found.join("postgres"))?;
        }
        Ok(found)
    }

    /// Runs initdb once. It works in a directory beside the final one, so that an interrupted run leaves no half
    /// cluster behind.
    pub(super) fn initialise(&self) -> Result<(), StackError> {
        let data = self.dir.join("data");
        if data.join("PG_VERSION").is_file() {
            return Ok(());
        }
        let fresh = self.dir.join("data.new");
        if fresh.exists() {
            fs::remove_dir_all(&fresh).at("remove", &fresh)?;
        }
        private_dir(&fresh, self.account.as_ref())?;
        let password_file = self.dir.join("admin.pw");
        secret::write_private(&password_file, self.record().admin_password.as_bytes())?;
        if let Some(account) = &self.account {
            account.own(&password_file)?;
        }
        let mut initdb = Command::new(self.binaries()?.join("initdb"));
        initdb.arg("-D").arg(&fresh).args([
            "-U",
            ADMIN,
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
            "--auth=scram-sha-256",
        ]);
        initdb
            .arg(format!("--pwfile={}", password_file.display()))
            .current_dir(&self.dir);
        initdb.args((!self.settings.fsync).then_some("--no-sync"));
        if let Some(account) = &self.account {
            initdb.uid(account.uid).gid(account.gid);
        }
        let result = run(&mut initdb);
        fs::remove_file(&password_file).at("remove", &password_file)?;
        result?;
        fs::rename(&fresh, &data).at("move into place", &data)
    }

    /// Writes postgresql.conf whole, at every start, so that a changed setting or port takes effect; returns the data
    /// directory.
    pub(super) fn write_configuration(&self) -> Result<PathBuf, StackError> {
        let data = self.dir.join("data");
        let path = data.join("postgresql.conf");
        fs::write(&path, self.configuration()).at("write", &path)?;
        if let Some(account) = &self.account {
            account.own(&path)?;
        }
        Ok(data)
    }

    fn configuration(&self) -> String {
        let on = if self.settings.fsync { "on" } else { "off" };
        let connections = self.settings.max_connections.to_string();
        let port = self.port().to_string();
        let settings = [
            ("listen_addresses", "127.0.0.1"),
            ("port", &port),
            // A socket path may have 107 bytes at most; TCP alone is enough.
            ("unix_socket_directories", ""),
            ("max_connections", &connections),
            ("wal_level", "logical"),
            // For each direction of each domain a slot, and an origin for each session that applies.
            ("max_replication_slots", "64"),
            ("max_wal_senders", "64"),
            // A sync that stands still loses its slot rather than filling the disk.
            ("max_slot_wal_keep_size", "8GB"),
            ("fsync", on),
            ("full_page_writes", on),
            // Always on: it hands each commit to the kernel, which a killed server's restart then finds again.
            ("synchronous_commit", "on"),
            ("shared_buffers", "128MB"),
            ("max_wal_size", "1GB"),
            ("timezone", "UTC"),
            ("log_timezone", "UTC"),
            ("log_line_prefix", "%m [%p] %q%u@%d "),
            ("password_encryption", "scram-sha-256"),
        ];
        let mut text = "# Written by local-stack at every start; changes here are lost.\n".to_owned();
        let extra = self
            .settings
            .extra
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in settings.into_iter().chain(extra) {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{name} = '{}'", value.replace('\'', "''"));
        }
        text
    }
}
