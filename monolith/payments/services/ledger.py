"""Booking: every movement of money, once, in the transaction that it happens in.

charge          stripe  +amount   customer -amount
fee             fees    +fee      stripe   -fee
refund          customer +amount  stripe   -amount
dispute opened  disputes +amount  stripe   -amount
dispute won     stripe  +amount   disputes -amount
dispute lost    customer +amount  disputes -amount
payout          bank    +amount   stripe   -amount
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.db.models import F

from payments.models import (
    AccountKind,
    Dispute,
    Fee,
    LedgerAccount,
    LedgerEntry,
    LedgerTransaction,
    Payment,
    Payout,
    Refund,
    TransactionKind,
)


def book_charge(payment: Payment) -> None:
    """A completed payment."""
    to, source = _own(AccountKind.STRIPE, payment.currency_id), _of_customer(payment)
    _book(TransactionKind.CHARGE, to, source, payment.amount, payment=payment)


def book_fee(fee: Fee) -> None:
    """What Stripe keeps of a payment."""
    to, source = _own(AccountKind.FEES, fee.currency_id), _own(AccountKind.STRIPE, fee.currency_id)
    _book(TransactionKind.FEE, to, source, fee.amount, payment=fee.payment)


def book_refund(refund: Refund) -> None:
    """Money given back."""
    to, source = _of_customer(refund.payment), _own(AccountKind.STRIPE, refund.currency_id)
    _book(TransactionKind.REFUND, to, source, refund.amount, payment=refund.payment, refund=refund)


def book_refund_failed(refund: Refund) -> None:
    """A refund that came back."""
    to, source = _own(AccountKind.STRIPE, refund.currency_id), _of_customer(refund.payment)
    _book(TransactionKind.REFUND_FAILED, to, source, refund.amount, payment=refund.payment, refund=refund)


def book_dispute_opened(dispute: Dispute) -> None:
    """Stripe takes the disputed amount away."""
    to, source = _own(AccountKind.DISPUTES, dispute.currency_id), _own(AccountKind.STRIPE, dispute.currency_id)
    _book(TransactionKind.DISPUTE_OPENED, to, source, dispute.amount, payment=dispute.payment, dispute=dispute)


def book_dispute_won(dispute: Dispute) -> None:
    """Stripe gives the disputed amount back to us."""
    to, source = _own(AccountKind.STRIPE, dispute.currency_id), _own(AccountKind.DISPUTES, dispute.currency_id)
    _book(TransactionKind.DISPUTE_WON, to, source, dispute.amount, payment=dispute.payment, dispute=dispute)


def book_dispute_lost(dispute: Dispute) -> None:
    """The disputed amount goes to the cardholder for good."""
    to, source = _of_customer(dispute.payment), _own(AccountKind.DISPUTES, dispute.currency_id)
    _book(TransactionKind.DISPUTE_LOST, to, source, dispute.amount, payment=dispute.payment, dispute=dispute)


def book_payout(payout: Payout) -> None:
    """Money that reached the bank."""
    to, source = _own(AccountKind.BANK, payout.currency_id), _own(AccountKind.STRIPE, payout.currency_id)
    _book(TransactionKind.PAYOUT, to, source, payout.amount, payout=payout)


def book_payout_failed(payout: Payout) -> None:
    """Money that the bank sent back."""
    to, source = _own(AccountKind.STRIPE, payout.currency_id), _own(AccountKind.BANK, payout.currency_id)
    _book(TransactionKind.PAYOUT_FAILED, to, source, payout.amount, payout=payout)


def _own(kind: AccountKind, currency: str) -> LedgerAccount:
    account, _ = LedgerAccount.objects.get_or_create(kind=kind, currency_id=currency, customer=None)
    return account


def _of_customer(payment: Payment) -> LedgerAccount:
    account, _ = LedgerAccount.objects.get_or_create(
        kind=AccountKind.CUSTOMER, currency_id=payment.currency_id, customer_id=payment.customer_id
    )
    return account


def _book(kind: TransactionKind, to: LedgerAccount, source: LedgerAccount, amount: Decimal, **about: Any) -> None:
    transaction = LedgerTransaction.objects.create(kind=kind, **about)
    signed = {to.pk: amount, source.pk: -amount}
    LedgerEntry.objects.bulk_create(
        LedgerEntry(transaction=transaction, account=account, amount=signed[account.pk], currency_id=to.currency_id)
        for account in (to, source)
    )
    # Always in the order of their ids: two bookings of the same accounts cannot wait for each other.
    for account_id in sorted(signed):
        LedgerAccount.objects.filter(pk=account_id).update(balance=F("balance") + signed[account_id])
