"""Dispatch by method, and the answers of paths that no view serves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse

from .problems import Problem, malformed, render

View = Callable[..., HttpResponse]


def by_method(**views: View) -> View:
    """One path's view: `by_method(GET=list_payments, POST=charge)`. Other methods get a 405."""
    allowed = ", ".join(sorted({*views, *(["HEAD"] if "GET" in views else []), "OPTIONS"}))

    def dispatch(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.method == "OPTIONS":
            return HttpResponse(status=204, headers={"Allow": allowed})
        view = views.get("GET" if request.method == "HEAD" else request.method or "")
        if view is None:
            raise Problem(
                405,
                "method-not-allowed",
                "Method not allowed",
                f"{request.method} is not possible here.",
                headers={"Allow": allowed},
            )
        return view(request, *args, **kwargs)

    # Each pair of path and method is one operation of the public API.
    dispatch.operations = views  # type: ignore[attr-defined]
    return dispatch


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """A request that is refused before any view, such as one with an impossible Host."""
    return render(request, malformed("The request could not be read."))


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """No path matched."""
    return render(request, Problem(404, "not-found", "Not found", "There is nothing at this path."))


def server_error(request: HttpRequest) -> HttpResponse:
    """An error outside of any view."""
    return render(request, Problem(500, "internal", "Internal error", "The request could not be handled."))
