"""What mails are made of: each event's rows, read from the tables of the domain that they belong to."""

from .accounts import password_reset, sign_up, verified_address
from .letter import Letter, Source
from .payments import payment
from .refunds import refund
from .reports import export

SOURCES: dict[str, Source] = {
    "payment.completed": payment,
    "payment.failed": payment,
    "payment.refunded": refund,
    "user.signup": sign_up,
    "user.password-reset": password_reset,
    "user.email-verified": verified_address,
    "report.export-ready": export,
}

__all__ = ["SOURCES", "Letter", "Source"]
