"""Liveness and readiness."""

from __future__ import annotations

from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse
from kombu.exceptions import OperationalError

from monolith.celery import app


def healthz(_: HttpRequest) -> JsonResponse:
    """The process runs."""
    return JsonResponse({"status": "ok"})


def readyz(_: HttpRequest) -> JsonResponse:
    """The database answers.

    The broker is reported but does not decide: without it requests still succeed, and the
    periodic `deliver_pending` sends what could not be queued.
    """
    database, broker = _database(), _broker()
    ready = database == "ok"
    return JsonResponse(
        {"status": "ready" if ready else "unavailable", "database": database, "broker": broker},
        status=200 if ready else 503,
    )


def _database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return "unavailable"
    return "ok"


def _broker() -> str:
    try:
        with app.connection_for_write(connect_timeout=1) as broker:
            broker.ensure_connection(max_retries=1, interval_start=0, interval_step=0, timeout=1)
    except (OperationalError, OSError):
        return "unavailable"
    return "ok"
