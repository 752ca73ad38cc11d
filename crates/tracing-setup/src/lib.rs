//! What every binary of Banyan does about traces, logs and request metrics.
//!
//! Call [`init`] once at the start of `main` and [`Telemetry::flush`] at its end. In between:
//!
//! - spans of level INFO and above are exported as OTLP over HTTP when `OTEL_EXPORTER_OTLP_ENDPOINT` is set; without it
//!   they still carry ids, so that logs can be joined and trace context travels on;
//! - log lines go to standard output as JSON with the `trace_id` and `span_id` of the current span;
//! - [`http`] and [`amqp`] carry W3C trace context in and out, [`context`] does it for a stored row, and [`db`] names
//!   database spans. Span and attribute names are those of the OpenTelemetry semantic conventions.
//!
//! | variable | meaning |
//! |---|---|
//! | `OTEL_*` | the standard ones: endpoint, headers, timeout, sampler, `OTEL_BSP_*`, `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_SDK_DISABLED`, `OTEL_TRACES_EXPORTER=none` |
//! | `RUST_LOG` | what is logged; default [`DEFAULT_FILTER`]. It does not change what is traced |
//! | `BANYAN_LOG` | `json` or `text`; default is text on a terminal and JSON elsewhere |

pub mod amqp;
pub mod context;
pub mod db;
pub mod http;
mod log;
mod setup;

pub use setup::{DEFAULT_FILTER, LogTo, Telemetry, TelemetryError, init};
