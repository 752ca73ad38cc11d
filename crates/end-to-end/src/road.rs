//! The shortest whole road: legacy database and outbox, relay, RabbitMQ, notifications service, mail server. Each part is a
//! process of its own that can be killed.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, ensure};
use banyan_dev_sinks::mail::MailSink;
use banyan_local_stack::postgres::{Postgres, PostgresSettings};
use banyan_local_stack::rabbitmq::RabbitMq;
use banyan_test_support::{ServiceCommand, ServiceProcess, TestKeys, binary};
use sqlx::PgPool;
use tempfile::TempDir;

use crate::programs;

const JWT_KEY: &str = "jwt-ed25519.pem";

/// The parts that can be killed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Part {
    /// `cutover serve --only relay`.
    Relay,
    /// `notifications serve`.
    Notifications,
    /// The whole RabbitMQ node.
    RabbitMq,
    /// The whole PostgreSQL cluster, which holds both databases.
    Postgres,
}

impl Part {
    /// Every part, in the order in which they are killed.
    pub const ALL: [Self; 4] = [Self::Relay, Self::Notifications, Self::RabbitMq, Self::Postgres];
}

/// The running road. Dropping it ends every process.
#[derive(Debug)]
pub struct Road {
    /// The mail server.
    pub mail: MailSink,
    /// The monolith's database.
    pub legacy: PgPool,
    /// The notifications service's database.
    pub notifications: PgPool,
    relay: Service,
    service: Service,
    rabbitmq: RabbitMq,
    postgres: Postgres,
    environment: Vec<(String, String)>,
    // Last, so that the processes end before their files go.
    _dir: TempDir,
}

/// A service and how to start it again.
#[derive(Debug)]
struct Service {
    command: ServiceCommand,
    running: Option<ServiceProcess>,
}

impl Road {
    /// Starts everything and applies both sides' migrations.
    ///
    /// # Errors
    /// The part that did not start, with the line of its log that says why.
    pub async fn start() -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new().prefix("banyan-road-").tempdir()?;
        // The servers run under accounts of their own and must be able to pass.
        std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o711))?;
        // Answers are awaited for the whole of a test, so the HTTP client's crypto provider is chosen first.
        let _ = banyan_test_support::client();
        let (postgres, rabbitmq) = tokio::try_join!(
            Postgres::start(dir.path().join("postgres"), 0, PostgresSettings::default()),
            RabbitMq::start(dir.path().join("rabbitmq"), 0, 0),
        )?;
        rabbitmq.create_vhost("banyan").await?;
        let legacy_url = postgres.create_role_and_database("legacy").await?;
        let url = postgres.create_role_and_database("notifications").await?;
        let mail = MailSink::start(SocketAddr::from(([127, 0, 0, 1], 0)), None).await?;

        std::fs::write(dir.path().join(JWT_KEY), TestKeys::start().await.pem())?;
        let environment = monolith_environment(dir.path(), &legacy_url, mail.addr());
        migrate_monolith(&environment).await?;
        let amqp = rabbitmq.amqp_url("banyan");
        let relay = ServiceCommand::new(binary("cutover"))
            .args(["serve", "--only", "relay"])
            .config("database.url", &legacy_url)
            .config("legacy.database.url", &legacy_url)
            .config("broker.url", &amqp);
        let service = ServiceCommand::new(binary("notifications"))
            .config("database.url", &url)
            .config("broker.url", &amqp)
            .config("email.smtp.host", mail.addr().ip().to_string())
            .config("email.smtp.port", mail.addr().port().to_string());
        let migrated = service.clone().args(["migrate"]).output().await;
        ensure!(
            migrated.status.success(),
            "notifications migrate: {}",
            String::from_utf8_lossy(&migrated.stderr)
        );
        Ok(Self {
            legacy: PgPool::connect_lazy(&legacy_url)?,
            notifications: PgPool::connect_lazy(&url)?,
            mail,
            relay: Service::start(relay).await,
            service: Service::start(service).await,
            rabbitmq,
            postgres,
            environment,
            _dir: dir,
        })
    }

    /// Environment variables of the monolith's processes.
    pub fn monolith_environment(&self) -> &[(String, String)] {
        &self.environment
    }

    /// AMQP URL of the vhost.
    pub fn amqp_url(&self) -> String {
        self.rabbitmq.amqp_url("banyan")
    }

    /// Kills a part with SIGKILL and starts it again.
    ///
    /// # Errors
    /// Where it does not come back.
    pub async fn kill_and_restart(&mut self, part: Part) -> anyhow::Result<()> {
        let restarted = match part {
            Part::Relay => return self.relay.kill_and_restart().await,
            Part::Notifications => return self.service.kill_and_restart().await,
            Part::RabbitMq => self.rabbitmq.kill9().await.and(self.rabbitmq.restart().await),
            Part::Postgres => self.postgres.kill9().await.and(self.postgres.restart().await),
        };
        restarted.with_context(|| format!("kill and restart {part:?}"))
    }

    /// What the relay and the service have logged since their last start.
    pub fn logs(&self) -> String {
        let log = |service: &Service| {
            service
                .running
                .as_ref()
                .map(ServiceProcess::log)
                .unwrap_or_default()
        };
        format!(
            "relay:\n{}\nnotifications:\n{}",
            log(&self.relay),
            log(&self.service)
        )
    }
}

impl Service {
    async fn start(command: ServiceCommand) -> Self {
        let running = Some(command.clone().start().await);
        Self { command, running }
    }

    /// Listening is enough: while a server it needs is down it is not ready, and must still come up.
    async fn kill_and_restart(&mut self) -> anyhow::Result<()> {
        if let Some(mut process) = self.running.take() {
            process.kill9().await;
        }
        self.running = Some(self.command.clone().start().await);
        Ok(())
    }
}

fn monolith_environment(dir: &Path, legacy_url: &str, mail: SocketAddr) -> Vec<(String, String)> {
    let text = |value: &Path| value.display().to_string();
    [
        ("DATABASE_URL", legacy_url.to_owned()),
        ("DJANGO_SECRET_KEY", "only for this test".to_owned()),
        ("EMAIL_HOST", mail.ip().to_string()),
        ("EMAIL_PORT", mail.port().to_string()),
        ("JWT_PRIVATE_KEY_FILE", text(&dir.join(JWT_KEY))),
        ("BANYAN_ROLLOUTS_FILE", text(&dir.join("rollouts.json"))),
        ("CELERY_BROKER_URL", "amqp://127.0.0.1:1/unused".to_owned()),
        ("STRIPE_API_BASE", "http://127.0.0.1:1".to_owned()),
        ("STRIPE_API_KEY", "sk_test_unused".to_owned()),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value))
    .collect()
}

async fn migrate_monolith(environment: &[(String, String)]) -> anyhow::Result<()> {
    let output = tokio::process::Command::new(programs::python()?)
        .args(["manage.py", "migrate", "--verbosity", "0"])
        .current_dir(programs::root().join("monolith"))
        .envs(environment.iter().map(|(key, value)| (key, value)))
        .stdin(Stdio::null())
        .output()
        .await?;
    ensure!(
        output.status.success(),
        "manage.py migrate: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
