//! What a service tells the kit: its name, configuration, routes, consumer, relay and jobs.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;

use axum::{Extension, Router};
use serde::de::DeserializeOwned;
use sqlx::PgPool;
use sqlx::migrate::Migrator;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use utoipa::openapi::OpenApi;

use crate::auth::ClosedAccounts;
use crate::config::KitConfig;
use crate::jobs::Job;

/// An extracted service. Implement it once and hand it to [`crate::main`].
pub trait Service: 'static {
    /// The domain, such as `payments`: it names the binary, the environment variables (`BANYAN_PAYMENTS__…`), the
    /// queue and the telemetry resource.
    const NAME: &'static str;
    /// The version that `--version` and telemetry tell.
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    /// One sentence for `--help`.
    const ABOUT: &'static str;
    /// The compiled-in configuration, `include_str!("../config.default.toml")`. It names every key of the service's
    /// own sections that has a default and holds no secret.
    const DEFAULT_CONFIG: &'static str;
    /// Dotted keys of the service's own sections that hold secrets, such as `sms.token`. Each may also be given as
    /// `<key>_file`, and `config` prints it redacted. Declare the field as `secrecy::SecretString`.
    const SECRETS: &'static [&'static str] = &[];

    /// The sections of the service's own; [`NoConfig`] when there are none. Derive `Deserialize` with
    /// `deny_unknown_fields`, one field per section.
    type Config: DeserializeOwned + Clone + Send + Sync + 'static;

    /// The migrations that `migrate` applies: `sqlx::migrate!("../../migrations/<service>")`.
    fn migrator() -> Migrator;

    /// The document that `openapi` prints: only operations that are there.
    fn openapi() -> OpenApi;

    /// Builds the service. Must not need the database or the broker to be up: the pool connects when it is used.
    fn build(ctx: Context<Self::Config>) -> impl Future<Output = anyhow::Result<App>> + Send;

    /// Further verbs of the command line, such as cutover's `dead`. They get the loaded configuration and a pool.
    fn verbs() -> Vec<clap::Command> {
        Vec::new()
    }

    /// Runs one of [`Service::verbs`].
    fn run_verb(
        ctx: Context<Self::Config>,
        verb: String,
        args: clap::ArgMatches,
    ) -> impl Future<Output = anyhow::Result<ExitCode>> + Send {
        let _ = (ctx, args);
        async move { anyhow::bail!("the verb `{verb}` has no implementation") }
    }
}

/// The configuration of a service that has no sections of its own.
#[derive(Debug, Clone, Copy, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoConfig {}

/// What a service is built from.
#[derive(Clone)]
pub struct Context<C> {
    /// The sections that every service has.
    pub kit: Arc<KitConfig>,
    /// The service's own sections.
    pub config: C,
    /// The service's own database.
    pub pool: PgPool,
    /// Cancelled when the process is asked to stop.
    pub shutdown: CancellationToken,
    /// Work that must run to its end although the client hung up: hyper drops a handler's future then, so spawn it
    /// here. The shutdown waits for these tasks within its bound.
    pub tasks: TaskTracker,
}

impl<C> fmt::Debug for Context<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").finish_non_exhaustive()
    }
}

/// A part of a service that can run in a process of its own (`serve --only <role>`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Role {
    /// The public API.
    Http,
    /// The event consumer.
    Consumer,
    /// The outbox relay.
    Relay,
    /// The scheduled jobs.
    Jobs,
    /// Keeping databases in step, which the control plane does.
    Sync,
}

impl Role {
    /// Every role, which is what `serve` runs without `--only`.
    pub const ALL: [Self; 5] = [Self::Http, Self::Consumer, Self::Relay, Self::Jobs, Self::Sync];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Consumer => "consumer",
            Self::Relay => "relay",
            Self::Jobs => "jobs",
            Self::Sync => "sync",
        }
    }
}

/// The error of a supervised task.
pub type TaskError = Box<dyn std::error::Error + Send + Sync>;

type TaskFuture = Pin<Box<dyn Future<Output = Result<(), TaskError>> + Send>>;

/// A part that runs beside the HTTP server until it is told to stop, and is started again when it fails.
pub struct Task {
    pub(crate) role: Role,
    pub(crate) name: String,
    pub(crate) start: Box<dyn Fn(CancellationToken) -> TaskFuture + Send + Sync>,
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task")
            .field("role", &self.role)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// What [`Service::build`] answers: the parts of the running service.
#[derive(Debug, Default)]
pub struct App {
    pub(crate) router: Router,
    pub(crate) tasks: Vec<Task>,
    pub(crate) relay_source: Option<String>,
    pub(crate) jobs: Vec<Job>,
}

impl App {
    /// A service with this public API; `Router::new()` for none. Health, metrics, problem documents, limits and
    /// telemetry are added around it.
    pub fn new(router: Router) -> Self {
        Self {
            router,
            ..Self::default()
        }
    }

    /// Runs the event consumer. `start` builds it anew for every (re)start:
    /// `move |shutdown| Consumer::new(…, handler.clone()).run(shutdown)`.
    #[must_use]
    pub fn consumer<F, Fut, E>(self, start: F) -> Self
    where
        F: Fn(CancellationToken) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<TaskError>,
    {
        self.task(Role::Consumer, "consumer", start)
    }

    /// Runs the outbox relay of the service's own database, with the event source `/<service>`.
    #[must_use]
    pub fn relay(mut self, source: impl Into<String>) -> Self {
        self.relay_source = Some(source.into());
        self
    }

    /// Runs any other supervised task under a role.
    #[must_use]
    pub fn task<F, Fut, E>(mut self, role: Role, name: impl Into<String>, start: F) -> Self
    where
        F: Fn(CancellationToken) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<TaskError>,
    {
        let start = move |shutdown: CancellationToken| -> TaskFuture {
            let running = start(shutdown);
            Box::pin(async move { running.await.map_err(Into::into) })
        };
        self.tasks.push(Task {
            role,
            name: name.into(),
            start: Box::new(start),
        });
        self
    }

    /// Refuses the tokens of closed accounts with 401. `read` tells them, and is asked each second: the ids of the users who were
    /// closed within the longest life of a token.
    #[must_use]
    pub fn closed_accounts<F, Fut, E>(mut self, read: F) -> Self
    where
        F: Fn() -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<Vec<i64>, E>> + Send + 'static,
        E: fmt::Display + Send + 'static,
    {
        let closed = ClosedAccounts::default();
        self.router = self.router.layer(Extension(closed.clone()));
        self.task(Role::Http, "closed accounts", move |shutdown| {
            let (closed, read) = (closed.clone(), read.clone());
            async move {
                closed.follow(read, shutdown).await;
                Ok::<(), TaskError>(())
            }
        })
    }

    /// Adds a scheduled job.
    #[must_use]
    pub fn job(mut self, job: Job) -> Self {
        self.jobs.push(job);
        self
    }
}
