//! The connection pool and the migrations runner.

use std::{str::FromStr, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use sqlx::{
    Connection, PgConnection, PgPool,
    migrate::{MigrateError, Migrator},
    postgres::{PgConnectOptions, PgPoolOptions},
};

/// A connection that was idle for longer is asked whether it still lives before it is handed out.
///
/// Asking each time costs a round trip per query; never asking hands out dead connections after a restart of the server.
const TEST_AFTER_IDLE: Duration = Duration::from_secs(1);

/// How often a process asks whether another has finished migrating.
const TURN: Duration = Duration::from_millis(50);

/// Section `[database]` of a service's configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DbConfig {
    /// `postgres://user:password@host:port/database`.
    pub url: SecretString,
    /// Upper bound of the pool.
    #[serde(default = "default_max_connections")]
    pub max_connections: u32,
    /// How long to wait for a free connection, milliseconds.
    #[serde(default = "default_acquire_timeout_ms")]
    pub acquire_timeout_ms: u64,
}

const fn default_max_connections() -> u32 {
    16
}

const fn default_acquire_timeout_ms() -> u64 {
    5_000
}

impl DbConfig {
    /// The defaults around a URL.
    pub fn new(url: impl Into<SecretString>) -> Self {
        Self {
            url: url.into(),
            max_connections: default_max_connections(),
            acquire_timeout_ms: default_acquire_timeout_ms(),
        }
    }
}

/// Why the database cannot be used. Names the server and the database, never the password.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// The URL cannot be read. The parser's own message is left out, because it may repeat the URL.
    #[error("the database URL cannot be read: it must look like postgres://user:password@host:port/database")]
    Url,
    /// `max_connections` is 0.
    #[error("max_connections of the database must be at least 1")]
    NoConnections,
    /// It does not answer.
    #[error("database {target} does not answer: {source}; is it running, and does the role exist?")]
    Unreachable {
        /// `database at host:port`.
        target: String,
        /// What the driver says.
        source: sqlx::Error,
    },
    /// The migrations cannot be applied.
    #[error("cannot migrate database {target}: {source}")]
    Migrate {
        /// `database at host:port`.
        target: String,
        /// What the runner says: which migration, and why.
        source: MigrateError,
    },
}

/// Makes a pool without connecting: a database that is away is found by the first use, or by [`ready`].
///
/// # Errors
/// [`DbError::Url`] or [`DbError::NoConnections`]; never because the database is away.
// Async although nothing is awaited: a pool must be made inside a runtime, and callers need not know more.
#[allow(clippy::unused_async)]
pub async fn connect(config: &DbConfig, application_name: &str) -> Result<PgPool, DbError> {
    if config.max_connections == 0 {
        return Err(DbError::NoConnections);
    }
    let options = PgConnectOptions::from_str(config.url.expose_secret())
        .map_err(|_| DbError::Url)?
        .application_name(application_name);
    Ok(PgPoolOptions::new()
        .max_connections(config.max_connections)
        .acquire_timeout(Duration::from_millis(config.acquire_timeout_ms))
        .test_before_acquire(false)
        .before_acquire(|connection, metadata| {
            Box::pin(async move {
                if metadata.idle_for > TEST_AFTER_IDLE {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .connect_lazy_with(options))
}

/// Applies what is missing of the service's migrations. Safe to run from several processes at once.
///
/// # Errors
/// [`DbError::Migrate`] names the database and the migration.
pub async fn migrate(pool: &PgPool, migrator: &Migrator) -> Result<(), DbError> {
    let done = async {
        let mut connection = pool.acquire().await?.detach();
        // The runner locks as well, but waits for the lock inside a statement, for the end of which an index that is built concurrently
        // waits in turn. So one process at a time comes as far as that.
        while !take_turn(&mut connection).await? {
            tokio::time::sleep(TURN).await;
        }
        migrator.run(&mut connection).await?;
        connection.close().await?;
        Ok(())
    };
    done.await.map_err(|source| DbError::Migrate {
        target: target(pool),
        source,
    })
}

/// Whether it is this session's turn to migrate, which it then is to its end.
async fn take_turn(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT pg_try_advisory_lock(hashtextextended('banyan:migrate', 0))")
        .fetch_one(connection)
        .await
}

/// Whether the database answers, for `/readyz`.
///
/// # Errors
/// [`DbError::Unreachable`] names the database.
pub async fn ready(pool: &PgPool) -> Result<(), DbError> {
    sqlx::query("SELECT 1")
        .execute(pool)
        .await
        .map(|_| ())
        .map_err(|source| DbError::Unreachable {
            target: target(pool),
            source,
        })
}

/// `"database" at host:port`.
fn target(pool: &PgPool) -> String {
    let options = pool.connect_options();
    let database = options.get_database().unwrap_or(options.get_username());
    match options.get_socket() {
        Some(socket) => format!("{database:?} at {}", socket.display()),
        None => format!("{database:?} at {}:{}", options.get_host(), options.get_port()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_bad_url_is_refused_without_repeating_it() {
        let error = connect(&DbConfig::new("not a url with s3cret"), "test")
            .await
            .unwrap_err();
        assert!(matches!(error, DbError::Url));
        assert!(!error.to_string().contains("s3cret"));
    }

    #[tokio::test]
    async fn an_absent_database_is_named_and_the_password_is_not() {
        let mut config = DbConfig::new("postgres://payments:s3cret@127.0.0.1:1/payments");
        config.acquire_timeout_ms = 100;
        let pool = connect(&config, "test").await.unwrap();
        let message = ready(&pool).await.unwrap_err().to_string();
        assert!(message.contains("\"payments\" at 127.0.0.1:1"), "{message}");
        assert!(!message.contains("s3cret"), "{message}");
    }

    #[test]
    fn the_url_is_not_printed() {
        let config = DbConfig::new("postgres://payments:s3cret@127.0.0.1/payments");
        assert!(!format!("{config:?}").contains("s3cret"));
    }
}
