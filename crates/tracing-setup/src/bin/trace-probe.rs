//! Sends one small trace to the collector that the `OTEL_*` variables name, and logs one line with its id.
//!
//! For checking an address before a service is blamed: the line's `trace_id` is what to look for in the collector.

use std::process::ExitCode;

use banyan_tracing_setup::{LogTo, amqp, context, db, init};

#[tokio::main]
async fn main() -> ExitCode {
    let telemetry = match init("trace-probe", env!("CARGO_PKG_VERSION"), LogTo::Output) {
        Ok(telemetry) => telemetry,
        Err(error) => {
            eprintln!("trace-probe: {error}");
            return ExitCode::FAILURE;
        }
    };
    // The shape of a real trace: an event is published, its context travels as text, and the handler writes a row.
    let publish = amqp::publish_span("domain-events", "probe.sent", "probe");
    let carried = publish.in_scope(context::current);
    drop(publish);
    let process = amqp::process_span("probe.events", "probe.sent", "probe");
    context::set_parent(&process, &carried);
    process.in_scope(|| {
        let insert = db::span("INSERT", "probe");
        insert.in_scope(|| tracing::info!(collected = true, "probe sent"));
    });
    drop(process);
    telemetry.flush().await;
    ExitCode::SUCCESS
}
