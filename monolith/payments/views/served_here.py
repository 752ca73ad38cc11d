"""Whom this side serves, while payments move to the service user by user."""

from __future__ import annotations

from banyan.ownership import moving

from users.auth import View, authenticated


def served_here(view: View) -> View:
    """As `authenticated`, for users whose payments are this side's; requests of others are handed over."""
    return authenticated(moving("payments", user=lambda request: request.caller.user_id)(view))
