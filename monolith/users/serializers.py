"""Users as JSON."""

from __future__ import annotations

from typing import Any

from common.times import rfc3339

from .models import Session, User
from .services.sessions import Tokens


def user_json(user: User) -> dict[str, Any]:
    """The user as clients see it."""
    verified = user.email_addresses.filter(is_primary=True, verified_at__isnull=False).exists()
    return {
        "id": user.pk,
        "email": user.email,
        "displayName": user.profile.display_name,
        "locale": user.profile.locale,
        "preferredChannel": user.profile.preferred_channel,
        "emailVerified": verified,
        "createdAt": rfc3339(user.created_at),
    }


def session_json(session: Session, *, current: bool) -> dict[str, Any]:
    """A session as its user sees it; `current` is the one that asks."""
    return {
        "id": session.pk,
        "createdAt": rfc3339(session.created_at),
        "lastUsedAt": rfc3339(session.last_used_at),
        "expiresAt": rfc3339(session.expires_at),
        "userAgent": session.user_agent or None,
        "ipAddress": session.ip_address,
        "current": current,
    }


def tokens_json(tokens: Tokens) -> dict[str, Any]:
    """A pair of tokens; `expiresIn` in seconds."""
    return {
        "accessToken": tokens.access_token,
        "refreshToken": tokens.refresh_token,
        "expiresIn": tokens.expires_in,
    }


def account_json(user: User, tokens: Tokens) -> dict[str, Any]:
    """The answer of sign-up and login."""
    return {"user": user_json(user), **tokens_json(tokens)}
