//! The two databases, and sessions in them.

use std::borrow::Cow;
use std::str::FromStr as _;
use std::sync::Arc;

use pgwire_replication::{Lsn, ReplicationConfig, SslMode, TlsConfig};
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection};
use url::Url;

use crate::error::{Doing as _, Error};
use crate::mapping::{Direction, Mapping};
use crate::sql;

/// One of the two.
#[derive(Clone, Debug)]
pub struct Database {
    /// `legacy`, `payments`: how messages call it.
    pub name: Cow<'static, str>,
    /// Of a role that may replicate, write the tables, and set `session_replication_role`. Its `sslmode` is libpq's; without the feature
    /// `tls` the replication connection of `prefer` is in clear text, and stricter modes are refused.
    pub url: SecretString,
}

/// A domain, and its two databases.
#[derive(Clone, Debug)]
pub struct Link {
    /// Names its slots, publications and origins, which are a server's and not a database's: lower-case letters, digits and underscores.
    pub name: String,
    /// What is carried, and how.
    pub mapping: Arc<Mapping>,
    /// The legacy side.
    pub source: Database,
    /// The new side.
    pub target: Database,
}

/// So that one value has one text, on any server; and so that no statement, all of them short, is compiled first.
const SETTINGS: [&str; 7] = [
    "SET TimeZone = 'UTC'",
    "SET DateStyle = 'ISO, YMD'",
    "SET IntervalStyle = 'postgres'",
    "SET extra_float_digits = 1",
    "SET bytea_output = 'hex'",
    "SET client_min_messages = 'warning'",
    "SET jit = off",
];

impl Database {
    /// A session in which one value has one text, whatever the server's settings.
    pub(crate) async fn connect(&self, application: &str) -> Result<PgConnection, Error> {
        let options = PgConnectOptions::from_str(self.url.expose_secret())
            .map_err(|error| Error::Url(self.name.clone(), error.to_string()))?
            .application_name(application)
            .disable_statement_logging();
        let doing = || format!("connecting to the {} database", self.name);
        let mut connection = PgConnection::connect_with(&options).await.doing(doing)?;
        execute_all(&mut connection, SETTINGS.map(str::to_owned))
            .await
            .doing(doing)?;
        Ok(connection)
    }
}

impl Link {
    /// The database that this direction reads.
    pub fn from(&self, direction: Direction) -> &Database {
        match direction {
            Direction::Forward => &self.source,
            Direction::Back => &self.target,
        }
    }

    /// The database that this direction writes.
    pub fn to(&self, direction: Direction) -> &Database {
        self.from(direction.opposite())
    }

    /// Of the stream, its slot and its publication.
    pub fn stream(&self, direction: Direction) -> String {
        format!("table_sync_{}_{}", self.name, direction.name())
    }

    /// What all that this link writes is marked with, so that it is not carried back.
    pub(crate) fn origin_prefix(&self) -> String {
        format!("table_sync_{}_", self.name)
    }

    /// Makes a session write as the sync does: marked as not to be carried back, with triggers and foreign keys asleep.
    ///
    /// `worker` makes the origin's name: PostgreSQL lets one session at a time use it.
    pub(crate) async fn write_as_sync(
        &self,
        connection: &mut PgConnection,
        direction: Direction,
        worker: &str,
    ) -> Result<(), Error> {
        let origin = self.origin(direction, worker);
        let quoted = sql::literal(&origin);
        let statements = [
            "SET session_replication_role = 'replica'".to_owned(),
            format!(
                "SELECT pg_replication_origin_create({quoted}) WHERE pg_replication_origin_oid({quoted}) IS NULL"
            ),
            format!("SELECT pg_replication_origin_session_setup({quoted})"),
        ];
        execute_all(connection, statements)
            .await
            .doing(|| format!("writing as {origin} in the {} database", self.to(direction).name))
    }

    /// Removes the origin of a worker that is done.
    pub(crate) async fn forget_origin(
        &self,
        connection: &mut PgConnection,
        direction: Direction,
        worker: &str,
    ) -> Result<(), Error> {
        let origin = self.origin(direction, worker);
        let statements = [
            "SELECT pg_replication_origin_session_reset()".to_owned(),
            format!("SELECT pg_replication_origin_drop({})", sql::literal(&origin)),
        ];
        execute_all(connection, statements)
            .await
            .doing(|| format!("removing origin {origin}"))
    }

    /// Whether this link wrote what is marked with this origin, and not one whose name begins like its own.
    pub(crate) fn is_origin(&self, name: &str) -> bool {
        let rest = name.strip_prefix(&self.origin_prefix());
        rest.and_then(|rest| rest.split_once('_'))
            .is_some_and(|(direction, _)| {
                [Direction::Forward, Direction::Back]
                    .map(Direction::name)
                    .contains(&direction)
            })
    }

    fn origin(&self, direction: Direction, worker: &str) -> String {
        format!("{}{}_{worker}", self.origin_prefix(), direction.name())
    }

    /// How to follow the changes of a direction from a position on.
    pub(crate) fn replication(
        &self,
        direction: Direction,
        position: Lsn,
    ) -> Result<ReplicationConfig, Error> {
        let database = self.from(direction);
        let bad = |problem: &str| Error::Url(database.name.clone(), problem.to_owned());
        let url = Url::parse(database.url.expose_secret()).map_err(|error| bad(&error.to_string()))?;
        let decoded = |text: &str| {
            let text = percent_encoding::percent_decode_str(text).decode_utf8();
            text.map(String::from)
                .map_err(|_| bad("it has an escape that is not UTF-8"))
        };
        // Without the brackets that a URL has around an IPv6 address.
        let host = url.host_str().unwrap_or("127.0.0.1");
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let stream = self.stream(direction);
        let mut config = ReplicationConfig::new(
            decoded(host)?,
            decoded(url.username())?,
            decoded(url.password().unwrap_or_default())?,
            decoded(url.path().trim_start_matches('/'))?,
            stream.clone(),
            stream.clone(),
        );
        config.port = url.port().unwrap_or(5432);
        config.start_lsn = position;
        config.application_name = Some(stream);
        config.tls = tls(&url).map_err(|problem| bad(&problem))?;
        Ok(config)
    }
}

/// One after the other, each by itself.
async fn execute_all<const N: usize>(
    connection: &mut PgConnection,
    statements: [String; N],
) -> Result<(), sqlx::Error> {
    for statement in statements {
        sqlx::query(AssertSqlSafe(statement))
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// `sslmode` and `sslrootcert`, as libpq has them.
fn tls(url: &Url) -> Result<TlsConfig, String> {
    let parameter = |name: &str| {
        let found = url.query_pairs().find(|(key, _)| key == name);
        found.map(|(_, value)| value.into_owned())
    };
    let mode = match parameter("sslmode").as_deref() {
        None | Some("prefer" | "allow") => SslMode::Prefer,
        Some("disable") => SslMode::Disable,
        Some("require") => SslMode::Require,
        Some("verify-ca") => SslMode::VerifyCa,
        Some("verify-full") => SslMode::VerifyFull,
        Some(other) => return Err(format!("sslmode {other} is not known")),
    };
    if cfg!(not(feature = "tls")) && !matches!(mode, SslMode::Disable | SslMode::Prefer) {
        return Err(
            "sslmode asks for TLS, and this program was built without it for replication (feature `tls`)"
                .to_owned(),
        );
    }
    let mode = if cfg!(feature = "tls") {
        mode
    } else {
        SslMode::Disable
    };
    Ok(TlsConfig {
        mode,
        ca_pem_path: parameter("sslrootcert").map(Into::into),
        ..TlsConfig::default()
    })
}
