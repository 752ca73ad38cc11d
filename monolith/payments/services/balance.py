"""What a user has paid, by currency."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from django.db.models import QuerySet, Sum

from payments.models import AccountKind, Currency, LedgerEntry, Payment, PaymentStatus, TransactionKind

# Asked for but not decided: Stripe has not answered, the cardholder has not, or nobody has captured yet.
UNDECIDED = [PaymentStatus.PENDING, PaymentStatus.REQUIRES_ACTION, PaymentStatus.REQUIRES_CAPTURE]


@dataclass
class Balance:
    """One currency of a user. `net` is what we keep: paid, less refunded, less disputed and not won."""

    currency: Currency
    paid: Decimal = Decimal(0)
    refunded: Decimal = Decimal(0)
    disputed: Decimal = Decimal(0)
    pending: Decimal = Decimal(0)

    @property
    def net(self) -> Decimal:
        """What we keep."""
        return self.paid - self.refunded - self.disputed


def balances(user_id: int) -> list[Balance]:
    """The user's balances by currency code: booked amounts from the ledger, pending ones from the payments."""
    currencies = Currency.objects.in_bulk(field_name="code")
    found: dict[str, Balance] = {}

    def of(code: str) -> Balance:
        return found.setdefault(code, Balance(currencies[code]))

    for code, account, kind, amount in _booked(user_id):
        if account == AccountKind.CUSTOMER and kind == TransactionKind.CHARGE:
            of(code).paid -= amount
        elif account == AccountKind.CUSTOMER and kind in (TransactionKind.REFUND, TransactionKind.REFUND_FAILED):
            of(code).refunded += amount
        elif account == AccountKind.DISPUTES and kind in (TransactionKind.DISPUTE_OPENED, TransactionKind.DISPUTE_WON):
            of(code).disputed += amount
    undecided = Payment.objects.filter(user_id=user_id, status__in=UNDECIDED).values_list("currency")
    for code, amount in undecided.annotate(sum=Sum("amount")):
        of(code).pending += amount
    return [found[code] for code in sorted(found)]


def _booked(user_id: int) -> QuerySet[LedgerEntry, tuple[str, str, str, Decimal]]:
    entries = LedgerEntry.objects.filter(transaction__payment__user_id=user_id)
    return entries.values_list("currency", "account__kind", "transaction__kind").annotate(sum=Sum("amount"))
