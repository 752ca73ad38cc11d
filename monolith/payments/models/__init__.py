"""Tables of the payments domain."""

from .currencies import Currency, ExchangeRate
from .customers import Customer, PaymentMethod
from .disputes import Dispute, DisputeEvidence, DisputeStatus, EvidenceKind
from .fees import Fee, FeeSchedule
from .invoices import Invoice, InvoiceLine, InvoiceStatus
from .ledger import AccountKind, LedgerAccount, LedgerEntry, LedgerTransaction, TransactionKind
from .payments import AttemptStatus, Operation, Payment, PaymentAttempt, PaymentStatus, PaymentStatusChange
from .payouts import Payout, PayoutItem, PayoutStatus
from .refunds import Refund, RefundReason, RefundStatus
from .subscriptions import (
    LIVE,
    RENEWABLE,
    Coupon,
    Duration,
    Interval,
    Plan,
    Subscription,
    SubscriptionStatus,
)
from .webhooks import StripeWebhookEvent, WebhookStatus

__all__ = [
    "LIVE",
    "RENEWABLE",
    "AccountKind",
    "AttemptStatus",
    "Coupon",
    "Currency",
    "Customer",
    "Dispute",
    "DisputeEvidence",
    "DisputeStatus",
    "Duration",
    "EvidenceKind",
    "ExchangeRate",
    "Fee",
    "FeeSchedule",
    "Interval",
    "Invoice",
    "InvoiceLine",
    "InvoiceStatus",
    "LedgerAccount",
    "LedgerEntry",
    "LedgerTransaction",
    "Operation",
    "Payment",
    "PaymentAttempt",
    "PaymentMethod",
    "PaymentStatus",
    "PaymentStatusChange",
    "Payout",
    "PayoutItem",
    "PayoutStatus",
    "Plan",
    "Refund",
    "RefundReason",
    "RefundStatus",
    "StripeWebhookEvent",
    "Subscription",
    "SubscriptionStatus",
    "TransactionKind",
    "WebhookStatus",
]
