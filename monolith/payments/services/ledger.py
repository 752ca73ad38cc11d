"""Booking: every movement of money, once, in the transaction that it happens in."""

from __future__ import annotations

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

# The account that gains the amount, and the one that gives it.
MOVES: dict[TransactionKind, tuple[AccountKind, AccountKind]] = {
    TransactionKind.CHARGE: (AccountKind.STRIPE, AccountKind.CUSTOMER),
    TransactionKind.FEE: (AccountKind.FEES, AccountKind.STRIPE),
    TransactionKind.REFUND: (AccountKind.CUSTOMER, AccountKind.STRIPE),
    TransactionKind.REFUND_FAILED: (AccountKind.STRIPE, AccountKind.CUSTOMER),
    TransactionKind.DISPUTE_OPENED: (AccountKind.DISPUTES, AccountKind.STRIPE),
    TransactionKind.DISPUTE_WON: (AccountKind.STRIPE, AccountKind.DISPUTES),
    TransactionKind.DISPUTE_LOST: (AccountKind.CUSTOMER, AccountKind.DISPUTES),
    TransactionKind.PAYOUT: (AccountKind.BANK, AccountKind.STRIPE),
    TransactionKind.PAYOUT_FAILED: (AccountKind.STRIPE, AccountKind.BANK),
}


def book_charge(payment: Payment) -> None:
    """A completed payment."""
    _book(TransactionKind.CHARGE, payment, payment.customer_id, payment=payment)


def book_fee(fee: Fee) -> None:
    """What Stripe keeps of a payment."""
    _book(TransactionKind.FEE, fee, payment=fee.payment)


def book_refund(refund: Refund) -> None:
    """Money given back."""
    _book(TransactionKind.REFUND, refund, refund.payment.customer_id, payment=refund.payment, refund=refund)


def book_refund_failed(refund: Refund) -> None:
    """A refund that came back."""
    _book(TransactionKind.REFUND_FAILED, refund, refund.payment.customer_id, payment=refund.payment, refund=refund)


def book_dispute_opened(dispute: Dispute) -> None:
    """Stripe takes the disputed amount away."""
    _book(TransactionKind.DISPUTE_OPENED, dispute, payment=dispute.payment, dispute=dispute)


def book_dispute_won(dispute: Dispute) -> None:
    """Stripe gives the disputed amount back to us."""
    _book(TransactionKind.DISPUTE_WON, dispute, payment=dispute.payment, dispute=dispute)


def book_dispute_lost(dispute: Dispute) -> None:
    """The disputed amount goes to the cardholder for good."""
    _book(TransactionKind.DISPUTE_LOST, dispute, dispute.payment.customer_id, payment=dispute.payment, dispute=dispute)


def book_payout(payout: Payout) -> None:
    """Money that reached the bank."""
    _book(TransactionKind.PAYOUT, payout, payout=payout)


def book_payout_failed(payout: Payout) -> None:
    """Money that the bank sent back."""
    _book(TransactionKind.PAYOUT_FAILED, payout, payout=payout)


def _account(kind: AccountKind, currency: str, customer_id: int | None) -> LedgerAccount:
    owner = customer_id if kind == AccountKind.CUSTOMER else None
    account, _ = LedgerAccount.objects.get_or_create(kind=kind, currency_id=currency, customer_id=owner)
    return account


def _book(
    kind: TransactionKind, what: Payment | Fee | Refund | Dispute | Payout, customer_id: int | None = None, **about: Any
) -> None:
    to, source = (_account(side, what.currency_id, customer_id) for side in MOVES[kind])
    transaction = LedgerTransaction.objects.create(kind=kind, **about)
    signed = {to.pk: what.amount, source.pk: -what.amount}
    LedgerEntry.objects.bulk_create(
        LedgerEntry(transaction=transaction, account=account, amount=signed[account.pk], currency_id=to.currency_id)
        for account in (to, source)
    )
    # Always in the order of their ids: two bookings of the same accounts cannot wait for each other.
    for account_id in sorted(signed):
        LedgerAccount.objects.filter(pk=account_id).update(balance=F("balance") + signed[account_id])
