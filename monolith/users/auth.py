"""Who is calling."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse

from common.problems import unauthenticated

from . import jwt

View = Callable[..., HttpResponse]


class AuthenticatedRequest(HttpRequest):
    """A request whose bearer token was valid."""

    caller: jwt.Claims


def authenticated(view: View) -> View:
    """Let only callers with a valid bearer token through; `request.caller` says who it is."""

    @wraps(view)
    def checked(request: AuthenticatedRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise unauthenticated("Send an access token: `Authorization: Bearer <token>`.", token_sent=False)
        try:
            request.caller = jwt.verify(token.strip())
        except jwt.InvalidToken:
            raise unauthenticated("The access token is not valid or has expired.", token_sent=True) from None
        return view(request, *args, **kwargs)

    return checked
