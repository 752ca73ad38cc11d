"""Which events the old path mails about."""

from __future__ import annotations

from dataclasses import dataclass

from .models import Category


@dataclass(frozen=True)
class Kind:
    """A kind of mail."""

    template: str
    """Name of the templates below `templates/mail/`."""
    task: str
    """The Celery task that sends it."""
    category: Category
    mandatory: bool = False
    """Sent whatever the preferences say."""


KINDS: dict[str, Kind] = {
    "payment.completed": Kind("payment-completed", "notifications.send_payment_email", Category.PAYMENTS),
    "payment.failed": Kind("payment-failed", "notifications.send_payment_failed_email", Category.PAYMENTS),
    "user.signup": Kind("user-signup", "notifications.send_signup_email", Category.ACCOUNT, mandatory=True),
    "user.password-reset": Kind(
        "user-password-reset", "notifications.send_password_reset_email", Category.ACCOUNT, mandatory=True
    ),
    "user.email-verified": Kind("user-email-verified", "notifications.send_email_verified_email", Category.ACCOUNT),
}
