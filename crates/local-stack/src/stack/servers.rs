//! PostgreSQL and RabbitMQ of the stack, with the roles, databases, vhosts and users of the contracts.

use serde::Deserialize;

use super::Layout;
use super::record::{ProcessRecord, StackRecord};
use crate::error::StackError;
use crate::postgres::{Postgres, PostgresSettings};
use crate::progress::Progress;
use crate::rabbitmq::RabbitMq;

/// The extracted services; each has a role, a database and a broker user of its name.
pub const SERVICES: [&str; 5] = ["payments", "users", "notifications", "reporting", "cutover"];
/// The vhost of the domain events.
pub const VHOST: &str = "banyan";
/// The vhost of the monolith's own task queue.
pub const CELERY_VHOST: &str = "celery";
/// The role with which the relay drains the monolith's outbox.
pub const RELAY_ROLE: &str = "legacy_relay";
/// The databases that are kept in step; each has a role for it, `<name>_sync`.
pub const SYNCED: [&str; 3] = ["legacy", "payments", "notifications"];

/// The two servers, running.
#[derive(Debug)]
pub struct Servers {
    /// PostgreSQL.
    pub postgres: Postgres,
    /// RabbitMQ.
    pub rabbitmq: RabbitMq,
}

/// Where each owner finds its database and the broker.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// Database URLs by role.
    pub databases: std::collections::BTreeMap<String, String>,
    /// AMQP URLs by user.
    pub brokers: std::collections::BTreeMap<String, String>,
}

impl Access {
    /// As an earlier start found it.
    ///
    /// # Errors
    /// The servers were never started here.
    pub fn remembered(record: &StackRecord) -> Result<Self, StackError> {
        let known = |prefix: &str| {
            let named = record.credentials.iter();
            named
                .filter_map(|(name, url)| Some((name.strip_prefix(prefix)?.to_owned(), url.clone())))
                .collect()
        };
        let access = Self {
            databases: known("database."),
            brokers: known("broker."),
        };
        if access.databases.is_empty() {
            return Err(StackError::Other(
                "the stack was not started yet; `cargo xtask up` does".to_owned(),
            ));
        }
        Ok(access)
    }

    /// The URL of a role's database.
    pub fn database(&self, role: &str) -> String {
        self.databases.get(role).cloned().unwrap_or_default()
    }

    /// The AMQP URL of a user.
    pub fn broker(&self, user: &str) -> String {
        self.brokers.get(user).cloned().unwrap_or_default()
    }
}

/// Starts both servers, or takes them over as they run.
pub(super) async fn start(layout: &Layout, progress: &Progress) -> Result<Servers, StackError> {
    let postgres = async {
        let step = progress.step("postgres", "starting");
        let server = open_postgres(layout)?;
        let outcome = if server.process().is_some() {
            "runs already"
        } else {
            "ready"
        };
        server.ensure_running().await?;
        step.done(outcome);
        Ok::<_, StackError>(server)
    };
    let rabbitmq = async {
        let step = progress.step("rabbitmq", "starting");
        let node = open_rabbitmq(layout)?;
        let outcome = if node.process().is_some() {
            "runs already"
        } else {
            "ready"
        };
        node.ensure_running().await?;
        step.done(outcome);
        Ok(node)
    };
    let (postgres, rabbitmq) = tokio::try_join!(postgres, rabbitmq)?;
    Ok(Servers { postgres, rabbitmq })
}

/// The stack's cluster, running or not.
pub(super) fn open_postgres(layout: &Layout) -> Result<Postgres, StackError> {
    let server = Postgres::open(
        &layout.file("postgres"),
        layout.port("postgres"),
        PostgresSettings::default(),
    )?;
    Ok(server.detach())
}

/// The stack's node, running or not.
pub(super) fn open_rabbitmq(layout: &Layout) -> Result<RabbitMq, StackError> {
    let ports = (layout.port("rabbitmq"), layout.port("rabbitmq-management"));
    Ok(RabbitMq::open(&layout.file("rabbitmq"), ports.0, ports.1)?.detach())
}

impl Servers {
    /// Their entries in the record of the stack.
    pub fn records(&self) -> Vec<ProcessRecord> {
        let entry = |name: &str, identity, port, url, log| {
            Some(ProcessRecord {
                name: name.to_owned(),
                identity: identity?,
                port,
                url,
                log,
                fingerprint: String::new(),
            })
        };
        let management = format!("http://127.0.0.1:{}", self.rabbitmq.management_port());
        let (postgres, rabbitmq) = (&self.postgres, &self.rabbitmq);
        let epmd_log = rabbitmq.log().with_file_name("epmd.log");
        [
            entry(
                "postgres",
                postgres.process(),
                Some(postgres.port()),
                None,
                postgres.log(),
            ),
            entry("epmd", rabbitmq.epmd(), None, None, epmd_log),
            entry(
                "rabbitmq",
                rabbitmq.process(),
                Some(rabbitmq.port()),
                Some(management),
                rabbitmq.log(),
            ),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// Makes every role, database, vhost and user; repeating it changes nothing.
    pub async fn grant(&self, record: &mut StackRecord) -> Result<Access, StackError> {
        let mut access = Access::default();
        for owner in SERVICES.into_iter().chain(["legacy"]) {
            access.databases.insert(
                owner.to_owned(),
                self.postgres.create_role_and_database(owner).await?,
            );
        }
        let relay = self.postgres.create_guest_role(RELAY_ROLE, "legacy").await?;
        access.databases.insert(RELAY_ROLE.to_owned(), relay);
        for database in SYNCED {
            let role = sync_role(database);
            let url = self.postgres.create_guest_role(&role, database).await?;
            self.postgres.allow_sync(&role, database).await?;
            access.databases.insert(role, url);
        }
        self.rabbitmq.create_vhost(VHOST).await?;
        self.rabbitmq.create_vhost(CELERY_VHOST).await?;
        for permission in permissions()? {
            let url = self.broker_user(record, &permission).await?;
            access.brokers.insert(permission.user, url);
        }
        self.remember(record, &access);
        Ok(access)
    }

    /// Lets the relay drain the monolith's outbox, and do nothing else. The table exists once Django's migrations ran.
    pub async fn grant_relay(&self) -> Result<(), StackError> {
        let sql = format!("GRANT SELECT, UPDATE, DELETE ON outbox TO {RELAY_ROLE}");
        self.postgres.execute("legacy", &sql).await
    }

    async fn broker_user(
        &self,
        record: &mut StackRecord,
        permission: &Permission,
    ) -> Result<String, StackError> {
        let Permission {
            user,
            vhost,
            configure,
            write,
            read,
        } = permission;
        let password = record.secret(&format!("rabbitmq.{user}"));
        let management = self.rabbitmq.management();
        management.create_user(user, &password).await?;
        management.grant(vhost, user, [configure, write, read]).await?;
        Ok(self.rabbitmq.user_url(user, &password, vhost))
    }

    fn remember(&self, record: &mut StackRecord, access: &Access) {
        let entries = [
            ("postgres.admin_url".to_owned(), self.postgres.admin_url()),
            ("rabbitmq.admin_url".to_owned(), self.rabbitmq.amqp_url(VHOST)),
            (
                "rabbitmq.management_url".to_owned(),
                self.rabbitmq.management_url(),
            ),
        ];
        let databases = access
            .databases
            .iter()
            .map(|(role, url)| (format!("database.{role}"), url.clone()));
        let brokers = access
            .brokers
            .iter()
            .map(|(user, url)| (format!("broker.{user}"), url.clone()));
        record
            .credentials
            .extend(entries.into_iter().chain(databases).chain(brokers));
    }
}

/// The role that keeps a database in step.
pub fn sync_role(database: &str) -> String {
    format!("{database}_sync")
}

/// Who may do what in which vhost.
const PERMISSIONS: &str = include_str!("../../../../deploy/rabbitmq/permissions.json");

/// What a user may configure, write and read in a vhost, as patterns of names.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Permission {
    user: String,
    vhost: String,
    configure: String,
    write: String,
    read: String,
}

fn permissions() -> Result<Vec<Permission>, StackError> {
    serde_json::from_str(PERMISSIONS).map_err(|error| StackError::Damaged {
        path: "deploy/rabbitmq/permissions.json".into(),
        what: "permissions of broker users",
        message: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_owner_has_permissions_in_a_known_vhost() {
        let permissions = permissions().unwrap();
        for owner in SERVICES.into_iter().chain(["monolith"]) {
            assert!(
                permissions.iter().any(|permission| permission.user == owner),
                "{owner}"
            );
        }
        assert!(
            permissions
                .iter()
                .all(|permission| [VHOST, CELERY_VHOST].contains(&permission.vhost.as_str()))
        );
    }
}
