"""Errors as RFC 9457 `application/problem+json`."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, JsonResponse

TYPE_PREFIX = "urn:banyan:problem:"


class Problem(Exception):
    """An answer other than success; raised anywhere below a view, rendered by the middleware."""

    def __init__(
        self,
        status: int,
        slug: str,
        title: str,
        detail: str,
        *,
        errors: list[dict[str, str]] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.slug = slug
        self.title = title
        self.detail = detail
        self.errors = errors
        self.headers = headers or {}


def invalid(errors: list[dict[str, str]]) -> Problem:
    """422: the body was understood, but fields of it cannot be accepted."""
    names = ", ".join(dict.fromkeys(error["field"] for error in errors))
    return Problem(422, "invalid", "Invalid content", f"These fields are not valid: {names}.", errors=errors)


def field_error(field: str, message: str) -> Problem:
    """422 for one field."""
    return invalid([{"field": field, "message": message}])


def malformed(detail: str) -> Problem:
    """400: the request could not be read."""
    return Problem(400, "bad-request", "Bad request", detail)


def unauthenticated(detail: str, *, token_sent: bool) -> Problem:
    """401 with the challenge of RFC 6750 section 3."""
    challenge = 'Bearer error="invalid_token"' if token_sent else "Bearer"
    return Problem(401, "unauthenticated", "Not authenticated", detail, headers={"WWW-Authenticate": challenge})


def missing(what: str) -> Problem:
    """404: there is none, or it is not the caller's; the answer does not tell which."""
    return Problem(404, "not-found", "Not found", f"There is no such {what}.")


def render(request: HttpRequest, problem: Problem) -> JsonResponse:
    """The response for a problem."""
    body: dict[str, Any] = {
        "type": TYPE_PREFIX + problem.slug,
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        "traceId": getattr(request, "trace_id", None),
    }
    if problem.errors is not None:
        body["errors"] = problem.errors
    return JsonResponse(body, status=problem.status, headers=problem.headers, content_type="application/problem+json")
