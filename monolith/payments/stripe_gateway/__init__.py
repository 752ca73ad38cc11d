"""Calls to Stripe, and what their answers mean. Never called with a transaction open."""

from .cards import Card, MethodRefused, attach_card, create_customer, detach_card, find_card
from .client import StripeUnavailable, _client
from .disputes import get_dispute
from .intents import (
    ChargeRequest,
    FoundIntent,
    Outcome,
    Result,
    cancel,
    capture,
    charge,
    find_intent,
    get_intent,
    intent_of_charge,
    outcome_of,
)
from .keys import MAX_KEY_LENGTH, cancel_key, capture_key, charge_key, payout_key, refund_key
from .payouts import PayoutOutcome, PayoutResult, create_payout, find_payout, get_payout
from .refunds import (
    FoundRefund,
    RefundOutcome,
    RefundRequest,
    RefundResult,
    create_refund,
    find_refund,
    get_refund,
    refunds_of,
)

__all__ = [
    "MAX_KEY_LENGTH",
    "Card",
    "ChargeRequest",
    "FoundIntent",
    "FoundRefund",
    "MethodRefused",
    "Outcome",
    "PayoutOutcome",
    "PayoutResult",
    "RefundOutcome",
    "RefundRequest",
    "RefundResult",
    "Result",
    "StripeUnavailable",
    "_client",
    "attach_card",
    "cancel",
    "cancel_key",
    "capture",
    "capture_key",
    "charge",
    "charge_key",
    "create_customer",
    "create_payout",
    "create_refund",
    "detach_card",
    "find_card",
    "find_intent",
    "find_payout",
    "find_refund",
    "get_dispute",
    "get_intent",
    "get_payout",
    "get_refund",
    "intent_of_charge",
    "outcome_of",
    "payout_key",
    "refund_key",
    "refunds_of",
]
