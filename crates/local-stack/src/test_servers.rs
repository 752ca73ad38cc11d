//! The PostgreSQL and RabbitMQ that all tests of this workspace share.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};

use crate::error::{IoContext as _, StackError};
use crate::postgres::{Postgres, PostgresSettings};
use crate::rabbitmq::RabbitMq;

/// Where tests find their servers. Each test makes a database and a vhost of its own there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestServers {
    /// URL of the PostgreSQL superuser, database `postgres`.
    pub postgres_url: String,
    /// AMQP URL of the RabbitMQ administrator, vhost `/`.
    pub amqp_url: String,
    /// URL of the RabbitMQ management API with the administrator's credentials.
    pub management_url: String,
}

impl TestServers {
    /// The shared servers, started if they do not run. Test processes that come at the same time wait for the one
    /// that starts them. They stay up for later runs until [`TestServers::stop`].
    ///
    /// `BANYAN_TEST_POSTGRES_URL`, `BANYAN_TEST_AMQP_URL` and `BANYAN_TEST_MANAGEMENT_URL`, set together, name other
    /// servers to use instead.
    pub async fn ensure() -> Result<Self, StackError> {
        if let Some(given) = Self::from_env() {
            return Ok(given);
        }
        Self::ensure_in(&Self::dir()).await
    }

    /// The same in a given directory.
    pub async fn ensure_in(dir: &Path) -> Result<Self, StackError> {
        fs::create_dir_all(dir).at("create", dir)?;
        fs::set_permissions(dir, fs::Permissions::from_mode(0o711)).at("open", dir)?;
        let lock = lock(dir).await?;
        let (postgres, rabbitmq) = tokio::try_join!(
            Postgres::start(dir.join("postgres"), 0, PostgresSettings::for_tests()),
            RabbitMq::start(dir.join("rabbitmq"), 0, 0),
        )?;
        let (postgres, rabbitmq) = (postgres.detach(), rabbitmq.detach());
        drop(lock);
        Ok(Self {
            postgres_url: postgres.admin_url(),
            amqp_url: rabbitmq.amqp_url("/"),
            management_url: rabbitmq.management_url(),
        })
    }

    /// Stops the shared servers and removes their data.
    pub async fn stop() -> Result<(), StackError> {
        Self::stop_in(&Self::dir()).await
    }

    /// The same in a given directory.
    pub async fn stop_in(dir: &Path) -> Result<(), StackError> {
        if !dir.is_dir() {
            return Ok(());
        }
        let lock = lock(dir).await?;
        // Opening would make what is not there, so only what exists is opened.
        if dir.join("postgres/instance.json").exists() {
            Postgres::open(&dir.join("postgres"), 0, PostgresSettings::for_tests())?
                .stop()
                .await?;
        }
        if dir.join("rabbitmq/instance.json").exists() {
            RabbitMq::open(&dir.join("rabbitmq"), 0, 0)?.stop().await?;
        }
        for part in ["postgres", "rabbitmq"].map(|part| dir.join(part)) {
            if part.exists() {
                fs::remove_dir_all(&part).at("remove", &part)?;
            }
        }
        drop(lock);
        Ok(())
    }

    /// `target/test-servers` of this workspace.
    pub fn dir() -> PathBuf {
        target_dir().join("test-servers")
    }

    fn from_env() -> Option<Self> {
        let get = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Some(Self {
            postgres_url: get("BANYAN_TEST_POSTGRES_URL")?,
            amqp_url: get("BANYAN_TEST_AMQP_URL")?,
            management_url: get("BANYAN_TEST_MANAGEMENT_URL")?,
        })
    }
}

/// cargo's target directory of this workspace.
pub(crate) fn target_dir() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .unwrap_or(Path::new("."));
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace.join("target"), |dir| workspace.join(dir))
}

/// Waits for the lock of the directory; it frees itself when its holder ends, however it ends.
async fn lock(dir: &Path) -> Result<Flock<fs::File>, StackError> {
    let path = dir.join("lock");
    let task = tokio::task::spawn_blocking(move || {
        let file = fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .at("open", &path)?;
        Flock::lock(file, FlockArg::LockExclusive)
            .map_err(|(_, error)| std::io::Error::from(error))
            .at("lock", &path)
    });
    task.await.map_err(|error| StackError::Other(error.to_string()))?
}
