//! A private PostgreSQL server.

mod admin;
mod cluster;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

use crate::error::{IoContext as _, StackError};
use crate::process::{self, Identity, Probe, Spawn, wait_ready};
use crate::run_as::{RunAs, private_dir};
use crate::{ports, secret};

pub use cluster::binaries;

/// Name of the superuser of private clusters.
pub const ADMIN: &str = "banyan_admin";
/// A cluster answers within a second or two; recovery after a kill under load may take longer.
const START_TIMEOUT: Duration = Duration::from_mins(1);
/// How long the parent of a server that ended may take to notice.
const REAP_PATIENCE: Duration = Duration::from_secs(10);
/// How long a fast shutdown may take before the server is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);

/// What differs between the stack's cluster and the tests' one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresSettings {
    /// Whether commits wait for the disk. Off only where the data may be lost with the machine.
    pub fsync: bool,
    /// Connections at most.
    pub max_connections: u16,
    /// Further lines of postgresql.conf, as name and value.
    pub extra: Vec<(String, String)>,
    /// Where `initdb` and `postgres` are; `None` for [`binaries`].
    pub binaries: Option<PathBuf>,
}

impl Default for PostgresSettings {
    fn default() -> Self {
        Self {
            fsync: true,
            max_connections: 200,
            extra: Vec::new(),
            binaries: None,
        }
    }
}

impl PostgresSettings {
    /// For tests: nothing waits for the disk. A killed *server* loses nothing all the same (the kernel has the
    /// pages), so that tests which kill it stay valid.
    pub fn for_tests() -> Self {
        Self {
            fsync: false,
            max_connections: 300,
            ..Self::default()
        }
    }

    /// For tests that kill the server again and again under load: still nothing waits for the disk, but a page that a
    /// SIGKILL cut in two (the kernel ends a write between two of its own, smaller pages) is whole after the recovery.
    pub fn for_crashes() -> Self {
        let extra = [
            ("full_page_writes", "on"),
            // Recovery is what such a test waits for most.
            ("checkpoint_timeout", "30s"),
        ];
        Self {
            extra: extra
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .to_vec(),
            ..Self::for_tests()
        }
    }
}

/// What is kept of a cluster between runs, in `<dir>/instance.json` (mode 600).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    port: u16,
    admin_password: String,
    /// Passwords of the roles made by [`Postgres::create_role_and_database`].
    #[serde(default)]
    roles: BTreeMap<String, String>,
    process: Option<Identity>,
    /// Whether that process was seen to be ready.
    #[serde(default)]
    ready: bool,
}

/// A private PostgreSQL server under a directory of its own. Dropping it kills the server unless [`Postgres::detach`]
/// was called.
#[derive(Debug)]
pub struct Postgres {
    dir: PathBuf,
    account: Option<RunAs>,
    settings: PostgresSettings,
    record: Mutex<Record>,
    owned: bool,
}

/// The statements of `deploy/postgres/sync-role.sql` for a role, as `psql -v` would make them.
pub fn sync_role_sql(role: &str, owner: &str) -> String {
    const SQL: &str = include_str!("../../../../deploy/postgres/sync-role.sql");
    SQL.replace(":\"role\"", &admin::identifier(role))
        .replace(":\"owner\"", &admin::identifier(owner))
}

impl Postgres {
    /// Starts the cluster under `dir`, which is created where it is missing. Port 0 takes a free one (and keeps it
    /// for the next start). A cluster that already runs there is taken over as it is.
    pub async fn start(
        dir: impl AsRef<Path>,
        port: u16,
        settings: PostgresSettings,
    ) -> Result<Self, StackError> {
        let server = Self::open(dir.as_ref(), port, settings)?;
        server.ensure_running().await?;
        Ok(server)
    }

    /// The cluster under `dir` without starting it; made when it does not exist yet.
    pub fn open(dir: &Path, port: u16, settings: PostgresSettings) -> Result<Self, StackError> {
        let account = RunAs::unprivileged(&["postgres"])?;
        std::fs::create_dir_all(dir).at("create", dir)?;
        let dir = std::fs::canonicalize(dir).at("resolve", dir)?;
        private_dir(&dir, account.as_ref())?;
        let mut record = match secret::read_json::<Record>(&dir.join("instance.json"), "a cluster's record")?
        {
            Some(record) => record,
            None => Record {
                port,
                admin_password: secret::password(),
                roles: BTreeMap::new(),
                process: None,
                ready: false,
            },
        };
        if !record.process.as_ref().is_some_and(Identity::is_alive) {
            record.port = ports::choose(port, record.port)?;
        }
        let server = Self {
            dir,
            account,
            settings,
            record: Mutex::new(record),
            owned: true,
        };
        server.initialise()?;
        server.save()?;
        Ok(server)
    }

    /// Leaves the server running when this value is dropped.
    #[must_use]
    pub fn detach(mut self) -> Self {
        self.owned = false;
        self
    }

    /// TCP port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.record().port
    }

    /// The running server; `None` when it is down.
    pub fn process(&self) -> Option<Identity> {
        self.record().process.clone().filter(Identity::is_alive)
    }

    /// Where the server writes its log.
    pub fn log(&self) -> PathBuf {
        self.dir.join("server.log")
    }

    /// URL of the superuser, database `postgres`.
    pub fn admin_url(&self) -> String {
        let password = self.record().admin_password.clone();
        self.url("postgres", ADMIN, &password)
    }

    /// URL of a role. Names and passwords must need no escaping, as generated ones do not.
    pub fn url(&self, database: &str, role: &str, password: &str) -> String {
        format!(
            "postgres://{role}:{password}@127.0.0.1:{}/{database}",
            self.port()
        )
    }

    /// Starts the server unless it runs.
    pub async fn ensure_running(&self) -> Result<(), StackError> {
        let (process, mark) = match self.process() {
            Some(_) if self.record().ready => return Ok(()),
            // Whoever started it was interrupted before it was ready.
            Some(process) => (process, 0),
            None => self.launch().await?,
        };
        let probe = Probe::Tcp(self.port());
        wait_ready("postgres", &process, &probe, START_TIMEOUT, &self.log(), mark).await?;
        admin::wait_accepting(&self.admin_url(), START_TIMEOUT).await?;
        self.record().ready = true;
        self.save()
    }

    /// Starts the server; returns it and where its log begins.
    async fn launch(&self) -> Result<(Identity, u64), StackError> {
        // PostgreSQL takes the pid in its stale lock file for a running server as long as the process table names it.
        let before = self.record().process.clone();
        if let Some(before) = before {
            process::reaped(&before, REAP_PATIENCE).await;
        }
        let spawn = self.prepare()?;
        ports::require_free("postgres", self.port())?;
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

    /// Kills the postmaster and every backend (`kill -9`), as a power cut of this server would.
    pub async fn kill9(&self) -> Result<(), StackError> {
        match self.process() {
            Some(process) => process::kill9("postgres", &process).await,
            None => Ok(()),
        }
    }

    /// Starts the server again on the same port; a running one is stopped first.
    pub async fn restart(&self) -> Result<(), StackError> {
        self.stop().await?;
        self.ensure_running().await
    }

    /// Fast shutdown: sessions end, what was committed stays.
    pub async fn stop(&self) -> Result<(), StackError> {
        match self.process() {
            Some(process) => process::stop("postgres", &process, Signal::SIGINT, STOP_TIMEOUT).await,
            None => Ok(()),
        }
    }

    /// Makes a role and a database of the same name that belongs to it, and returns the role's URL. The role can
    /// connect to this database and no other. Repeating it changes nothing.
    pub async fn create_role_and_database(&self, name: &str) -> Result<String, StackError> {
        let password = self.create_role(name).await?;
        admin::create_database(&self.admin_url(), name).await?;
        Ok(self.url(name, name, &password))
    }

    /// Makes a role that may log in but owns nothing and can connect to `database` alone; returns its URL there.
    pub async fn create_guest_role(&self, name: &str, database: &str) -> Result<String, StackError> {
        let password = self.create_role(name).await?;
        admin::allow_connect(&self.admin_url(), name, database).await?;
        Ok(self.url(database, name, &password))
    }

    /// Lets a role keep a database in step, whose owner has the database's name.
    pub async fn allow_sync(&self, role: &str, database: &str) -> Result<(), StackError> {
        self.execute(database, &sync_role_sql(role, database)).await
    }

    /// Runs SQL as the superuser in a database.
    pub async fn execute(&self, database: &str, sql: &str) -> Result<(), StackError> {
        let password = self.record().admin_password.clone();
        admin::execute(&self.url(database, ADMIN, &password), sql).await
    }

    async fn create_role(&self, name: &str) -> Result<String, StackError> {
        let password = self
            .record()
            .roles
            .entry(name.to_owned())
            .or_insert_with(secret::password)
            .clone();
        self.save()?;
        admin::create_role(&self.admin_url(), name, &password).await?;
        Ok(password)
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn save(&self) -> Result<(), StackError> {
        let record = self.record().clone();
        secret::write_json(&self.dir.join("instance.json"), &record)
    }

    fn prepare(&self) -> Result<Spawn, StackError> {
        let data = self.write_configuration()?;
        let program = self.binaries()?.join("postgres");
        Ok(Spawn::new("postgres", program, &self.log())
            .args(["-D"])
            .args([data])
            .dir(&self.dir)
            .run_as(self.account.as_ref()))
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(process) = self.owned.then(|| self.process()).flatten() {
            process.signal(Signal::SIGSTOP);
            for one in process.descendants().iter().chain([&process]) {
                one.signal(Signal::SIGKILL);
            }
        }
    }
}
