"""The rows of subscriptions and their invoices."""

from __future__ import annotations

from random import Random

from payments.models import Invoice, InvoiceLine, InvoiceStatus, Subscription, SubscriptionStatus
from payments.services.subscribe import Order

from .clock import Clock
from .people import People
from .sheets import NULL, Sheets
from .subscriptions import Bill, Contract, Subscriptions
from .tokens import uuid4


class Invoices:
    """Numbers invoices by time before their payments are written, and writes them after."""

    def __init__(self, sheets: Sheets, people: People, clock: Clock, made: Subscriptions, rng: Random) -> None:
        self.people, self.clock, self.made, self.rng = people, clock, made, rng
        self.subscriptions = sheets.of(
            Subscription,
            "id user_id customer_id plan_id payment_method_id coupon_id replaces_id currency status idempotency_key"
            " request_fingerprint billing_anchor current_period_start current_period_end cancel_at_period_end"
            " next_billing_at failed_attempts created_at updated_at canceled_at",
        )
        self.invoices = sheets.of(
            Invoice,
            "id number user_id subscription_id payment_id status currency subtotal discount total period_start"
            " period_end created_at updated_at paid_at",
        )
        self.lines = sheets.of(
            InvoiceLine, "id invoice_id plan_id description amount period_start period_end proration"
        )
        self.bills = sorted(
            ((contract, bill) for contract in made.contracts for bill in contract.bills), key=lambda of: of[1].created
        )
        for contract in made.contracts:
            contract.subscription_id = self.subscriptions.next_id()
        for _, bill in self.bills:
            bill.invoice_id = self.invoices.next_id()
            bill.number = f"INV-{bill.invoice_id:08d}"

    def write(self) -> None:
        """All rows."""
        for contract in self.made.contracts:
            self._write_subscription(contract)
        for contract, bill in self.bills:
            self._write_invoice(contract, bill)

    def _write_subscription(self, contract: Contract) -> None:
        at, people, number = self.clock.at, self.people, contract.number
        user_id, method_id = people.id(number), people.method[number]
        coupon, key = contract.coupon, uuid4(self.rng)
        order = Order(user_id, contract.plan.pk, method_id, coupon.code if coupon else "", key)
        replaces = contract.replaces.subscription_id if contract.replaces else NULL
        canceled = at(contract.canceled) if contract.status == SubscriptionStatus.CANCELED else NULL
        self.subscriptions.add(
            f"{contract.subscription_id}\t{user_id}\t{people.customer[number]}\t{contract.plan.pk}\t{method_id}\t"
            f"{coupon.pk if coupon else NULL}\t{replaces}\t{contract.tariff.code}\t{contract.status.value}\t{key}\t"
            f"{order.fingerprint()}\t{at(contract.anchor)}\t{at(contract.period[0])}\t{at(contract.period[1])}\t"
            f"{'t' if contract.ends_with_period else 'f'}\t{at(contract.next_billing)}\t{contract.failures}\t"
            f"{at(contract.anchor)}\t{at(contract.updated)}\t{canceled}\n"
        )

    def _write_invoice(self, contract: Contract, bill: Bill) -> None:
        at, text = self.clock.at, contract.tariff.text
        paid = at(bill.updated) if bill.status == InvoiceStatus.PAID else NULL
        self.invoices.add(
            f"{bill.invoice_id}\t{bill.number}\t{self.people.id(contract.number)}\t{contract.subscription_id}\t"
            f"{bill.payment_id or NULL}\t{bill.status.value}\t{contract.tariff.code}\t"
            f"{text(bill.price + bill.credit)}\t{text(bill.discount)}\t{text(bill.total)}\t"
            f"{at(bill.start)}\t{at(bill.end)}\t{at(bill.created)}\t{at(bill.updated)}\t{paid}\n"
        )
        self.lines.add(
            f"{self.lines.next_id()}\t{bill.invoice_id}\t{contract.plan.pk}\t{contract.plan.name}\t{text(bill.price)}\t"
            f"{at(bill.start)}\t{at(bill.end)}\tf\n"
        )
        if bill.credited is not None:
            self.lines.add(
                f"{self.lines.next_id()}\t{bill.invoice_id}\t{bill.credited.pk}\tUnused time of {bill.credited.name}\t"
                f"{text(bill.credit)}\t{at(bill.start)}\t{at(bill.credit_end)}\tt\n"
            )
