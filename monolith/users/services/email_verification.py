"""Proving an e-mail address."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from common.problems import Problem
from common.times import rfc3339
from notifications.services.announce import announce
from users.models import EmailAddress, EmailVerification
from users.onetime import hash_token


def verify_email(token: str) -> None:
    """Mark the address of a mailed token as proven."""
    now = timezone.now()
    with transaction.atomic():
        link = EmailVerification.objects.filter(token_hash=hash_token(token), used_at=None, expires_at__gt=now)
        # The address is locked before its links, as everywhere.
        address = EmailAddress.objects.select_for_update().filter(verifications__in=link).first()
        if address is None or not link.update(used_at=now):
            raise Problem(400, "invalid-token", "Invalid token", "The link is not valid or has expired.")
        if address.verified_at is None:
            mark_verified(address, now)


def mark_verified(address: EmailAddress, now: datetime) -> None:
    """Note that an address is proven, and tell of it. Runs inside the caller's transaction."""
    address.verified_at = now
    address.save(update_fields=["verified_at"])
    announce(
        "user.email-verified",
        {"userId": address.user_id, "email": address.email, "verifiedAt": rfc3339(now)},
        subject=f"user/{address.user_id}",
        user_id=address.user_id,
        object_id=address.pk,
    )
