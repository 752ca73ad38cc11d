"""Middleware of every request."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from contextlib import suppress

from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.http.request import UnreadablePostError
from opentelemetry import trace

from .problems import Problem, malformed, render

logger = logging.getLogger(__name__)

# Bytes of a refused body that are read so that its connection can serve the next request.
DRAINED_AT_MOST = 1024 * 1024

Handler = Callable[[HttpRequest], HttpResponse]


class RequestContext:
    """Gives each request a trace id, also where tracing is off, and forbids caching."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Handle one request."""
        trace_id = _trace_id()
        request.trace_id = trace_id  # type: ignore[attr-defined]
        request.META["banyan.trace_id"] = trace_id  # read by gunicorn's access log
        response = self.get_response(request)
        response.headers.setdefault("Cache-Control", "no-store")
        return response


class ProblemAnswers:
    """Turns whatever a view raises into problem+json."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Handle one request."""
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse:
        """The answer for an exception; the unexpected is logged here and nowhere else."""
        if isinstance(error, RequestDataTooBig):
            _drain(request)
        return render(request, _problem(error))


def _drain(request: HttpRequest) -> None:
    """Read a body that is refused, within bounds: the server closes a connection with a rest in it."""
    left = DRAINED_AT_MOST
    with suppress(UnreadablePostError):
        while left > 0 and (chunk := request.read(min(left, 65_536))):
            left -= len(chunk)


def _problem(error: Exception) -> Problem:
    if isinstance(error, Problem):
        return error
    if isinstance(error, RequestDataTooBig):
        return Problem(413, "body-too-large", "Body too large", "The body is larger than this server accepts.")
    if isinstance(error, SuspiciousOperation | UnreadablePostError):
        return malformed("The request could not be read.")
    if isinstance(error, OperationalError | InterfaceError):
        logger.exception("the database did not answer")
        return Problem(
            503,
            "unavailable",
            "Service unavailable",
            "The request could not be handled now. Try again in a moment.",
            headers={"Retry-After": "2"},
        )
    logger.error("a view failed", exc_info=error)
    return Problem(500, "internal", "Internal error", "The request could not be handled.")


def _trace_id() -> str:
    span = trace.get_current_span().get_span_context()
    return trace.format_trace_id(span.trace_id) if span.is_valid else secrets.token_hex(16)
