"""Tables of the payments domain."""

from .currencies import Currency
from .customers import Customer, PaymentMethod
from .payments import AttemptStatus, Payment, PaymentAttempt, PaymentStatus, PaymentStatusChange

__all__ = [
    "AttemptStatus",
    "Currency",
    "Customer",
    "Payment",
    "PaymentAttempt",
    "PaymentMethod",
    "PaymentStatus",
    "PaymentStatusChange",
]
