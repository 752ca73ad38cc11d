"""Guessing passwords is made slow: failures close the door of an account, and of an address, for a while."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

from common.problems import Problem
from users.models import LoginAttempt, User

from .sessions import Client


def right_password(user: User | None, email: str, password: str, client: Client) -> bool:
    """Check a password and keep the attempt; 429 when there were too many. Takes as long for nobody's address."""
    attempt = _begin(user, email, client)
    if user is None:
        make_password(password)
        return False
    # Also renews a hash that an older hasher or iteration count made.
    if not user.check_password(password):
        return False
    attempt.succeeded = True
    attempt.save(update_fields=["succeeded"])
    return True


def _begin(user: User | None, email: str, client: Client) -> LoginAttempt:
    """Note the attempt as failed before the slow check, so that many at once cannot pass the limit together."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('users.login:' || %s, 0))", [email])
        now = timezone.now()
        recent = LoginAttempt.objects.filter(created_at__gt=now - _window())
        _refuse_above(settings.LOGIN_FAILURES_ALLOWED, _since_success(recent.filter(email=email)), now)
        if client.ip_address:
            of_address = recent.filter(ip_address=client.ip_address, succeeded=False)
            _refuse_above(settings.LOGIN_FAILURES_ALLOWED_PER_ADDRESS, of_address, now)
        return LoginAttempt.objects.create(user=user, email=email, ip_address=client.ip_address, succeeded=False)


def _since_success(attempts: QuerySet[LoginAttempt]) -> QuerySet[LoginAttempt]:
    """Failures after the last success, which forgives those before it. An address is never forgiven:
    whoever guesses has an account of their own to log in to."""
    last = attempts.filter(succeeded=True).order_by("-created_at").values_list("created_at", flat=True).first()
    failures = attempts.filter(succeeded=False)
    return failures.filter(created_at__gt=last) if last else failures


def _refuse_above(allowed: int, failures: QuerySet[LoginAttempt], now: datetime) -> None:
    """429 until the oldest of the newest `allowed` failures is out of the window."""
    newest = failures.order_by("-created_at").values_list("created_at", flat=True)[:allowed]
    counted = list(newest)
    if len(counted) < allowed:
        return
    wait = counted[-1] + _window() - now
    raise Problem(
        429,
        "too-many-attempts",
        "Too many attempts",
        "There were too many wrong passwords. Try again later.",
        headers={"Retry-After": str(max(1, round(wait.total_seconds())))},
    )


def _window() -> timedelta:
    return timedelta(minutes=settings.LOGIN_FAILURE_WINDOW_MINUTES)
