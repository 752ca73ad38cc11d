//! A private RabbitMQ node.

mod management;
mod node;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

use crate::error::{IoContext as _, StackError};
use crate::process::{self, Identity, Probe, wait_ready};
use crate::run_as::{RunAs, private_dir};
use crate::{ports, secret};

pub use management::Management;
pub use node::server_script;

/// Name of the administrator of private nodes.
pub const ADMIN: &str = "banyan_admin";
/// A node takes five to ten seconds to start on two quiet cores, and much longer on busy ones.
const START_TIMEOUT: Duration = Duration::from_mins(2);
/// How long an orderly stop may take before the node is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// What is kept of a node between runs, in `<dir>/instance.json` (mode 600).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    node: String,
    port: u16,
    management_port: u16,
    /// Port of Erlang's distribution, which a node listens on even when it is alone.
    distribution_port: u16,
    /// Port of this node's own Erlang port mapper: the machine's one is not touched.
    epmd_port: u16,
    admin_password: String,
    epmd: Option<Identity>,
    process: Option<Identity>,
    /// Whether that process was seen to be ready.
    #[serde(default)]
    ready: bool,
}

/// A private RabbitMQ node under a directory of its own. Dropping it kills the node unless [`RabbitMq::detach`] was
/// called.
#[derive(Debug)]
pub struct RabbitMq {
    dir: PathBuf,
    account: Option<RunAs>,
    record: Mutex<Record>,
    owned: bool,
}

impl RabbitMq {
    /// Starts the node under `dir`, which is created where it is missing. A port of 0 takes a free one (and keeps it
    /// for the next start). A node that already runs there is taken over as it is.
    pub async fn start(dir: impl AsRef<Path>, port: u16, management_port: u16) -> Result<Self, StackError> {
        let node = Self::open(dir.as_ref(), port, management_port)?;
        node.ensure_running().await?;
        Ok(node)
    }

    /// The node under `dir` without starting it.
    pub fn open(dir: &Path, port: u16, management_port: u16) -> Result<Self, StackError> {
        let account = RunAs::unprivileged(&["rabbitmq"])?;
        std::fs::create_dir_all(dir).at("create", dir)?;
        let dir = std::fs::canonicalize(dir).at("resolve", dir)?;
        private_dir(&dir, account.as_ref())?;
        let mut record = match secret::read_json::<Record>(&dir.join("instance.json"), "a node's record")? {
            Some(record) => record,
            None => Record {
                node: format!("banyan_{}@localhost", &secret::password()[..10].to_lowercase()),
                port,
                management_port,
                distribution_port: ports::free_port()?,
                epmd_port: ports::free_port()?,
                admin_password: secret::password(),
                epmd: None,
                process: None,
                ready: false,
            },
        };
        if !record.process.as_ref().is_some_and(Identity::is_alive) {
            record.port = ports::choose(port, record.port)?;
            record.management_port = ports::choose(management_port, record.management_port)?;
        }
        let node = Self {
            dir,
            account,
            record: Mutex::new(record),
            owned: true,
        };
        node.save()?;
        Ok(node)
    }

    /// Leaves the node running when this value is dropped.
    #[must_use]
    pub fn detach(mut self) -> Self {
        self.owned = false;
        self
    }

    /// AMQP port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.record().port
    }

    /// Port of the management API on 127.0.0.1.
    pub fn management_port(&self) -> u16 {
        self.record().management_port
    }

    /// The running node; `None` when it is down.
    pub fn process(&self) -> Option<Identity> {
        self.record().process.clone().filter(Identity::is_alive)
    }

    /// The node's Erlang port mapper.
    pub fn epmd(&self) -> Option<Identity> {
        self.record().epmd.clone().filter(Identity::is_alive)
    }

    /// Where the node writes its log.
    pub fn log(&self) -> PathBuf {
        self.dir.join("server.log")
    }

    /// AMQP URL of the administrator for a vhost (`/` is written as `%2f`).
    pub fn amqp_url(&self, vhost: &str) -> String {
        let password = self.record().admin_password.clone();
        self.user_url(ADMIN, &password, vhost)
    }

    /// AMQP URL of a user for a vhost.
    pub fn user_url(&self, user: &str, password: &str, vhost: &str) -> String {
        format!(
            "amqp://{user}:{password}@127.0.0.1:{}/{}",
            self.port(),
            management::escape(vhost)
        )
    }

    /// URL of the management API with the administrator's credentials.
    pub fn management_url(&self) -> String {
        let record = self.record();
        format!(
            "http://{ADMIN}:{}@127.0.0.1:{}",
            record.admin_password, record.management_port
        )
    }

    /// A client of the management API as the administrator.
    pub fn management(&self) -> Management {
        let record = self.record();
        Management::new(
            &format!("http://127.0.0.1:{}", record.management_port),
            ADMIN,
            &record.admin_password,
        )
    }

    /// Makes a vhost in which the administrator may do everything.
    pub async fn create_vhost(&self, name: &str) -> Result<(), StackError> {
        self.management().create_vhost(name, ADMIN).await
    }

    /// Deletes a vhost with everything in it.
    pub async fn delete_vhost(&self, name: &str) -> Result<(), StackError> {
        self.management().delete_vhost(name).await
    }

    /// Starts the node unless it runs, and waits until it takes AMQP connections and management requests.
    pub async fn ensure_running(&self) -> Result<(), StackError> {
        self.ensure_epmd().await?;
        let (process, mark) = match self.process() {
            Some(_) if self.record().ready => return Ok(()),
            // Whoever started it was interrupted before it was ready.
            Some(process) => (process, 0),
            None => self.launch()?,
        };
        let health = format!(
            "{}/api/health/checks/port-listener/{}",
            self.management_url(),
            self.port()
        );
        wait_ready(
            "rabbitmq",
            &process,
            &Probe::Http(health),
            START_TIMEOUT,
            &self.log(),
            mark,
        )
        .await?;
        self.record().ready = true;
        self.save()
    }

    /// Starts the node; returns it and where its log begins.
    fn launch(&self) -> Result<(Identity, u64), StackError> {
        ports::require_free("rabbitmq", self.port())?;
        ports::require_free("rabbitmq management", self.management_port())?;
        self.move_distribution_if_taken()?;
        let spawn = self.prepare()?;
        let mark = spawn.log_mark();
        let process = spawn.start()?;
        {
            let mut record = self.record();
            record.process = Some(process.clone());
            record.ready = false;
        }
        self.save()?;
        Ok((process, mark))
    }

    /// Kills the node (`kill -9` of the Erlang VM and its helpers), as a power cut of this server would.
    pub async fn kill9(&self) -> Result<(), StackError> {
        match self.process() {
            Some(process) => process::kill9("rabbitmq", &process).await,
            None => Ok(()),
        }
    }

    /// Starts the node again on the same ports; a running one is stopped first.
    pub async fn restart(&self) -> Result<(), StackError> {
        self.stop_node().await?;
        self.ensure_running().await
    }

    /// Orderly stop of the node and of its port mapper.
    pub async fn stop(&self) -> Result<(), StackError> {
        self.stop_node().await?;
        match self.epmd() {
            Some(epmd) => process::stop("epmd", &epmd, Signal::SIGTERM, Duration::from_secs(5)).await,
            None => Ok(()),
        }
    }

    async fn stop_node(&self) -> Result<(), StackError> {
        match self.process() {
            Some(process) => process::stop("rabbitmq", &process, Signal::SIGTERM, STOP_TIMEOUT).await,
            None => Ok(()),
        }
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn save(&self) -> Result<(), StackError> {
        let record = self.record().clone();
        secret::write_json(&self.dir.join("instance.json"), &record)
    }
}

impl Drop for RabbitMq {
    fn drop(&mut self) {
        if !self.owned {
            return;
        }
        for process in [self.process(), self.epmd()].into_iter().flatten() {
            process.signal(Signal::SIGSTOP);
            for one in process.descendants().iter().chain([&process]) {
                one.signal(Signal::SIGKILL);
            }
        }
    }
}
