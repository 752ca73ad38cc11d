"""gunicorn's configuration; `gunicorn -c gunicorn.conf.py monolith.wsgi` from this folder."""

import logging
import os
import sys
from typing import Any

from gunicorn.glogging import Logger

from monolith.logs import JsonFormatter

bind = os.environ.get("MONOLITH_BIND", "127.0.0.1:8000")
worker_class = "gthread"
workers = int(os.environ.get("MONOLITH_WORKERS", "2"))
threads = int(os.environ.get("MONOLITH_THREADS", "8"))
# Longer than the time limit of a call to Stripe, so that a slow charge is not cut off.
timeout = 60
graceful_timeout = 30
keepalive = 30
limit_request_line = 8190
limit_request_fields = 64
limit_request_field_size = 8190
accesslog = "-"
errorlog = "-"
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None
control_socket_disable = True
proc_name = "banyan-monolith"


class JsonLogger(Logger):
    """gunicorn's own messages and one line per request, as JSON on stdout."""

    def setup(self, cfg: Any) -> None:
        """Replace gunicorn's handlers."""
        super().setup(cfg)
        handler = logging.StreamHandler(sys.stdout)
        handler.setFormatter(JsonFormatter())
        self.error_log.handlers = [handler]
        self.access_log.handlers = [handler]

    def access(self, resp: Any, req: Any, environ: dict[str, Any], request_time: Any) -> None:
        """One line per answer: path without its query, no headers, no addresses."""
        # HEAD and GET of the probes would drown the rest.
        if environ.get("PATH_INFO") in {"/healthz", "/readyz"}:
            return
        self.access_log.info(
            "request",
            extra={
                "method": environ.get("REQUEST_METHOD"),
                "path": environ.get("PATH_INFO"),
                "status": int(str(resp.status).split(None, 1)[0]),
                "duration_ms": round(request_time.total_seconds() * 1000, 1),
                "bytes": getattr(resp, "sent", None),
                "trace_id": environ.get("banyan.trace_id"),
            },
        )


logger_class = JsonLogger


def post_fork(server: Any, worker: Any) -> None:
    """Exporter threads do not survive a fork: each worker starts its own."""
    from banyan.telemetry import setup

    setup("monolith")
