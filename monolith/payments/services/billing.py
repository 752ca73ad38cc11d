"""What an invoice says: price, credit for unused time, discount. All in whole minor units."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import uuid4

from django.db import connection

from payments.models import (
    Coupon,
    Invoice,
    InvoiceLine,
    InvoiceStatus,
    Operation,
    Payment,
    PaymentStatusChange,
    Plan,
    Subscription,
)
from payments.money import from_minor, to_minor
from payments.stripe_gateway import charge_key

from .attempts import add_attempt

_MICROSECOND = timedelta(microseconds=1)


def credit_minor(paid_minor: int, start: datetime, end: datetime, now: datetime) -> int:
    """The credit for the unused rest of a paid period, as a negative number rounded down: in the customer's favour."""
    unused, whole = (end - max(start, min(now, end))) // _MICROSECOND, (end - start) // _MICROSECOND
    return -paid_minor * unused // whole


def discount_minor(price_minor: int, coupon: Coupon | None, decimals: int) -> int:
    """What a coupon takes off a price, at most all of it; parts of a minor unit in the customer's favour."""
    if coupon is None:
        return 0
    if coupon.percent_off is not None:
        return -(-price_minor * coupon.percent_off // 100)
    if coupon.amount_off is None:
        return 0
    return min(price_minor, to_minor(coupon.amount_off, decimals))


def paid_for_period(subscription: Subscription) -> int:
    """What the plan's current period cost after discount, in minor units."""
    decimals = subscription.currency.decimals
    paid = subscription.invoices.filter(status=InvoiceStatus.PAID, period_start=subscription.current_period_start)
    invoice = paid.first()
    if invoice is None:
        return 0
    price = sum(line.amount for line in invoice.lines.filter(proration=False))
    return to_minor(price - invoice.discount, decimals)


def make_invoice(
    subscription: Subscription, plan: Plan, start: datetime, end: datetime, *, coupon: Coupon | None, credit: int = 0
) -> Invoice:
    """An open invoice for one period, with the credit (zero or less) for what `replaces` had left."""
    decimals = plan.currency.decimals
    price = to_minor(plan.amount, decimals)
    discount = discount_minor(price, coupon, decimals)
    invoice = Invoice.objects.create(
        number=_next_number(),
        user_id=subscription.user_id,
        subscription=subscription,
        currency=plan.currency,
        subtotal=from_minor(price + credit, decimals),
        discount=from_minor(discount, decimals),
        total=from_minor(price + credit - discount, decimals),
        period_start=start,
        period_end=end,
    )
    InvoiceLine.objects.create(
        invoice=invoice, plan=plan, description=plan.name, amount=plan.amount, period_start=start, period_end=end
    )
    replaced = subscription.replaces
    if replaced is not None and credit:
        InvoiceLine.objects.create(
            invoice=invoice,
            plan=replaced.plan,
            description=f"Unused time of {replaced.plan.name}",
            amount=from_minor(credit, decimals),
            period_start=start,
            period_end=replaced.current_period_end,
            proration=True,
        )
    return invoice


def start_payment(invoice: Invoice, *, off_session: bool) -> Payment:
    """Note a payment of the invoice that is about to be asked for."""
    subscription = invoice.subscription
    # Not to be guessed: a client could otherwise use the same key for a payment of its own.
    key = f"invoice:{invoice.pk}:{uuid4()}"
    payment = Payment.objects.create(
        user_id=invoice.user_id,
        customer=subscription.customer,
        payment_method=subscription.payment_method,
        currency=invoice.currency,
        amount=invoice.total,
        off_session=off_session,
        description=f"Invoice {invoice.number}",
        idempotency_key=key,
        request_fingerprint="",
    )
    add_attempt(payment, Operation.CHARGE, charge_key(invoice.user_id, key))
    PaymentStatusChange.objects.create(payment=payment, to_status=payment.status, reason="invoice")
    invoice.payment = payment
    invoice.save()
    return payment


def _next_number() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval('payments_invoice_number')")
        return f"INV-{cursor.fetchone()[0]:08d}"
