"""Which events the old path mails about."""

from __future__ import annotations

from dataclasses import dataclass

from .models import Category


@dataclass(frozen=True)
class Kind:
    """A kind of mail."""

    template: str
    """Name of its template."""
    category: Category
    mandatory: bool = False
    """Sent whatever the preferences say."""


KINDS: dict[str, Kind] = {
    "payment.completed": Kind("payment-completed", Category.PAYMENTS),
    "payment.failed": Kind("payment-failed", Category.PAYMENTS),
    "payment.refunded": Kind("payment-refunded", Category.PAYMENTS),
    "user.signup": Kind("user-signup", Category.ACCOUNT, mandatory=True),
    "user.password-reset": Kind("user-password-reset", Category.ACCOUNT, mandatory=True),
    "user.email-verified": Kind("user-email-verified", Category.ACCOUNT),
    "report.export-ready": Kind("report-export-ready", Category.REPORTS),
}

# The daily summary, which no single event causes.
DIGEST_TEMPLATE = "daily-digest"
