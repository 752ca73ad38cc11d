"""Who is calling."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse

from common.problems import Problem, unauthenticated

from . import jwt
from .services.sessions import is_open

View = Callable[..., HttpResponse]


class AuthenticatedRequest(HttpRequest):
    """A request whose bearer token was valid."""

    caller: jwt.Claims


def authenticated(view: View) -> View:
    """Let only callers with a valid bearer token of an open session through; `request.caller` says who it is."""

    @wraps(view)
    def checked(request: AuthenticatedRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise unauthenticated("Send an access token: `Authorization: Bearer <token>`.", token_sent=False)
        try:
            caller = jwt.verify(token.strip())
        except jwt.InvalidToken:
            raise unauthenticated("The access token is not valid or has expired.", token_sent=True) from None
        # A token outlives its session by up to its lifetime: whoever logged out is refused at once.
        if not is_open(caller.session_id, caller.user_id):
            raise unauthenticated("The session of the access token has ended.", token_sent=True)
        request.caller = caller
        return view(request, *args, **kwargs)

    return checked


def staff_only(view: View) -> View:
    """As `authenticated`, for members of staff alone."""

    @authenticated
    @wraps(view)
    def checked(request: AuthenticatedRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not request.caller.staff:
            raise Problem(403, "forbidden", "Forbidden", "This is for members of staff.")
        return view(request, *args, **kwargs)

    return checked
