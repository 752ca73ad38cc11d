"""Rows of the payments tables, as if a shop had been open for a while."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from payments.models import Customer, Dispute, Fee, FeeSchedule, Payment, Refund
from testing.api import PASSWORD, Api, sign_up
from users.models import User


def moment(day: str, time: str = "12:00:00") -> datetime:
    """A moment, UTC."""
    return datetime.fromisoformat(f"{day}T{time}").replace(tzinfo=UTC)


def staff(email: str = "staff@example.com") -> Api:
    """A member of staff."""
    api = sign_up(email)
    User.objects.filter(pk=api.user["id"]).update(is_staff=True)
    api.token = Api().post("/api/users/login", {"email": email, "password": PASSWORD}).json()["accessToken"]
    return api


def pay(
    user_id: int, amount: str, at: datetime, *, currency: str = "USD", fee: str | None = None, **more: Any
) -> Payment:
    """A completed payment, perhaps with its fee."""
    customer, _ = Customer.objects.get_or_create(user_id=user_id, defaults={"stripe_customer_id": f"cus_{user_id}"})
    payment = Payment.objects.create(
        user_id=user_id,
        customer=customer,
        currency_id=currency,
        amount=amount,
        idempotency_key=str(uuid.uuid4()),
        request_fingerprint="-",
        stripe_payment_intent_id=f"pi_{uuid.uuid4()}",
        **{"status": "completed", "completed_at": at, **more},
    )
    Payment.objects.filter(pk=payment.pk).update(created_at=at)
    if fee is not None:
        schedule, _ = FeeSchedule.objects.get_or_create(
            currency_id=currency, valid_from=moment("2020-01-01"), defaults={"percent_bp": 0, "fixed": 0}
        )
        Fee.objects.create(payment=payment, schedule=schedule, amount=fee, currency_id=currency)
    return payment


def give_back(payment: Payment, amount: str, at: datetime) -> Refund:
    """A refund that succeeded."""
    return Refund.objects.create(
        payment=payment,
        amount=amount,
        currency=payment.currency,
        status="succeeded",
        stripe_refund_id=f"re_{uuid.uuid4()}",
        completed_at=at,
    )


def dispute(payment: Payment, amount: str, at: datetime) -> Dispute:
    """A dispute that took the money."""
    row = Dispute.objects.create(
        payment=payment,
        stripe_dispute_id=f"dp_{uuid.uuid4()}",
        amount=amount,
        currency=payment.currency,
        reason="fraudulent",
        status="needs_response",
        is_withdrawn=True,
        stripe_event_at=at,
    )
    Dispute.objects.filter(pk=row.pk).update(created_at=at)
    return row
