//! The node's files, environment and port mapper.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{ADMIN, RabbitMq};
use crate::error::{IoContext as _, StackError};
use crate::process::{Probe, Spawn, wait_ready};
use crate::run_as::private_dir;
use crate::{ports, secret};

/// What every node is set to, in production as here.
const COMMON: &str = include_str!("../../../../deploy/rabbitmq/rabbitmq.conf");
const PLUGINS: &str = include_str!("../../../../deploy/rabbitmq/enabled_plugins");

/// The server's own start script. Debian's `/usr/sbin/rabbitmq-server` switches to the machine's account and
/// directories, so the one below it is called.
pub fn server_script() -> Result<PathBuf, StackError> {
    let mut found: Vec<PathBuf> = ["/usr/lib/rabbitmq/lib", "/opt/homebrew/opt"]
        .iter()
        .filter_map(|dir| fs::read_dir(dir).ok())
        .flatten()
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("rabbitmq"))
        .map(|entry| entry.path().join("sbin/rabbitmq-server"))
        .filter(|script| script.is_file())
        .collect();
    found.sort();
    found.pop().ok_or_else(|| StackError::Missing {
        program: "rabbitmq-server".to_owned(),
        mend: "install the package `rabbitmq-server` (`cargo xtask up` does)".to_owned(),
    })
}

impl RabbitMq {
    /// Starts a port mapper for this node alone. Without one the node would start (or join) the machine's mapper on
    /// port 4369, which then outlives the node.
    pub(super) async fn ensure_epmd(&self) -> Result<(), StackError> {
        if self.epmd().is_some() {
            return Ok(());
        }
        let mut port = self.record().epmd_port;
        if !ports::is_free(port) {
            port = ports::free_port()?;
        }
        let spawn = Spawn::new("epmd", "epmd", &self.dir.join("epmd.log"))
            .args(["-port", &port.to_string(), "-address", "127.0.0.1"])
            .dir(&self.dir)
            .run_as(self.account.as_ref());
        let mark = spawn.log_mark();
        let process = spawn.start()?;
        {
            let mut record = self.record();
            record.epmd_port = port;
            record.epmd = Some(process.clone());
        }
        self.save()?;
        wait_ready(
            "epmd",
            &process,
            &Probe::Tcp(port),
            Duration::from_secs(20),
            &spawn.log,
            mark,
        )
        .await
    }

    /// Nobody but the node needs to know its distribution port, so a taken one is simply replaced.
    pub(super) fn move_distribution_if_taken(&self) -> Result<(), StackError> {
        let port = self.record().distribution_port;
        if !ports::is_free(port) {
            let other = ports::free_port()?;
            self.record().distribution_port = other;
            self.save()?;
        }
        Ok(())
    }

    /// Writes the node's files and describes its process.
    pub(super) fn prepare(&self) -> Result<Spawn, StackError> {
        let home = self.dir.join("home");
        private_dir(&home, self.account.as_ref())?;
        self.write_cookie(&home)?;
        let plugins = self.dir.join("enabled_plugins");
        self.write_file(&plugins, PLUGINS, 0o644)?;
        let configuration = self.dir.join("rabbitmq.conf");
        self.write_file(&configuration, &self.configuration(), 0o600)?;
        let record = self.record().clone();
        let path = |name: &str| self.dir.join(name).display().to_string();
        Ok(Spawn::new("rabbitmq", server_script()?, &self.log())
            .dir(&self.dir)
            .run_as(self.account.as_ref())
            // Makes the script become the Erlang VM instead of guarding it, so that the pid is the VM's.
            .env("RUNNING_UNDER_SYSTEMD", "true")
            .env("HOME", home.display().to_string())
            .env("RABBITMQ_NODENAME", &record.node)
            .env("RABBITMQ_DIST_PORT", record.distribution_port.to_string())
            .env("ERL_EPMD_PORT", record.epmd_port.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            // The machine's own files in /etc/rabbitmq are not read.
            .env("RABBITMQ_CONF_ENV_FILE", path("no-environment-file"))
            .env("RABBITMQ_CONFIG_FILE", configuration.display().to_string())
            .env("RABBITMQ_ADVANCED_CONFIG_FILE", path("no-advanced.config"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", plugins.display().to_string())
            .env("RABBITMQ_MNESIA_BASE", path("mnesia"))
            .env("RABBITMQ_LOG_BASE", path("log"))
            .env("RABBITMQ_LOGS", "-")
            .env("RABBITMQ_SCHEDULER_BIND_TYPE", "u")
            .env(
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
                "-kernel inet_dist_use_interface {127,0,0,1}",
            ))
    }

    /// The cookie is made once: nodes and their tools must keep agreeing on it.
    fn write_cookie(&self, home: &Path) -> Result<(), StackError> {
        let cookie = home.join(".erlang.cookie");
        if cookie.is_file() {
            return Ok(());
        }
        self.write_file(&cookie, &secret::password(), 0o400)
    }

    fn write_file(&self, path: &Path, content: &str, mode: u32) -> Result<(), StackError> {
        secret::write_private(path, content.as_bytes())?;
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).at("restrict", path)?;
        match &self.account {
            Some(account) => account.own(path),
            None => Ok(()),
        }
    }

    fn configuration(&self) -> String {
        let record = self.record();
        format!(
            "# Written by local-stack at every start; changes here are lost.\n\
             {COMMON}\n\
             listeners.tcp.default = 127.0.0.1:{port}\n\
             management.tcp.ip = 127.0.0.1\n\
             management.tcp.port = {management}\n\
             default_user = {ADMIN}\n\
             default_pass = {password}\n\
             default_vhost = /\n\
             loopback_users.{ADMIN} = true\n\
             disk_free_limit.absolute = 50MB\n",
            port = record.port,
            management = record.management_port,
            password = record.admin_password,
        )
    }
}
