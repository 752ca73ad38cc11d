"""Proving an e-mail address."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from common.problems import Problem
from common.times import rfc3339
from notifications.services.announce import announce
from users.models import EmailVerification
from users.onetime import hash_token


def verify_email(token: str) -> None:
    """Mark the address of a mailed token as proven."""
    now = timezone.now()
    with transaction.atomic():
        verification = (
            EmailVerification.objects.select_for_update(of=("self", "email_address"))
            .select_related("email_address")
            .filter(token_hash=hash_token(token), used_at=None, expires_at__gt=now)
            .first()
        )
        if verification is None:
            raise Problem(400, "invalid-token", "Invalid token", "The link is not valid or has expired.")
        verification.used_at = now
        verification.save(update_fields=["used_at"])
        address = verification.email_address
        if address.verified_at is not None:
            return
        address.verified_at = now
        address.save(update_fields=["verified_at"])
        announce(
            "user.email-verified",
            {"userId": address.user_id, "email": address.email, "verifiedAt": rfc3339(now)},
            subject=f"user/{address.user_id}",
            user_id=address.user_id,
            object_id=address.pk,
        )
