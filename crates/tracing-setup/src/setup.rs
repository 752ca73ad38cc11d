//! Installing and flushing the global subscriber and the OTLP exporter.

use std::env;
use std::io::IsTerminal;
use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry::trace::noop::NoopTracer;
use opentelemetry::{KeyValue, global};
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::resource::{EnvResourceDetector, TelemetryResourceDetector};
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::level_filters::LevelFilter;
use tracing::{Level, Metadata};
use tracing_subscriber::filter::{EnvFilter, FilterFn, filter_fn};
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use uuid::Uuid;

use crate::log::JsonFormat;

/// What is logged when `RUST_LOG` is unset.
pub const DEFAULT_FILTER: &str = "info,lapin=warn,sqlx=warn";

/// The longest a flush may hold up the end of a process whose collector is dead or does not answer.
const FLUSH_BOUND: Duration = Duration::from_secs(3);

/// Crates under the exporter or with spans as long as a connection: traced, they would report on themselves.
const UNTRACED: [&str; 9] = [
    "h2",
    "hyper",
    "hyper_util",
    "lapin",
    "opentelemetry",
    "opentelemetry_sdk",
    "reqwest",
    "rustls",
    "tower",
];

/// Why telemetry could not be set up. Each names the variable to mend.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// `RUST_LOG` does not parse.
    #[error("RUST_LOG is not a valid filter ({0}); an example is `{DEFAULT_FILTER}`")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// `BANYAN_LOG` is neither `json` nor `text`.
    #[error("BANYAN_LOG is `{0}`; it must be `json` or `text`")]
    LogFormat(String),
    /// The exporter refused its configuration.
    #[error("the OTLP exporter cannot be built ({0}); check the OTEL_EXPORTER_OTLP_* variables")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
    /// `init` ran twice, or another subscriber is in place.
    #[error("a tracing subscriber is already installed; call init once per process")]
    AlreadyInitialized(#[from] tracing_subscriber::util::TryInitError),
}

/// Holds the exporter; give it back with [`flush`](Self::flush) before the process ends, or the last spans are lost.
#[must_use = "the last spans are lost unless flush() is called before the process ends"]
#[derive(Debug)]
pub struct Telemetry {
    provider: Option<SdkTracerProvider>,
}

impl Telemetry {
    /// Exports what is still queued and stops the exporter; takes at most three seconds.
    pub async fn flush(self) {
        let (done, finished) = tokio::sync::oneshot::channel();
        self.shut_down(move || {
            let _ = done.send(());
        });
        // The bound is the thread's as well; this one also holds when the exporter ignores it.
        let _ = tokio::time::timeout(FLUSH_BOUND, finished).await;
    }

    /// As [`flush`](Self::flush), for a `main` without a runtime. Blocks the calling thread.
    pub fn flush_blocking(self) {
        let (done, finished) = std::sync::mpsc::channel();
        self.shut_down(move || {
            let _ = done.send(());
        });
        let _ = finished.recv_timeout(FLUSH_BOUND);
    }

    /// Runs on a thread of its own and not in `spawn_blocking`: the end of a runtime waits for its blocking threads, and
    /// this one may be stuck in a request to a collector that does not answer.
    fn shut_down(self, done: impl FnOnce() + Send + 'static) {
        let Some(provider) = self.provider else {
            return done();
        };
        std::thread::spawn(move || {
            if let Err(error) = provider.shutdown_with_timeout(FLUSH_BOUND) {
                tracing::warn!(%error, "the last spans may not have reached the collector");
            }
            done();
        });
    }
}

/// Where log lines go.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LogTo {
    /// Standard output, of a process whose product they are.
    Output,
    /// Standard error, of a command that prints something else.
    Error,
}

/// Installs the TLS provider, the tracing subscriber, W3C propagation and, where configured, the OTLP exporter.
///
/// `service_name` and `version` become `service.name` and `service.version` unless the standard variables say otherwise.
pub fn init(service_name: &'static str, version: &str, log_to: LogTo) -> Result<Telemetry, TelemetryError> {
    // An error means that one is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    global::set_text_map_propagator(TraceContextPropagator::new());

    let resource = resource(service_name, version);
    let service = resource
        .get(&"service.name".into())
        .map_or_else(|| service_name.to_owned(), |name| name.to_string());
    let provider = if flag("OTEL_SDK_DISABLED") {
        None
    } else {
        Some(provider(resource)?)
    };
    let traces = match &provider {
        Some(provider) => otel_layer(provider.tracer("banyan"))
            .with_filter(traced())
            .boxed(),
        // Makes no spans, but hands an incoming context on, as the specification asks of a disabled SDK.
        None => otel_layer(NoopTracer::new()).with_filter(traced()).boxed(),
    };
    tracing_subscriber::registry()
        .with(traces)
        .with(log_layer(service, log_to)?)
        .try_init()?;
    Ok(Telemetry { provider })
}

/// The layer that turns tracing's spans into OpenTelemetry's, without code places, threads and idle times on each.
pub(crate) fn otel_layer<S, T>(tracer: T) -> tracing_opentelemetry::OpenTelemetryLayer<S, T>
where
    S: tracing::Subscriber + for<'span> tracing_subscriber::registry::LookupSpan<'span>,
    T: opentelemetry::trace::Tracer + 'static,
    T::Span: Send + Sync,
{
    tracing_opentelemetry::layer()
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        .with_tracer(tracer)
}

/// What reaches the trace: spans of INFO and above, and of the events only warnings and errors. Independent of
/// `RUST_LOG`, because a quieter log must not cut the trace context off.
fn traced() -> FilterFn<impl Fn(&Metadata<'_>) -> bool + Clone> {
    filter_fn(|metadata: &Metadata<'_>| {
        let limit = if metadata.is_span() {
            Level::INFO
        } else {
            Level::WARN
        };
        let root = metadata.target().split("::").next().unwrap_or_default();
        *metadata.level() <= limit && !UNTRACED.contains(&root)
    })
    .with_max_level_hint(LevelFilter::INFO)
}

fn log_layer<S>(service: String, log_to: LogTo) -> Result<Box<dyn Layer<S> + Send + Sync>, TelemetryError>
where
    S: tracing::Subscriber + for<'span> tracing_subscriber::registry::LookupSpan<'span>,
{
    let filter = EnvFilter::try_new(variable("RUST_LOG").as_deref().unwrap_or(DEFAULT_FILTER))?;
    let (writer, terminal) = match log_to {
        LogTo::Output => (
            BoxMakeWriter::new(std::io::stdout),
            std::io::stdout().is_terminal(),
        ),
        LogTo::Error => (
            BoxMakeWriter::new(std::io::stderr),
            std::io::stderr().is_terminal(),
        ),
    };
    let text = match variable("BANYAN_LOG").as_deref() {
        None => terminal,
        Some("text") => true,
        Some("json") => false,
        Some(other) => return Err(TelemetryError::LogFormat(other.to_owned())),
    };
    // A closed standard output must not take the process down: `fmt` would report each lost line on stderr.
    let base = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .log_internal_errors(false);
    Ok(if text {
        base.with_ansi(terminal).with_filter(filter).boxed()
    } else {
        base.event_format(JsonFormat { service })
            .with_filter(filter)
            .boxed()
    })
}

fn provider(resource: Resource) -> Result<SdkTracerProvider, TelemetryError> {
    let builder = SdkTracerProvider::builder().with_resource(resource);
    if !exporting() {
        return Ok(builder.build());
    }
    // The batch processor runs on a thread of its own behind a bounded queue (OTEL_BSP_MAX_QUEUE_SIZE) and drops what
    // does not fit, so ending a span never waits for the collector. The blocking client belongs to that thread.
    let exporter = SpanExporter::builder().with_http().build()?;
    Ok(builder.with_batch_exporter(exporter).build())
}

/// Only an address that was set: the specification's default of localhost would make every test knock on port 4318.
fn exporting() -> bool {
    let endpoint = [
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
    ];
    endpoint.iter().any(|name| variable(name).is_some())
        && variable("OTEL_TRACES_EXPORTER").is_none_or(|exporter| exporter != "none")
}

fn resource(service_name: &'static str, version: &str) -> Resource {
    let resource = Resource::builder_empty()
        .with_service_name(service_name)
        .with_attribute(KeyValue::new("service.version", version.to_owned()))
        .with_attribute(KeyValue::new("service.instance.id", Uuid::new_v4().to_string()))
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_detector(Box::new(EnvResourceDetector::new()));
    match variable("OTEL_SERVICE_NAME") {
        Some(name) => resource.with_service_name(name).build(),
        None => resource.build(),
    }
}

/// A variable's value; empty counts as unset, as the OpenTelemetry specification has it.
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn flag(name: &str) -> bool {
    variable(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
}
