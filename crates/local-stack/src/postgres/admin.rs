//! Roles and databases, by SQL as the superuser.

use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::error::StackError;

async fn connect(url: &str) -> Result<PgConnection, sqlx::Error> {
    PgConnection::connect(url).await
}

fn server_error(error: &sqlx::Error) -> StackError {
    StackError::Server {
        server: "postgres".to_owned(),
        message: error.to_string(),
    }
}

/// A name in double quotes, for statements that take no parameters.
pub(super) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn literal(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

/// Waits until the server is past recovery and takes sessions (the port opens before).
pub(super) async fn wait_accepting(admin_url: &str, timeout: Duration) -> Result<(), StackError> {
    let begin = Instant::now();
    loop {
        match connect(admin_url).await {
            Ok(connection) => return connection.close().await.map_err(|error| server_error(&error)),
            Err(error) if begin.elapsed() > timeout => return Err(server_error(&error)),
            // 57P03: the database system is starting up.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Runs statements that carry no input but our own names and passwords.
pub(super) async fn execute(url: &str, sql: &str) -> Result<(), StackError> {
    let run = async {
        let mut connection = connect(url).await?;
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await?;
        connection.close().await
    };
    run.await.map_err(|error| server_error(&error))
}

/// Makes a role that can log in, or gives the existing one this password.
pub(super) async fn create_role(admin_url: &str, name: &str, password: &str) -> Result<(), StackError> {
    let verb = if exists(admin_url, "SELECT 1 FROM pg_roles WHERE rolname = $1", name).await? {
        "ALTER"
    } else {
        "CREATE"
    };
    let sql = format!(
        "{verb} ROLE {} LOGIN PASSWORD {}",
        identifier(name),
        literal(password)
    );
    execute(admin_url, &sql).await
}

/// Makes a database owned by the role of the same name, closed to every other role.
pub(super) async fn create_database(admin_url: &str, name: &str) -> Result<(), StackError> {
    let quoted = identifier(name);
    if !exists(admin_url, "SELECT 1 FROM pg_database WHERE datname = $1", name).await? {
        execute(admin_url, &format!("CREATE DATABASE {quoted} OWNER {quoted}")).await?;
    }
    // Every role may connect to every database until this is taken away, template and maintenance ones included.
    execute(
        admin_url,
        &format!("REVOKE CONNECT, TEMPORARY ON DATABASE {quoted}, postgres, template1 FROM PUBLIC"),
    )
    .await
}

/// Lets a role connect to a database.
pub(super) async fn allow_connect(admin_url: &str, role: &str, database: &str) -> Result<(), StackError> {
    execute(
        admin_url,
        &format!(
            "GRANT CONNECT ON DATABASE {} TO {}",
            identifier(database),
            identifier(role)
        ),
    )
    .await
}

async fn exists(admin_url: &str, query: &'static str, name: &str) -> Result<bool, StackError> {
    let run = async {
        let mut connection = connect(admin_url).await?;
        let row = sqlx::query(query)
            .bind(name)
            .fetch_optional(&mut connection)
            .await?;
        connection.close().await?;
        Ok(row.is_some())
    };
    run.await.map_err(|error: sqlx::Error| server_error(&error))
}
