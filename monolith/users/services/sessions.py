"""Sessions and their tokens."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from common.problems import Problem
from users import jwt
from users.models import Session, User
from users.onetime import hash_token

# Ids from here on belong to rows that were born in the extracted users service.
FIRST_FOREIGN_ID = 2**40


@dataclass(frozen=True)
class Client:
    """Where a request came from."""

    ip_address: str | None
    user_agent: str


@dataclass(frozen=True)
class Tokens:
    """What a client holds of a session."""

    access_token: str
    refresh_token: str
    expires_in: int


def open_session(user: User, client: Client) -> Tokens:
    """A new session for a user. Runs inside the caller's transaction."""
    now = timezone.now()
    refresh_token = secrets.token_urlsafe(32)
    session = Session.objects.create(
        user=user,
        refresh_token_hash=hash_token(refresh_token),
        user_agent=client.user_agent[:200],
        ip_address=client.ip_address,
        last_used_at=now,
        expires_at=now + timedelta(days=settings.SESSION_LIFETIME_DAYS),
    )
    return _tokens(session, refresh_token)


def refresh(refresh_token: str) -> Tokens:
    """Trade a refresh token for new tokens; it works once.

    A token that was traded before is in two hands, so its session ends.
    """
    now = timezone.now()
    presented = hash_token(refresh_token)
    with transaction.atomic():
        session = (
            Session.objects.select_for_update(of=("self",))
            .select_related("user")
            .filter(Q(refresh_token_hash=presented) | Q(previous_token_hash=presented))
            .first()
        )
        if session is None or session.revoked_at or session.expires_at <= now or not session.user.is_active:
            raise _refused()
        stolen = session.refresh_token_hash != presented
        if stolen:
            session.revoked_at = now
            session.save(update_fields=["revoked_at"])
        else:
            following = secrets.token_urlsafe(32)
            session.previous_token_hash = presented
            session.refresh_token_hash = hash_token(following)
            session.last_used_at = now
            session.expires_at = now + timedelta(days=settings.SESSION_LIFETIME_DAYS)
            session.save()
    # Raised outside the transaction, so that the revocation stays.
    if stolen:
        raise _refused()
    return _tokens(session, following)


def is_open(session_id: int, user_id: int) -> bool:
    """Whether the access tokens of a session still count."""
    row = Session.objects.filter(pk=session_id).values_list("user_id", "revoked_at", "expires_at", "user__is_active")
    session = row.first()
    if session is not None:
        owner, revoked_at, expires_at, active = session
        return owner == user_id and active and revoked_at is None and expires_at > timezone.now()
    if session_id < FIRST_FOREIGN_ID:
        return False
    # The users service opened it a moment ago, and its row is still on the way here.
    return not User.objects.filter(pk=user_id, is_active=False).exists()


def open_sessions(user_id: int) -> QuerySet[Session]:
    """The sessions that a user is logged in with."""
    return Session.objects.filter(user_id=user_id, revoked_at=None, expires_at__gt=timezone.now())


def close_session(user_id: int, session_id: int) -> bool:
    """End a session of a user; whether it was open."""
    return open_sessions(user_id).filter(pk=session_id).update(revoked_at=timezone.now()) > 0


def close_all_sessions(user: User) -> None:
    """End every session of a user."""
    user.sessions.filter(revoked_at=None).update(revoked_at=timezone.now())


def _tokens(session: Session, refresh_token: str) -> Tokens:
    return Tokens(
        access_token=jwt.issue(session.user_id, session.pk, timezone.now(), staff=session.user.is_staff),
        refresh_token=refresh_token,
        expires_in=settings.JWT_LIFETIME_SECONDS,
    )


def _refused() -> Problem:
    return Problem(401, "invalid-token", "Invalid token", "The refresh token is not valid. Log in again.")
