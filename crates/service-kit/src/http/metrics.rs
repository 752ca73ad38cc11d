//! `/metrics`: the Prometheus text format, for everything that the process counts through the `metrics` crate.

use std::sync::OnceLock;
use std::time::Duration;

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};

/// Upper bounds of the buckets of every `…_seconds` histogram.
const SECONDS: [f64; 14] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

/// How often the recorder's buffers are emptied when nobody scrapes.
const UPKEEP: Duration = Duration::from_secs(5);

static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();

/// Installs the recorder of this process; a second call changes nothing.
pub(crate) fn install(service: &'static str, version: &'static str) -> Result<(), BuildError> {
    if HANDLE.get().is_none() {
        let recorder = PrometheusBuilder::new().set_buckets(&SECONDS)?.build_recorder();
        let handle = recorder.handle();
        // Only the first of several installs in one process (tests) counts; the others go on with its handle.
        if metrics::set_global_recorder(recorder).is_ok() {
            let _ = HANDLE.set(handle);
        }
    }
    metrics::gauge!("banyan_build_info", "service" => service, "version" => version).set(1);
    Ok(())
}

/// Empties the recorder's buffers now and then.
pub(crate) async fn refresh() {
    let mut interval = tokio::time::interval(UPKEEP);
    loop {
        interval.tick().await;
        if let Some(handle) = HANDLE.get() {
            handle.run_upkeep();
        }
    }
}

pub(super) async fn render() -> Response {
    let Some(handle) = HANDLE.get() else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    observe_process();
    (
        [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        handle.render(),
    )
        .into_response()
}

/// The size of the process, as the Prometheus client libraries name it.
fn observe_process() {
    if let Some(bytes) = resident_bytes() {
        #[allow(clippy::cast_precision_loss, reason = "memory sizes are far below 2^53")]
        metrics::gauge!("process_resident_memory_bytes").set(bytes as f64);
    }
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        #[allow(clippy::cast_precision_loss, reason = "file descriptors are far below 2^53")]
        metrics::gauge!("process_open_fds").set(open.count() as f64);
    }
}

/// The line `VmRSS:  12345 kB` of `/proc/self/status`; `None` on systems without it.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}
