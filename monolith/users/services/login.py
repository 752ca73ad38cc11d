"""Logging in."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.db import transaction
from django.utils import timezone

from common.problems import Problem
from users.models import LoginAttempt, User

from .sessions import Client, Tokens, open_session


def log_in(email: str, password: str, client: Client) -> tuple[User, Tokens]:
    """A session for the right password. The answer never tells whether the account exists."""
    _throttle(email)
    user = User.objects.select_related("profile").filter(email=email, is_active=True).first()
    if user is None:
        make_password(password)  # takes as long as checking one would
        correct = False
    else:
        # Also renews a hash that an older hasher or iteration count made.
        correct = user.check_password(password)
    if user is None or not correct:
        LoginAttempt.objects.create(user=user, email=email, ip_address=client.ip_address, succeeded=False)
        raise Problem(401, "invalid-credentials", "Invalid credentials", "The e-mail address or the password is wrong.")
    with transaction.atomic():
        LoginAttempt.objects.create(user=user, email=email, ip_address=client.ip_address, succeeded=True)
        User.objects.filter(pk=user.pk).update(last_login=timezone.now())
        return user, open_session(user, client)


def _throttle(email: str) -> None:
    window = timedelta(minutes=settings.LOGIN_FAILURE_WINDOW_MINUTES)
    recent = LoginAttempt.objects.filter(email=email, created_at__gt=timezone.now() - window)
    last_success = recent.filter(succeeded=True).order_by("-created_at").values("created_at").first()
    failures = recent.filter(succeeded=False)
    if last_success:
        failures = failures.filter(created_at__gt=last_success["created_at"])
    if failures.count() >= settings.LOGIN_FAILURES_ALLOWED:
        raise Problem(
            429,
            "too-many-requests",
            "Too many requests",
            "There were too many failed logins. Try again later.",
            headers={"Retry-After": str(int(window.total_seconds()))},
        )
