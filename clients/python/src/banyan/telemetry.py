"""OpenTelemetry for a Django code base: traces of requests, queries and Celery tasks, exported as OTLP over HTTP."""

from __future__ import annotations

import importlib
import logging
import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

logger = logging.getLogger("banyan.telemetry")

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_DEFAULTS = {
    # The stable names of the semantic conventions, the same as the services in Rust write.
    "OTEL_SEMCONV_STABILITY_OPT_IN": "http,database",
    # Probes would drown the rest.
    "OTEL_PYTHON_DJANGO_EXCLUDED_URLS": "healthz,readyz,metrics",
}
_TIMEOUTS = ("OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT")
_TIMEOUT_SECONDS = 2.0
"""How long one export may take with its retries. The SDK's own 10 s would hold up the end of a process that long."""

_lock = threading.Lock()
_done = False


def setup(service_name: str) -> bool:
    """Turn tracing on in this process and in every process forked from it; True when it is on.

    Call it once `DJANGO_SETTINGS_MODULE` is set and before the WSGI application is made: at the top of `wsgi.py` and of
    the module with the Celery application, or in gunicorn's `post_fork` (without `preload_app`) and Celery's
    `worker_process_init`. Calling it again changes nothing.

    Spans are exported when `OTEL_EXPORTER_OTLP_ENDPOINT` is set; without it events and tasks still carry their trace.
    The standard `OTEL_*` variables hold: `OTEL_SERVICE_NAME` wins over `service_name`, `OTEL_SDK_DISABLED=true` turns
    everything off. It never raises: an application without traces is better than none, so a problem is logged.
    """
    global _done  # noqa: PLW0603 - one per process
    with _lock:
        if _done:
            return True
        if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
            return False
        try:
            _set_provider(service_name)
        except ImportError as error:
            logger.warning("tracing is off: %s; install banyan-django[telemetry]", error)
            return False
        except Exception:
            logger.exception("tracing is off")
            return False
        _done = True
    for name, instrument in (("Django", _django), ("psycopg", _psycopg), ("Celery", _celery)):
        try:
            instrument()
        except Exception:
            logger.exception("%s is not traced", name)
    return True


def _set_provider(service_name: str) -> None:
    from opentelemetry import trace  # noqa: PLC0415 - an extra
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415

    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    if isinstance(trace.get_tracer_provider(), TracerProvider):
        return  # The application has its own, say from `opentelemetry-instrument`: it stays.
    resource = Resource.create({SERVICE_NAME: os.environ.get("OTEL_SERVICE_NAME") or service_name})
    provider = TracerProvider(resource=resource)
    if any(os.environ.get(name) for name in _ENDPOINTS):
        provider.add_span_processor(_per_process(_otlp))
    trace.set_tracer_provider(provider)


def _otlp() -> BatchSpanProcessor:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    timeout = None if any(os.environ.get(name) for name in _TIMEOUTS) else _TIMEOUT_SECONDS
    return BatchSpanProcessor(OTLPSpanExporter(timeout=timeout))


def _per_process(make: Callable[[], BatchSpanProcessor]) -> SpanProcessor:
    """Return a processor that makes its exporter in the process that ends the first span.

    An exporter made before a fork leaves its children without its thread and with its parent's connection.
    """
    from opentelemetry.sdk.trace import SpanProcessor  # noqa: PLC0415

    class PerProcess(SpanProcessor):
        def __init__(self) -> None:
            self._forget()
            if hasattr(os, "register_at_fork"):
                os.register_at_fork(after_in_child=self._forget)

        def _forget(self) -> None:
            self._lock = threading.Lock()
            self._exporting: BatchSpanProcessor | None = None
            self._broken = False

        def on_start(self, span: Span, parent_context: Any = None) -> None:
            pass

        def on_end(self, span: ReadableSpan) -> None:
            if self._exporting is None and not self._broken:
                with self._lock:
                    self._start()
            if self._exporting is not None:
                self._exporting.on_end(span)

        def _start(self) -> None:
            if self._exporting is None and not self._broken:
                try:
                    self._exporting = make()
                except Exception:  # A span ends in the middle of a request.
                    self._broken = True
                    logger.exception("spans are not exported")

        def force_flush(self, timeout_millis: int = 30_000) -> bool:
            exporting = self._exporting
            return exporting is None or exporting.force_flush(timeout_millis)

        def shutdown(self) -> None:
            if self._exporting is not None:
                self._exporting.shutdown()  # type: ignore[no-untyped-call]

    return PerProcess()


def _django() -> None:
    from django.conf import ENVIRONMENT_VARIABLE, settings  # noqa: PLC0415

    if not settings.configured and not os.environ.get(ENVIRONMENT_VARIABLE):
        logger.warning("requests are not traced: %s was not set when setup() was called", ENVIRONMENT_VARIABLE)
        return
    try:
        _ = settings.MIDDLEWARE
    except Exception as error:
        # The instrumentation would put empty settings in the place of broken ones. The application meets the same
        # error next, and should.
        logger.warning("requests are not traced: the settings cannot be read (%s)", type(error).__name__)
        return
    _instrument("opentelemetry.instrumentation.django", "DjangoInstrumentor")


def _psycopg() -> None:
    _instrument("opentelemetry.instrumentation.psycopg", "PsycopgInstrumentor")


def _celery() -> None:
    try:
        signals = importlib.import_module("celery.signals")
    except ImportError:
        return  # Not every Django code base has Celery.
    _instrument("opentelemetry.instrumentation.celery", "CeleryInstrumentor")
    # Celery's worker processes end without running exit handlers.
    signals.worker_process_shutdown.connect(_shut_down, weak=False)


def _instrument(module: str, name: str) -> None:
    instrumentor = getattr(importlib.import_module(module), name)()
    if not instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.instrument()


def _shut_down(**_: Any) -> None:
    from opentelemetry import trace  # noqa: PLC0415

    shutdown = getattr(trace.get_tracer_provider(), "shutdown", None)
    if shutdown is not None:
        shutdown()
