"""Mails about accounts, read from the users tables. The tokens of links are computed anew: nobody stored them."""

from __future__ import annotations

from django.conf import settings

from users.models import EmailAddress, EmailVerification, PasswordReset
from users.onetime import token_for

from .letter import Letter


def sign_up(verification_id: int) -> Letter:
    """The welcome, with the link that proves the address."""
    row = EmailVerification.objects.select_related("email_address__user__profile").get(pk=verification_id)
    token = token_for("email-verification", row.nonce)
    link = f"{settings.PUBLIC_BASE_URL}/verify-email?token={token}"
    return Letter(row.email_address.user, row.email_address.email, {"link": link})


def password_reset(reset_id: int) -> Letter:
    """The link to set a new password."""
    row = PasswordReset.objects.select_related("user__profile").get(pk=reset_id)
    link = f"{settings.PUBLIC_BASE_URL}/reset-password?token={token_for('password-reset', row.nonce)}"
    return Letter(row.user, row.user.email, {"link": link, "expires_at": row.expires_at})


def verified_address(address_id: int) -> Letter:
    """The confirmation that an address was proven."""
    row = EmailAddress.objects.select_related("user__profile").get(pk=address_id)
    return Letter(row.user, row.email, {"verified_at": row.verified_at})
