"""A forgotten password."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from common.problems import Problem
from common.times import rfc3339
from notifications.services.announce import announce
from users.models import PasswordReset, User
from users.onetime import hash_token, new_nonce, token_for
from users.passwords import check_password_rules

from .email_verification import mark_verified
from .sessions import close_all_sessions


def request_reset(email: str) -> None:
    """Mail a reset link, if there is such an account; the caller cannot tell."""
    user = User.objects.filter(email=email, is_active=True).first()
    if user is None:
        return
    now = timezone.now()
    recent = PasswordReset.objects.filter(user=user, created_at__gt=now - timedelta(hours=1)).count()
    if recent >= settings.PASSWORD_RESETS_PER_HOUR:
        return
    nonce = new_nonce()
    token = token_for("password-reset", nonce)
    expires_at = now + timedelta(minutes=settings.PASSWORD_RESET_MINUTES)
    with transaction.atomic():
        reset = PasswordReset.objects.create(
            user=user, nonce=nonce, token_hash=hash_token(token), expires_at=expires_at
        )
        announce(
            "user.password-reset",
            {
                "userId": user.pk,
                "email": user.email,
                "resetToken": token,
                "expiresAt": rfc3339(expires_at),
            },
            subject=f"user/{user.pk}",
            user_id=user.pk,
            object_id=reset.pk,
        )


def confirm_reset(token: str, password: str) -> None:
    """Set a new password with a mailed token, and end every session."""
    with transaction.atomic():
        now = timezone.now()
        link = PasswordReset.objects.filter(token_hash=hash_token(token), used_at=None, expires_at__gt=now)
        # The user is locked before what belongs to them, as everywhere.
        users = User.objects.select_for_update(of=("self",)).select_related("profile")
        user = users.filter(password_resets__in=link, is_active=True).first()
        if user is None or not link.exists():
            raise Problem(400, "invalid-token", "Invalid token", "The link is not valid or has expired.")
        check_password_rules(password, user, display_name=user.profile.display_name)
        user.set_password(password)
        user.save(update_fields=["password", "updated_at"])
        # This link and the other open ones of this user end with it.
        user.password_resets.filter(used_at=None).update(used_at=now)
        _prove_address(user, now)
        close_all_sessions(user)


def _prove_address(user: User, now: datetime) -> None:
    """Whoever read the mailed link holds the address; links of an earlier address ended with it."""
    address = user.email_addresses.select_for_update().filter(is_primary=True, verified_at=None).first()
    if address is not None:
        mark_verified(address, now)
