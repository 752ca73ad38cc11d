//! Two servers with a table of payments.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use banyan_local_stack::postgres::{Postgres, PostgresSettings};
use banyan_table_sync::{Database, Direction, Link, Mapping, changes, snapshot};
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, PgPool};

use crate::machines::{self, MEMORY, Machine};
use crate::running::Running;

const MAPPING: &str = include_str!("mapping.toml");
const PAYMENTS: &str = include_str!("payments.sql");
/// Of the service: currencies, customers, payments.
const MIGRATIONS: [&str; 2] = [
    include_str!("../../../../migrations/payments/0003_currencies_customers_methods.sql"),
    include_str!("../../../../migrations/payments/0004_payments.sql"),
];

/// How long anything may take.
pub(crate) const PATIENCE: Duration = Duration::from_mins(10);

pub(crate) struct Stage {
    pub(crate) legacy: Server,
    pub(crate) service: Server,
    /// Payments on the legacy side at the beginning.
    pub(crate) rows: u64,
    pub(crate) link: Link,
    /// Of the legacy server and its load.
    pub(crate) dir: tempfile::TempDir,
    _service_dir: tempfile::TempDir,
    pub(crate) machines: Machines,
}

/// Where the servers are.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub(crate) enum Machines {
    /// They share cores and disk with each other and with the sync.
    One,
    /// See [`crate::machines`].
    Two,
}

/// A server, and its database of the bench.
pub(crate) struct Server {
    pub(crate) pool: PgPool,
    pub(crate) url: String,
    _postgres: Postgres,
}

/// As the local stack's, with the memory that a server of its own has: the payments with their indexes are 600 MB on either side.
fn settings() -> PostgresSettings {
    PostgresSettings {
        extra: vec![("shared_buffers".to_owned(), "1GB".to_owned())],
        ..PostgresSettings::default()
    }
}

impl Server {
    async fn start(dir: &std::path::Path, schema: &[&str]) -> anyhow::Result<Self> {
        let postgres = Postgres::start(dir, 0, settings()).await?;
        postgres.execute("postgres", "CREATE DATABASE bench").await?;
        let url = postgres
            .admin_url()
            .strip_suffix("/postgres")
            .context("an unknown form of URL")?
            .to_owned()
            + "/bench";
        let pool = PgPoolOptions::new().max_connections(4).connect(&url).await?;
        let server = Self {
            pool,
            url,
            _postgres: postgres,
        };
        for sql in schema {
            server.execute(*sql).await?;
        }
        Ok(server)
    }

    pub(crate) async fn execute(&self, sql: impl Into<String>) -> anyhow::Result<()> {
        let sql = sql.into();
        sqlx::raw_sql(AssertSqlSafe(sql.clone()))
            .execute(&self.pool)
            .await
            .with_context(|| sql)?;
        Ok(())
    }

    pub(crate) async fn number(&self, sql: &str) -> anyhow::Result<i64> {
        sqlx::query_scalar(AssertSqlSafe(sql.to_owned()))
            .fetch_one(&self.pool)
            .await
            .with_context(|| sql.to_owned())
    }
}

impl Stage {
    pub(crate) async fn start(rows: u64, machines: Machines) -> anyhow::Result<Self> {
        eprintln!("starting two PostgreSQL, with {rows} payments in the first …");
        let dir = directory(&std::env::temp_dir())?;
        let service_dir = if machines == Machines::Two {
            Machine::Legacy.enter()?;
            directory(Path::new(MEMORY))?
        } else {
            directory(&std::env::temp_dir())?
        };
        let legacy = Server::start(&dir.path().join("server"), &[include_str!("legacy.sql")]).await?;
        if machines == Machines::Two {
            Machine::New.enter()?;
        }
        let service = Server::start(&service_dir.path().join("server"), &MIGRATIONS).await?;
        let mapping = Mapping::parse(MAPPING)?;
        let link = link("payments", mapping, &legacy, &service);
        let stage = Self {
            legacy,
            service,
            rows,
            link,
            dir,
            _service_dir: service_dir,
            machines,
        };
        stage.add_payments(1, rows).await?;
        stage.rest().await?;
        Ok(stage)
    }

    /// Payments with these numbers, which are their ids as well where nobody else inserted any.
    pub(crate) async fn add_payments(&self, first: u64, last: u64) -> anyhow::Result<()> {
        let mut from = first;
        while from <= last {
            let to = last.min(from + 999_999);
            let numbers = format!("generate_series({from}, {to})");
            self.legacy.execute(payments(&numbers)).await?;
            from = to + 1;
        }
        Ok(())
    }

    /// What writing left to do is not the next one's.
    pub(crate) async fn rest(&self) -> anyhow::Result<()> {
        for server in [&self.legacy, &self.service] {
            server.execute("VACUUM ANALYZE").await?;
            server.execute("CHECKPOINT").await?;
        }
        Ok(())
    }

    /// No payments on the new side, and no sync that knows of any.
    pub(crate) async fn empty(&self) -> anyhow::Result<()> {
        changes::remove(&self.link, Direction::Forward).await?;
        self.service
            .execute("TRUNCATE payment CASCADE; DELETE FROM currency")
            .await?;
        self.rest().await
    }

    /// Both sides equal, and a sync that keeps them so.
    pub(crate) async fn in_step(&self) -> anyhow::Result<Running> {
        let running = Running::start(&self.link, snapshot::Limits::unthrottled());
        self.settled(&self.link).await?;
        self.rest().await?;
        Ok(running)
    }

    /// Waits until the copy is done and all is carried that is committed now.
    pub(crate) async fn settled(&self, link: &Link) -> anyhow::Result<()> {
        let begun = "SELECT count(*) FROM pg_class WHERE oid = to_regclass('table_sync.conflict_open')";
        while self.service.number(begun).await? == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let stream = link.stream(Direction::Forward);
        let begun = format!("SELECT count(*) FROM table_sync.stream WHERE name = '{stream}'");
        while self.service.number(&begun).await? == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        changes::settle(link, Direction::Forward, PATIENCE).await?;
        Ok(())
    }

    /// The copy of the payments alone, to a table `payment_copy`: a sync beside the other.
    pub(crate) async fn second_link(&self) -> anyhow::Result<Link> {
        self.service
            .execute("CREATE TABLE payment_copy (LIKE payment INCLUDING ALL)")
            .await?;
        let mut mapping = Mapping::parse(MAPPING)?;
        mapping.tables.retain(|table| table.target == "payment");
        for table in &mut mapping.tables {
            "payment_copy".clone_into(&mut table.target);
        }
        Ok(link("copy", mapping, &self.legacy, &self.service))
    }

    /// What figures depend on.
    pub(crate) async fn environment(&self) -> anyhow::Result<Vec<(&'static str, String)>> {
        let setting = async |name: &str| -> anyhow::Result<String> {
            let sql = format!("SHOW {name}");
            Ok(sqlx::query_scalar(AssertSqlSafe(sql))
                .fetch_one(&self.legacy.pool)
                .await?)
        };
        let first_line = |path: &str, begins: &str| {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix(begins));
            line.unwrap_or_default().trim_matches([' ', '\t', ':']).to_owned()
        };
        let load = first_line("/proc/loadavg", "");
        Ok(vec![
            ("postgres", setting("server_version").await?),
            ("fsync", setting("fsync").await?),
            ("sharedBuffers", setting("shared_buffers").await?),
            ("cpu", first_line("/proc/cpuinfo", "model name")),
            ("cores", machines::cores()?.to_string()),
            (
                "loadAverage",
                load.split(' ').next().unwrap_or_default().to_owned(),
            ),
            ("payments", self.rows.to_string()),
            ("machines", format!("{:?}", self.machines).to_lowercase()),
        ])
    }
}

/// The servers run as other accounts where this runs as root.
fn directory(parent: &Path) -> anyhow::Result<tempfile::TempDir> {
    let dir = tempfile::tempdir_in(parent).context("no temporary directory")?;
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o711))?;
    Ok(dir)
}

/// Inserts a payment for each of these numbers.
pub(crate) fn payments(numbers: &str) -> String {
    PAYMENTS.replace("{numbers}", numbers)
}

fn link(name: &str, mapping: Mapping, legacy: &Server, service: &Server) -> Link {
    Link {
        name: name.to_owned(),
        mapping: Arc::new(mapping),
        source: Database {
            name: "legacy".into(),
            url: legacy.url.clone().into(),
        },
        target: Database {
            name: "payments".into(),
            url: service.url.clone().into(),
        },
    }
}
