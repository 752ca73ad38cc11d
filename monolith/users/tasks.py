"""Background jobs of the users app."""

from __future__ import annotations

from datetime import timedelta

from celery import shared_task
from django.db.models import Q
from django.utils import timezone

from .models import EmailVerification, LoginAttempt, PasswordReset, Session


@shared_task(name="users.purge_expired_tokens")
def purge_expired_tokens() -> None:
    """Delete tokens, sessions and login attempts that can no longer matter."""
    week_ago = timezone.now() - timedelta(days=7)
    EmailVerification.objects.filter(expires_at__lt=week_ago).delete()
    PasswordReset.objects.filter(expires_at__lt=week_ago).delete()
    Session.objects.filter(Q(expires_at__lt=week_ago) | Q(revoked_at__lt=week_ago)).delete()
    LoginAttempt.objects.filter(created_at__lt=week_ago).delete()
