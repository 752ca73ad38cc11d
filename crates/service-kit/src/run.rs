//! The life of a serving process: build, listen, run the roles, drain, stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use banyan_messaging::Relay;
use sqlx::PgPool;
use time::OffsetDateTime;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::auth::Verifier;
use crate::config::{KitConfig, Loaded};
use crate::http::{self, Health, Server};
use crate::jobs;
use crate::service::{App, Context, Role, Service, Task};
use crate::supervise::supervise;

/// Why a service cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The database pool cannot be made; a database that is merely away is no such case.
    #[error(transparent)]
    Database(#[from] banyan_db::DbError),
    /// The address is taken or not ours.
    #[error(
        "cannot listen on {address}: {source}; set `http.listen` to another address or stop what is there"
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// [`Service::build`] failed.
    #[error("the service cannot be built: {0:#}")]
    Build(anyhow::Error),
    /// The client that fetches token keys or the metrics recorder cannot be made.
    #[error("cannot start: {0}")]
    Other(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A service that serves.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    shutdown: CancellationToken,
    life: AbortOnDropHandle<bool>,
}

impl Running {
    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://<address>`
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Tells it to stop; [`Running::finished`] waits for the end.
    pub fn stop(&self) {
        self.shutdown.cancel();
    }

    /// What [`Running::stop`] cancels.
    pub(crate) fn shutdown_token(&self) -> CancellationToken {
        self.shutdown.clone()
    }

    /// Waits until it has stopped; true when everything in flight finished in time.
    pub async fn finished(self) -> bool {
        self.life.await.unwrap_or(false)
    }
}

/// What `build` and the verbs need: the pool and a context.
pub(crate) async fn context<S: Service>(
    config: &Loaded<S::Config>,
    shutdown: CancellationToken,
    tasks: TaskTracker,
) -> Result<Context<S::Config>, ServeError> {
    let pool = banyan_db::connect(&config.kit.database, S::NAME).await?;
    Ok(Context {
        kit: Arc::clone(&config.kit),
        config: config.service.clone(),
        pool,
        shutdown,
        tasks,
    })
}

/// Starts the given roles of a service in this process and returns when it listens. Needs a tokio runtime; telemetry
/// and signals are the caller's ([`crate::main`] sees to both).
pub async fn start<S: Service>(config: &Loaded<S::Config>, roles: &[Role]) -> Result<Running, ServeError> {
    let started = Instant::now();
    let kit = Arc::clone(&config.kit);
    // Telemetry does this too, but a test may start a service without it; an error means that it is done already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    http::install(S::NAME, S::VERSION).map_err(|error| ServeError::Other(error.into()))?;
    let shutdown = CancellationToken::new();
    let in_flight = TaskTracker::new();
    let ctx = context::<S>(config, shutdown.clone(), in_flight.clone()).await?;
    let pool = ctx.pool.clone();
    let app = S::build(ctx).await.map_err(ServeError::Build)?;
    let parts = Parts::new(app, roles, &kit, &pool);

    let verifier = Verifier::new(&kit.auth).map_err(|error| ServeError::Other(error.into()))?;
    let health = Arc::new(Health::new(
        pool.clone(),
        parts.uses_broker.then(|| kit.broker.clone()),
    ));
    let router =
        http::probes(Arc::clone(&health)).merge(http::public(parts.router, &kit.http, verifier.clone()));
    let listen_error = |source| ServeError::Listen {
        address: kit.http.listen,
        source,
    };
    let server = Server::bind(&kit.http, router).await.map_err(listen_error)?;
    let address = server.local_addr().map_err(listen_error)?;

    let names: Vec<&str> = roles.iter().map(|role| role.name()).collect();
    tracing::info!(%address, roles = names.join(","), version = S::VERSION, "listening");
    let mut background = JoinSet::new();
    background.spawn(http::refresh());
    background.spawn(announce(Arc::clone(&health), address, started));
    if let Some(verifier) = verifier {
        background.spawn(verifier.refresh(shutdown.clone()));
    }
    let life = Life {
        server,
        health,
        tasks: parts.tasks,
        relays: parts.relays,
        in_flight,
        pool,
        kit,
        background,
    };
    let life = AbortOnDropHandle::new(tokio::spawn(life.run(shutdown.clone())));
    Ok(Running {
        address,
        shutdown,
        life,
    })
}

/// The parts of an [`App`] that the chosen roles run.
struct Parts {
    router: Router,
    tasks: Vec<Task>,
    relays: Vec<Task>,
    uses_broker: bool,
}

impl Parts {
    fn new(app: App, roles: &[Role], kit: &Arc<KitConfig>, pool: &PgPool) -> Self {
        let router = if roles.contains(&Role::Http) {
            app.router
        } else {
            Router::new()
        };
        let mut all = app.tasks;
        if let Some(source) = app.relay_source {
            all.push(relay(source, kit, pool));
        }
        if !app.jobs.is_empty() {
            all.push(job_task(app.jobs, pool));
        }
        all.retain(|task| roles.contains(&task.role));
        let uses_broker = all
            .iter()
            .any(|task| matches!(task.role, Role::Consumer | Role::Relay));
        let (relays, tasks) = all.into_iter().partition(|task| task.role == Role::Relay);
        Self {
            router,
            tasks,
            relays,
            uses_broker,
        }
    }
}

fn relay(source: String, kit: &Arc<KitConfig>, pool: &PgPool) -> Task {
    let (kit, pool) = (Arc::clone(kit), pool.clone());
    let app = App::default().task(Role::Relay, "relay", move |shutdown| {
        Relay::new(pool.clone(), kit.broker.clone(), &source, kit.relay.clone()).run(shutdown)
    });
    single(app)
}

fn job_task(jobs: Vec<jobs::Job>, pool: &PgPool) -> Task {
    let (jobs, pool) = (Arc::new(jobs), pool.clone());
    let app = App::default().task(Role::Jobs, "jobs", move |shutdown| {
        jobs::run(pool.clone(), Arc::clone(&jobs), OffsetDateTime::now_utc, shutdown)
    });
    single(app)
}

fn single(mut app: App) -> Task {
    app.tasks.remove(0)
}

/// Logs once when everything that the service needs answers, and what it waits for until then.
async fn announce(health: Arc<Health>, address: SocketAddr, started: Instant) {
    let mut wait = Duration::from_millis(20);
    let mut complained = false;
    loop {
        let report = health.report().await;
        if report.ready() {
            tracing::info!(%address, after_ms = started.elapsed().as_millis(), "ready");
            return;
        }
        if !complained && started.elapsed() > Duration::from_secs(1) {
            complained = true;
            tracing::warn!(checks = %serde_json::to_string(&report).unwrap_or_default(), "not ready yet");
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(Duration::from_secs(1));
    }
}

/// Everything that lives until the stop.
struct Life {
    server: Server,
    health: Arc<Health>,
    tasks: Vec<Task>,
    relays: Vec<Task>,
    in_flight: TaskTracker,
    pool: PgPool,
    kit: Arc<KitConfig>,
    background: JoinSet<()>,
}

impl Life {
    /// Runs until `shutdown`, then ends in order: requests, consumer and jobs, tasks in flight, and the relay last, so
    /// that the events of the last requests leave as well. True when everything finished in time.
    async fn run(self, shutdown: CancellationToken) -> bool {
        let Self {
            server,
            health,
            tasks,
            relays,
            in_flight,
            pool,
            kit,
            background,
        } = self;
        let stop_listening = CancellationToken::new();
        let stop_relays = CancellationToken::new();
        let mut serving = JoinSet::new();
        serving.spawn(server.run(stop_listening.clone()));
        for task in tasks {
            serving.spawn(supervise(task, shutdown.clone()));
        }
        let mut relaying = JoinSet::new();
        for relay in relays {
            relaying.spawn(supervise(relay, stop_relays.clone()));
        }

        // Tasks are supervised and end only when told to; the server has no end of its own at all.
        tokio::select! {
            () = shutdown.cancelled() => {}
            Some(_) = serving.join_next() => {
                if !shutdown.is_cancelled() {
                    tracing::error!("the HTTP server ended by itself");
                    return false;
                }
            }
        }
        health.stop();
        tracing::info!(
            grace_ms = kit.shutdown.grace_ms,
            drain_seconds = kit.shutdown.drain_seconds,
            "stopping"
        );
        tokio::time::sleep(kit.shutdown.grace()).await;
        stop_listening.cancel();
        let drained = tokio::time::timeout(kit.shutdown.drain(), async {
            while serving.join_next().await.is_some() {}
            in_flight.close();
            in_flight.wait().await;
            stop_relays.cancel();
            while relaying.join_next().await.is_some() {}
            // A question that waits for an absent database would hold up the pool's end.
            drop(background);
            pool.close().await;
        });
        let clean = drained.await.is_ok();
        if clean {
            tracing::info!("stopped");
        } else {
            tracing::warn!(
                drain_seconds = kit.shutdown.drain_seconds,
                "stopped before everything had finished"
            );
        }
        clean
    }
}
