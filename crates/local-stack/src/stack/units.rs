//! The processes of the stack besides the two servers: commands, settings, probes.

use std::path::PathBuf;
use std::time::Duration;

use super::Layout;
use super::build::Binaries;
use super::record::{StackRecord, WEBHOOK_SECRET};
use super::servers::{Access, RELAY_ROLE, SERVICES, sync_role};
use super::unit::Unit;
use crate::error::StackError;
use crate::process::{Probe, Spawn};
use crate::python::Venv;

/// Everything that a process may need to know.
#[derive(Debug)]
pub struct Surroundings<'a> {
    /// Files and ports.
    pub layout: &'a Layout,
    /// Built programs.
    pub binaries: &'a Binaries,
    /// Databases and brokers.
    pub access: &'a Access,
    /// The Python environment.
    pub venv: &'a Venv,
    /// What Stripe's webhooks are signed with.
    pub webhook_secret: String,
}

impl Surroundings<'_> {
    /// A built program.
    pub fn binary(&self, name: &str) -> Result<PathBuf, StackError> {
        self.binaries
            .get(name)
            .cloned()
            .ok_or_else(|| StackError::Missing {
                program: format!("the binary `{name}`"),
                mend: "the workspace has no binary of this name".to_owned(),
            })
    }

    fn spawn(&self, name: &str, program: PathBuf) -> Spawn {
        Spawn::new(name, program, &self.layout.log(name)).dir(&self.layout.root)
    }

    /// The outside world: mail, traces, Stripe.
    pub fn sinks(&self) -> Result<Vec<Unit>, StackError> {
        let listen = |name: &str| format!("127.0.0.1:{}", self.layout.port(name));
        let path = |name: &str| self.layout.file(name).display().to_string();
        let mail = self.spawn("mail", self.binary("dev-sinks")?);
        let mail = mail.args(["mail", "--listen", &listen("mail"), "--maildir", &path("mail")]);
        let traces = self.spawn("traces", self.binary("dev-sinks")?);
        let traces = traces.args(["otlp", "--listen", &listen("traces"), "--dir", &path("traces")]);
        let mut traces = Unit::tcp("traces", self.layout.port("traces"), traces);
        traces.url = Some(format!("{}/traces", self.layout.url("traces")));
        Ok(vec![
            Unit::tcp("mail", self.layout.port("mail"), mail),
            traces,
            self.localstripe(),
            self.stripe()?,
        ])
    }

    /// The stand-in for Stripe; everything reaches it through its front.
    fn localstripe(&self) -> Unit {
        let (root, port) = (&self.layout.root, self.layout.port("localstripe"));
        let script = root.join("crates/local-stack/python/serve_localstripe.py");
        let state = self.layout.file("stripe.pickle").display().to_string();
        let spawn = self
            .spawn("localstripe", self.venv.program("python"))
            .args([&script]);
        let spawn = spawn.args(["--port", &port.to_string(), "--state", &state]);
        let mut unit = Unit::tcp("localstripe", port, spawn);
        unit.sources.push(script);
        unit
    }

    /// The front before localstripe: idempotency keys, signed webhooks, faults on demand.
    fn stripe(&self) -> Result<Unit, StackError> {
        let port = self.layout.port("stripe");
        let target = format!("{}/api/payments/webhooks/stripe", self.layout.url("gateway"));
        let spawn = self.spawn("stripe", self.binary("dev-sinks")?).args([
            "stripe-front",
            "--listen",
            &format!("127.0.0.1:{port}"),
            "--upstream",
            &self.layout.url("localstripe"),
            "--webhook-url",
            &target,
        ]);
        let spawn = spawn.env("STRIPE_WEBHOOK_SECRET", &self.webhook_secret);
        Ok(Unit::http("stripe", port, "/_front/healthz", spawn))
    }

    /// The extracted services.
    pub fn services(&self) -> Result<Vec<Unit>, StackError> {
        SERVICES.into_iter().map(|name| self.service(name)).collect()
    }

    fn service(&self, name: &'static str) -> Result<Unit, StackError> {
        let mut spawn = self.spawn(name, self.binary(name)?).args(["serve"]);
        spawn.env.extend(self.service_env(name));
        Ok(Unit::http(name, self.layout.port(name), "/readyz", spawn))
    }

    /// The configuration of a service, as environment variables.
    pub fn service_env(&self, name: &str) -> Vec<(String, String)> {
        service_env(self.layout, self.access, &self.webhook_secret, name)
    }
    /// The monolith's web server and its task worker.
    pub fn monolith(&self, env: &[(String, String)]) -> Vec<Unit> {
        let dir = self.layout.root.join("monolith");
        let sources = vec![dir.clone(), self.layout.root.join("clients/python/src")];
        let mut web = self.spawn("monolith", self.venv.program("gunicorn")).dir(&dir);
        web = web.args(["-c", "gunicorn.conf.py", "monolith.wsgi"]);
        web.env.extend_from_slice(env);
        let mut web = Unit::http("monolith", self.layout.port("monolith"), "/readyz", web);
        web.sources.clone_from(&sources);
        let mut worker = self.spawn("worker", self.venv.program("celery")).dir(&dir);
        worker = worker.args([
            "-A",
            "monolith",
            "worker",
            "--beat",
            "--concurrency",
            "2",
            "--loglevel",
            "INFO",
        ]);
        worker.env.extend_from_slice(env);
        let ready = Probe::LogLine(" ready.".to_owned());
        let mut worker = Unit::new("worker", None, worker, ready, Probe::Alive);
        worker.timeout = Duration::from_mins(2);
        worker.sources = sources;
        vec![web, worker]
    }
}

/// The configuration of a service, as environment variables.
fn service_env(layout: &Layout, access: &Access, webhook_secret: &str, name: &str) -> Vec<(String, String)> {
    let prefix = format!("BANYAN_{}__", name.to_uppercase());
    let mut settings = vec![
        ("HTTP__LISTEN", format!("127.0.0.1:{}", layout.port(name))),
        ("DATABASE__URL", access.database(name)),
        ("BROKER__URL", access.broker(name)),
        (
            "AUTH__JWKS_URL",
            format!("{}/.well-known/jwks.json", layout.url("monolith")),
        ),
    ];
    if name == "notifications" {
        let gateway = layout.url("gateway");
        settings.extend([
            ("EMAIL__SMTP__HOST", "127.0.0.1".to_owned()),
            ("EMAIL__SMTP__PORT", layout.port("mail").to_string()),
            (
                "EMAIL__PREFERENCES_URL",
                format!("{gateway}/settings/notifications"),
            ),
            (
                "LINKS__VERIFY_EMAIL",
                format!("{gateway}/verify-email?token={{token}}"),
            ),
            (
                "LINKS__RESET_PASSWORD",
                format!("{gateway}/reset-password?token={{token}}"),
            ),
            ("LINKS__EXPORT", format!("{gateway}/api/reports/exports/{{id}}")),
        ]);
    }
    if name == "payments" {
        settings.extend([
            ("STRIPE__BASE_URL", layout.url("stripe")),
            ("STRIPE__SECRET_KEY", STRIPE_KEY.to_owned()),
            ("STRIPE__WEBHOOK_SECRET", webhook_secret.to_owned()),
            // The gateway decides who is served here; whatever it decides, the monolith's payments may be asked for.
            ("FALLBACK__PHASE", "ramp".to_owned()),
            ("FALLBACK__LEGACY_URL", layout.url("monolith")),
        ]);
    }
    if name == "cutover" {
        let sync = |database: &str| access.database(&sync_role(database));
        settings.extend([
            ("LEGACY__DATABASE__URL", access.database(RELAY_ROLE)),
            ("SYNC__LEGACY_URL", sync("legacy")),
            ("DOMAINS__PAYMENTS__URL", sync("payments")),
            ("DOMAINS__NOTIFICATIONS__URL", sync("notifications")),
        ]);
    }
    let own = settings
        .into_iter()
        .map(|(key, value)| (format!("{prefix}{key}"), value));
    own.chain(telemetry_env(layout)).collect()
}

/// The configuration of cutover on the stack that was started last, for its command line.
///
/// # Errors
/// The stack was never started here.
pub fn cutover_env(layout: &Layout, record: &StackRecord) -> Result<Vec<(String, String)>, StackError> {
    let access = Access::remembered(record)?;
    Ok(service_env(layout, &access, "", "cutover"))
}

/// What the stand-in for Stripe takes for a key.
const STRIPE_KEY: &str = "sk_test_banyan";

/// Traces go to the sink at short notice, so that one sees them while trying things.
fn telemetry_env(layout: &Layout) -> [(String, String); 2] {
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(), layout.url("traces")),
        ("OTEL_BSP_SCHEDULE_DELAY".to_owned(), "500".to_owned()),
    ]
}

/// The settings of the monolith and of its management commands; secrets that it has not yet are made and put into the record.
///
/// # Errors
/// The servers were never started here, so there is no database.
pub fn monolith_env(layout: &Layout, record: &mut StackRecord) -> Result<Vec<(String, String)>, StackError> {
    let credential = |record: &StackRecord, name: &str| {
        let known = record.credentials.get(name).cloned();
        known.ok_or_else(|| {
            StackError::Other("the stack was not started yet; `cargo xtask up` does".to_owned())
        })
    };
    let file = |name: &str| layout.file(name).display().to_string();
    let settings = [
        ("DATABASE_URL", credential(record, "database.legacy")?),
        ("CELERY_BROKER_URL", credential(record, "broker.monolith")?),
        ("STRIPE_API_BASE", layout.url("stripe")),
        ("STRIPE_API_KEY", STRIPE_KEY.to_owned()),
        ("STRIPE_WEBHOOK_SECRET", record.secret(WEBHOOK_SECRET)),
        ("EMAIL_HOST", "127.0.0.1".to_owned()),
        ("EMAIL_PORT", layout.port("mail").to_string()),
        ("JWT_PRIVATE_KEY_FILE", file("jwt-ed25519.pem")),
        ("BANYAN_ROLLOUTS_FILE", file("rollouts.json")),
        ("DJANGO_SECRET_KEY", record.secret("monolith.secret_key")),
        ("PUBLIC_BASE_URL", layout.url("gateway")),
        ("MONOLITH_BIND", format!("127.0.0.1:{}", layout.port("monolith"))),
        ("PYTHONUNBUFFERED", "1".to_owned()),
    ];
    let own = settings.into_iter().map(|(key, value)| (key.to_owned(), value));
    Ok(own.chain(telemetry_env(layout)).collect())
}
