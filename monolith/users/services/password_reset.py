"""A forgotten password."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from common.problems import Problem
from common.times import rfc3339
from notifications.services.announce import announce
from users.models import PasswordReset, User
from users.onetime import hash_token, new_nonce, token_for
from users.passwords import check_password_rules

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
        reset = (
            PasswordReset.objects.select_for_update(of=("self",))
            .select_related("user__profile")
            .filter(token_hash=hash_token(token), used_at=None, expires_at__gt=timezone.now())
            .first()
        )
        if reset is None or not reset.user.is_active:
            raise Problem(400, "invalid-token", "Invalid token", "The link is not valid or has expired.")
        user = reset.user
        check_password_rules(password, user, display_name=user.profile.display_name)
        user.set_password(password)
        user.save(update_fields=["password", "updated_at"])
        now = timezone.now()
        # The other open links of this user end with it.
        user.password_resets.filter(used_at=None).update(used_at=now)
        close_all_sessions(user)
