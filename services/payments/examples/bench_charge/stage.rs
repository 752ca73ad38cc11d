//! The servers around the service, and the service itself.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use banyan_local_stack::postgres::{Postgres, PostgresSettings};
use banyan_local_stack::rabbitmq::RabbitMq;
use banyan_test_support::{STRIPE_KEY, ServiceCommand, ServiceProcess, TestKeys, binary};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use crate::ceiling::{self, Ceiling};
use crate::cpu::{Cpu, Processes, memory_kib};
use crate::load::{self, Clients, Kind, Load};
use crate::stripe::Stripe;

/// Users with a card each.
const USERS: u64 = 10_000;
/// Connections of the service to PostgreSQL: the default, named because it is what the slow Stripe is measured against.
pub(crate) const POOL: usize = 16;

/// Everything that a window needs.
pub(crate) struct Stage {
    pub(crate) stripe: Stripe,
    clients: Arc<Clients>,
    command: ServiceCommand,
    ceiling: Ceiling,
    pool: PgPool,
    postgres: Postgres,
    rabbitmq: RabbitMq,
    dir: tempfile::TempDir,
    _keys: TestKeys,
}

/// What one window of the service gave.
pub(crate) struct Window {
    pub(crate) load: load::Measured,
    pub(crate) cpu: Cpu,
    /// The most memory that the service had since its start, KiB.
    pub(crate) peak_kib: u64,
    /// The most calls that were at Stripe at once.
    pub(crate) at_stripe: usize,
}

impl Stage {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        eprintln!("starting a PostgreSQL and a RabbitMQ …");
        let dir = tempfile::tempdir().context("no temporary directory")?;
        // The servers run as other accounts where this runs as root.
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o711))?;
        let (postgres, rabbitmq) = tokio::try_join!(
            Postgres::start(dir.path().join("postgres"), 0, PostgresSettings::default()),
            RabbitMq::start(dir.path().join("rabbitmq"), 0, 0),
        )?;
        rabbitmq.create_vhost("bench").await?;
        let url = postgres.create_role_and_database("payments").await?;
        let (keys, stripe) = (TestKeys::start().await, Stripe::start().await?);
        let command = ServiceCommand::new(binary("payments"))
            .config("database.url", &url)
            .config("database.max_connections", POOL.to_string())
            .config("broker.url", rabbitmq.amqp_url("bench"))
            .config("auth.jwks_url", keys.jwks_url())
            .config("stripe.base_url", format!("http://{}", stripe.address))
            .config("stripe.secret_key", STRIPE_KEY)
            .config("stripe.webhook_secret", "whsec_bench")
            .env(
                "OTEL_EXPORTER_OTLP_ENDPOINT",
                format!("http://{}", stripe.address),
            );
        let migrated = command.clone().args(["migrate"]).output().await;
        ensure!(
            migrated.status.success(),
            "payments migrate: {}",
            String::from_utf8_lossy(&migrated.stderr)
        );
        let pool = PgPoolOptions::new().max_connections(2).connect(&url).await?;
        let clients = Arc::new(Clients::new(&keys, USERS)?);
        let stage = Self {
            stripe,
            clients,
            command,
            ceiling: Ceiling::new(&url, USERS)?,
            pool,
            postgres,
            rabbitmq,
            dir,
            _keys: keys,
        };
        stage.fill().await?;
        Ok(stage)
    }

    /// Users as they are after a first charge: with a card, and an account in the ledger. Customer and card have the user's id.
    async fn fill(&self) -> anyhow::Result<()> {
        for sql in [
            "INSERT INTO customer (id, user_id, stripe_customer_id)
             SELECT n, n, 'cus_' || lpad(n::text, 14, '0') FROM generate_series(1, $1) n",
            "INSERT INTO payment_method
               (id, customer_id, stripe_payment_method_id, brand, last4, exp_month, exp_year, fingerprint, is_default)
             SELECT n, n, 'pm_' || lpad(n::text, 24, '0'), 'visa', '4242', 12, 2040, lpad(n::text, 16, '0'), true
             FROM generate_series(1, $1) n",
            "INSERT INTO ledger_account (kind, currency, customer_id)
             SELECT 'customer', 'USD', n FROM generate_series(1, $1) n",
        ] {
            let users = i64::try_from(USERS)?;
            sqlx::query(sql).bind(users).execute(&self.pool).await?;
        }
        // Plans that are made while the tables are empty read them from end to end, and are kept until the next ANALYZE. The first turn
        // is slow for that very reason.
        for seconds in [3, 8] {
            sqlx::raw_sql("VACUUM ANALYZE").execute(&self.pool).await?;
            self.ceiling(8, Duration::from_secs(1), Duration::from_secs(seconds))
                .await?;
        }
        sqlx::raw_sql("VACUUM ANALYZE").execute(&self.pool).await?;
        Ok(())
    }

    /// A new process of the service under load, measured after a warm-up.
    pub(crate) async fn service(
        &mut self,
        kind: Kind,
        connections: usize,
        warm_up: Duration,
        window: Duration,
    ) -> anyhow::Result<Window> {
        let service = self.command.clone().start().await;
        service.ready().await;
        let first = self.clients.next();
        self.stripe.take_peak();
        let load = Load::start(&self.clients, kind, service.address(), connections);
        tokio::time::sleep(warm_up).await;
        let processes = self.processes(service.pid())?;
        let (from, before) = (Instant::now(), processes.cpu());
        tokio::time::sleep(window).await;
        let (to, cpu) = (Instant::now(), processes.cpu() - before);
        let load = load.end(from, to).await?;
        let peak_kib = memory_kib(service.pid(), "VmHWM")?;
        if kind == Kind::Charge {
            let next = self.clients.next();
            Arc::get_mut(&mut self.clients)
                .context("the clients are still at work")?
                .keep(first, next);
        }
        self.drained().await?;
        stop(service).await?;
        Ok(Window {
            load,
            cpu,
            peak_kib,
            at_stripe: self.stripe.take_peak(),
        })
    }

    /// pgbench without the service. Nobody publishes its rows of the outbox; they are marked afterwards, as the relay does.
    pub(crate) async fn ceiling(
        &self,
        clients: usize,
        warm_up: Duration,
        window: Duration,
    ) -> anyhow::Result<ceiling::Measured> {
        let processes = self.processes(0)?;
        let measured = self
            .ceiling
            .run(self.dir.path(), clients, warm_up, window, processes)
            .await?;
        sqlx::raw_sql("UPDATE outbox SET published_at = now() WHERE published_at IS NULL")
            .execute(&self.pool)
            .await?;
        Ok(measured)
    }

    /// Both wrote the same rows: each payment is completed, with all that belongs to it, and the relay has published every event.
    pub(crate) async fn check(&self) -> anyhow::Result<i64> {
        let count = async |sql: &'static str| sqlx::query_scalar::<_, i64>(sql).fetch_one(&self.pool).await;
        let payments = count("SELECT count(*) FROM payment WHERE status = 'completed'").await?;
        for (wanted, sql) in [
            (1, "SELECT count(*) FROM payment"),
            (
                1,
                "SELECT count(*) FROM payment_attempt WHERE status = 'succeeded'",
            ),
            (2, "SELECT count(*) FROM payment_status_change"),
            (1, "SELECT count(*) FROM fee"),
            (2, "SELECT count(*) FROM ledger_transaction"),
            (4, "SELECT count(*) FROM ledger_entry"),
            (
                1,
                "SELECT count(*) FROM idempotency_key WHERE response_status = 201",
            ),
            (1, "SELECT count(*) FROM outbox WHERE published_at IS NOT NULL"),
        ] {
            let found = count(sql).await?;
            ensure!(
                found == wanted * payments,
                "{found} of {} for {sql}",
                wanted * payments
            );
        }
        ensure!(self.stripe.trace_exports() > 0, "no spans came");
        Ok(payments)
    }

    /// Waits until the relay has published everything.
    async fn drained(&self) -> anyhow::Result<()> {
        let left = "SELECT count(*) FROM outbox WHERE published_at IS NULL";
        let bound = Instant::now() + Duration::from_secs(30);
        while sqlx::query_scalar::<_, i64>(left).fetch_one(&self.pool).await? > 0 {
            ensure!(Instant::now() < bound, "the relay does not come to an end");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    fn processes(&self, service: u32) -> anyhow::Result<Processes> {
        let postmaster = self.postgres.process().context("PostgreSQL does not run")?.pid;
        let broker = self.rabbitmq.process().context("RabbitMQ does not run")?.pid;
        Ok(Processes {
            service,
            postmaster,
            broker,
        })
    }
}

async fn stop(service: ServiceProcess) -> anyhow::Result<()> {
    let status = service.stop(Duration::from_secs(20)).await;
    ensure!(status.success(), "payments ended with {status}");
    Ok(())
}
