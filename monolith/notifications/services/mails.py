"""Composing mails. Reads payments and users directly, as it always did."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.template.loader import render_to_string

from payments.models import Payment
from payments.money import format_amount
from users.models import EmailAddress, EmailVerification, PasswordReset, User
from users.onetime import token_for


@dataclass(frozen=True)
class Mail:
    """A composed mail."""

    to: str
    subject: str
    text: str
    html: str


def compose(event_type: str, template: str, object_id: int) -> Mail:
    """The mail for an event about a row."""
    address, context = _SOURCES[event_type](object_id)
    return Mail(
        to=address,
        # A header is one line, whatever a template's author typed.
        subject=" ".join(render_to_string(f"mail/{template}.subject.txt", context).split()),
        text=render_to_string(f"mail/{template}.txt", context),
        html=render_to_string(f"mail/{template}.html", context),
    )


def _payment(payment_id: int) -> tuple[str, dict[str, Any]]:
    payment = Payment.objects.select_related("user__profile", "currency").get(pk=payment_id)
    return payment.user.email, {
        **_greeting(payment.user),
        "payment": payment,
        "amount": format_amount(payment.amount, payment.currency.decimals),
    }


def _verification(verification_id: int) -> tuple[str, dict[str, Any]]:
    verification = EmailVerification.objects.select_related("email_address__user__profile").get(pk=verification_id)
    token = token_for("email-verification", verification.nonce)
    return verification.email_address.email, {
        **_greeting(verification.email_address.user),
        "link": f"{settings.PUBLIC_BASE_URL}/verify-email?token={token}",
    }


def _password_reset(reset_id: int) -> tuple[str, dict[str, Any]]:
    reset = PasswordReset.objects.select_related("user__profile").get(pk=reset_id)
    token = token_for("password-reset", reset.nonce)
    return reset.user.email, {
        **_greeting(reset.user),
        "link": f"{settings.PUBLIC_BASE_URL}/reset-password?token={token}",
        "expires_at": reset.expires_at,
    }


def _verified_address(address_id: int) -> tuple[str, dict[str, Any]]:
    address = EmailAddress.objects.select_related("user__profile").get(pk=address_id)
    return address.email, {**_greeting(address.user), "verified_at": address.verified_at}


def _greeting(user: User) -> dict[str, Any]:
    return {"name": user.profile.display_name}


_SOURCES: dict[str, Callable[[int], tuple[str, dict[str, Any]]]] = {
    "payment.completed": _payment,
    "payment.failed": _payment,
    "user.signup": _verification,
    "user.password-reset": _password_reset,
    "user.email-verified": _verified_address,
}
