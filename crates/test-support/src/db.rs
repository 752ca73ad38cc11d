//! A database of its own for each test.

use std::cell::RefCell;
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool};
use tokio::sync::OnceCell;
use url::Url;
use uuid::Uuid;

use crate::{Company, servers};

/// What the names of test databases begin with.
const PREFIX: &str = "banyan_test_";

/// Databases that a killed test left behind are removed when they are older than this, in seconds.
const LEFT_BEHIND_SECONDS: u64 = 3600;

/// Serialises what a template database does not allow at once.
const LOCK: &str = "SELECT pg_advisory_lock(hashtextextended('banyan:test-templates', 0))";

/// A database that exists until the thread of its test ends.
#[derive(Debug)]
pub struct TestDb {
    /// A pool of up to 10 connections.
    pub pool: PgPool,
    /// Its URL, with rights to do everything.
    pub url: String,
    name: String,
    admin_url: String,
}

impl TestDb {
    /// A new database with these migrations applied, or an empty one.
    pub async fn create(migrator: Option<&Migrator>) -> Self {
        Self::holding(migrator.map_or(Content::Nothing, Content::Migrations)).await
    }

    /// A new database of the monolith.
    pub async fn monolith(company: Company) -> Self {
        Self::holding(Content::Company(company)).await
    }

    /// What takes its time to make is copied from a template that the first test makes, so that a hundred tests do not run the
    /// migrations a hundred times.
    async fn holding(content: Content<'_>) -> Self {
        let admin_url = servers().await.postgres_url.clone();
        remove_left_behind(&admin_url).await;
        let name = format!(
            "{PREFIX}{}_{}",
            unix_seconds(),
            &Uuid::new_v4().simple().to_string()[..12]
        );
        let mut admin = connect(&admin_url).await;
        if let Content::Nothing = content {
            execute(&mut admin, format!("CREATE DATABASE {name}")).await;
        } else {
            // Held to the end of the session: a template must not be in use while it is copied.
            execute(&mut admin, LOCK.to_owned()).await;
            let template = ensure_template(&mut admin, &admin_url, content).await;
            execute(&mut admin, format!("CREATE DATABASE {name} TEMPLATE {template}")).await;
        }
        admin.close().await.ok();
        let url = with_database(&admin_url, &name);
        let pool = PgPoolOptions::new()
            .max_connections(10)
            .acquire_timeout(Duration::from_secs(20))
            .connect(&url)
            .await
            .unwrap_or_else(|error| panic!("the new database {name} cannot be used: {error}"));
        Self {
            pool,
            url,
            name,
            admin_url,
        }
    }

    /// The database's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same database through another address, such as a [`crate::TcpProxy`].
    pub fn url_via(&self, address: std::net::SocketAddr) -> String {
        crate::proxy::with_address(&self.url, address)
    }

    /// Ends every session in this database but those that ask, as a restart of the server would; returns how many.
    pub async fn kill_sessions(&self) -> i64 {
        let mut admin = connect(&self.admin_url).await;
        sqlx::query_scalar(
            "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = $1",
        )
        .bind(&self.name)
        .fetch_one(&mut admin)
        .await
        .unwrap_or_else(|error| panic!("the sessions of {} cannot be ended: {error}", self.name))
    }
}

impl Drop for TestDb {
    fn drop(&mut self) {
        let database = Leftover {
            name: std::mem::take(&mut self.name),
            admin_url: std::mem::take(&mut self.admin_url),
        };
        // A database is removed once the test's runtime is gone. A pool of that runtime may be in the middle of opening a
        // connection; PostgreSQL's DROP DATABASE waits for every session that authenticates, and while this thread waited for
        // the DROP, nothing would go on authenticating.
        LEFTOVERS.with_borrow_mut(|leftovers| leftovers.push(database));
    }
}

thread_local! {
    /// Removed at the end of the thread that ran the test, which libtest waits for.
    static LEFTOVERS: RefCell<Vec<Leftover>> = const { RefCell::new(Vec::new()) };
}

/// The database of a test that has ended. Dropping this value drops it.
#[derive(Debug)]
struct Leftover {
    name: String,
    admin_url: String,
}

impl Drop for Leftover {
    fn drop(&mut self) {
        let (admin_url, name) = (self.admin_url.clone(), self.name.clone());
        // On a thread of its own: thread-local values of tokio may be gone already in this one.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(async {
                let mut admin = PgConnection::connect(&admin_url)
                    .await
                    .map_err(std::io::Error::other)?;
                remove(&mut admin, &name).await.map_err(std::io::Error::other)?;
                Ok::<(), std::io::Error>(())
            })
        });
        if let Ok(Err(error)) = dropped.join() {
            eprintln!("the database {} was left behind: {error}", self.name);
        }
    }
}

/// Removes a database with what PostgreSQL keeps of it for the whole server: its replication slots, without which it cannot be
/// dropped, and the replication origins that are named after it.
async fn remove(admin: &mut PgConnection, name: &str) -> Result<(), sqlx::Error> {
    const SLOTS: &str = "SELECT slot_name::text, active_pid FROM pg_replication_slots WHERE database = $1";
    for _ in 0..100 {
        let slots: Vec<(String, Option<i32>)> =
            sqlx::query_as(SLOTS).bind(name).fetch_all(&mut *admin).await?;
        if slots.is_empty() {
            break;
        }
        for (slot, active) in slots {
            let query = match active {
                Some(pid) => sqlx::query("SELECT pg_terminate_backend($1)").bind(pid),
                None => sqlx::query("SELECT pg_drop_replication_slot($1)").bind(slot),
            };
            // It may have become active, or inactive, in between.
            let _ = query.execute(&mut *admin).await;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let drop = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
    sqlx::raw_sql(AssertSqlSafe(drop)).execute(&mut *admin).await?;
    let origins =
        "SELECT pg_replication_origin_drop(roname) FROM pg_replication_origin WHERE strpos(roname, $1) > 0";
    sqlx::query(origins)
        .bind(name.trim_start_matches(PREFIX))
        .execute(admin)
        .await?;
    Ok(())
}

/// What a new database holds.
enum Content<'a> {
    Nothing,
    Migrations(&'a Migrator),
    Company(Company),
}

impl Content<'_> {
    /// Changes with whatever the content is made of.
    fn fingerprint(&self) -> Vec<u8> {
        match self {
            Self::Nothing => Vec::new(),
            Self::Migrations(migrator) => migrator
                .iter()
                .flat_map(|migration| [&migration.version.to_be_bytes(), &*migration.checksum].concat())
                .collect(),
            Self::Company(company) => company.fingerprint(),
        }
    }

    async fn fill(self, url: &str) {
        match self {
            Self::Nothing => {}
            Self::Migrations(migrator) => {
                let mut connection = connect(url).await;
                migrator
                    .run(&mut connection)
                    .await
                    .unwrap_or_else(|error| panic!("the migrations cannot be applied: {error}"));
                connection.close().await.ok();
            }
            Self::Company(company) => company.found(url).await,
        }
    }
}

/// The template of this content, made if it is not there. The caller holds [`LOCK`].
async fn ensure_template(admin: &mut PgConnection, admin_url: &str, content: Content<'_>) -> String {
    let name = format!("banyan_template_{:016x}", fnv(&content.fingerprint()));
    let exists: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
        .bind(&name)
        .fetch_one(&mut *admin)
        .await
        .unwrap_or_else(|error| panic!("cannot look for the template database: {error}"));
    if exists {
        return name;
    }
    // Under another name until it is complete, so that an interrupted run leaves no half-made template.
    let unfinished = format!("{name}_unfinished");
    execute(
        admin,
        format!("DROP DATABASE IF EXISTS {unfinished} WITH (FORCE)"),
    )
    .await;
    execute(admin, format!("CREATE DATABASE {unfinished}")).await;
    content.fill(&with_database(admin_url, &unfinished)).await;
    execute(admin, format!("ALTER DATABASE {unfinished} RENAME TO {name}")).await;
    name
}

/// FNV-1a.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Removes, once per process, the databases of tests that were killed.
async fn remove_left_behind(admin_url: &str) {
    static DONE: OnceCell<()> = OnceCell::const_new();
    DONE.get_or_init(|| async {
        let mut admin = connect(admin_url).await;
        let names: Vec<String> = sqlx::query_scalar("SELECT datname FROM pg_database WHERE datname LIKE $1")
            .bind(format!("{PREFIX}%"))
            .fetch_all(&mut admin)
            .await
            .unwrap_or_default();
        let old = unix_seconds().saturating_sub(LEFT_BEHIND_SECONDS);
        for name in names {
            let made = name[PREFIX.len()..]
                .split('_')
                .next()
                .and_then(|seconds| seconds.parse::<u64>().ok());
            if made.is_some_and(|made| made < old) {
                // Another test process may be quicker.
                let _ = remove(&mut admin, &name).await;
            }
        }
    })
    .await;
}

pub(crate) async fn connect(url: &str) -> PgConnection {
    PgConnection::connect(url)
        .await
        .unwrap_or_else(|error| panic!("the PostgreSQL for tests does not answer: {error}"))
}

/// Runs a statement made of names from this file only.
pub(crate) async fn execute(connection: &mut PgConnection, sql: String) {
    if let Err(error) = sqlx::raw_sql(AssertSqlSafe(sql.clone()))
        .execute(connection)
        .await
    {
        panic!("`{sql}` failed: {error}");
    }
}

pub(crate) fn with_database(url: &str, name: &str) -> String {
    let mut url = Url::parse(url).expect("the URL of the PostgreSQL for tests is a URL");
    url.set_path(name);
    url.into()
}

fn unix_seconds() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::{TestDb, connect};

    #[test]
    fn two_databases_are_apart_and_gone_at_the_end_of_their_thread() {
        let thread = std::thread::spawn(|| runtime().block_on(two_databases()));
        let (name, admin_url) = thread.join().unwrap();
        let left: i64 = runtime().block_on(async {
            sqlx::query_scalar("SELECT count(*) FROM pg_database WHERE datname = $1")
                .bind(&name)
                .fetch_one(&mut connect(&admin_url).await)
                .await
                .unwrap()
        });
        assert_eq!(left, 0, "{name} is still there");
    }

    /// Makes two, looks whether they are apart, drops them, and returns one's name and the administrator's URL.
    async fn two_databases() -> (String, String) {
        let (one, two) = tokio::join!(TestDb::create(None), TestDb::create(None));
        sqlx::raw_sql("CREATE TABLE only_here ()")
            .execute(&one.pool)
            .await
            .unwrap();
        assert!(
            sqlx::raw_sql("SELECT FROM only_here")
                .execute(&two.pool)
                .await
                .is_err()
        );
        (one.name.clone(), one.admin_url.clone())
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    }
}
