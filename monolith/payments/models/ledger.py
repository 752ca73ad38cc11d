"""The ledger: double entry, append only.

Amounts are signed: what an account gains is positive, what it gives is negative, and the entries
of a transaction sum to zero in each currency. The database checks that when a transaction commits,
and refuses to change or delete entries; see the migration `ledger_rules`.
"""

from django.db import models

from .currencies import currency_field
from .customers import Customer
from .disputes import Dispute
from .payments import Payment
from .payouts import Payout
from .refunds import Refund


class AccountKind(models.TextChoices):
    """What an account is for."""

    STRIPE = "stripe"  # asset: our balance at Stripe
    BANK = "bank"  # asset: what payouts brought to the bank
    DISPUTES = "disputes"  # asset: withdrawn while disputes are open
    FEES = "fees"  # expense: what Stripe keeps
    CUSTOMER = "customer"  # what one customer has paid us net, as a negative balance


class LedgerAccount(models.Model):
    """An account in one currency. Its balance is kept in the transaction that writes the entries.

    Those of the house are made by a migration: both sides of a sync book on them, and neither could
    make one that the other has made meanwhile.
    """

    kind = models.CharField(max_length=20, choices=AccountKind.choices)
    currency = currency_field()
    customer = models.ForeignKey(
        Customer, on_delete=models.PROTECT, null=True, blank=True, related_name="ledger_accounts"
    )
    # A sum of many amounts, so it has more digits than one of them.
    # In the database too: a sync brings the account without it.
    balance = models.DecimalField(max_digits=18, decimal_places=3, default=0, db_default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "payments_ledger_account"
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "currency"], condition=models.Q(customer=None), name="payments_ledger_account_own"
            ),
            models.UniqueConstraint(
                fields=["customer", "currency"],
                condition=models.Q(customer__isnull=False),
                name="payments_ledger_account_of_customer",
            ),
            models.CheckConstraint(
                condition=models.Q(kind__in=AccountKind.values), name="payments_ledger_account_kind"
            ),
            models.CheckConstraint(
                condition=models.Q(kind=AccountKind.CUSTOMER, customer__isnull=False)
                | (~models.Q(kind=AccountKind.CUSTOMER) & models.Q(customer=None)),
                name="payments_ledger_account_customer",
            ),
        ]

    def __str__(self) -> str:
        """The row."""
        return f"account {self.pk}: {self.kind} {self.currency_id}"


class TransactionKind(models.TextChoices):
    """What happened."""

    CHARGE = "charge"
    FEE = "fee"
    REFUND = "refund"
    REFUND_FAILED = "refund_failed"
    DISPUTE_OPENED = "dispute_opened"
    DISPUTE_WON = "dispute_won"
    DISPUTE_LOST = "dispute_lost"
    PAYOUT = "payout"
    PAYOUT_FAILED = "payout_failed"
    REVERSAL = "reversal"  # takes another one back; only the payments service makes them


class LedgerTransaction(models.Model):
    """Entries that belong together, and what they were for."""

    kind = models.CharField(max_length=20, choices=TransactionKind.choices)
    payment = models.ForeignKey(
        Payment, on_delete=models.PROTECT, null=True, blank=True, related_name="ledger_transactions"
    )
    refund = models.ForeignKey(
        Refund, on_delete=models.PROTECT, null=True, blank=True, related_name="ledger_transactions"
    )
    dispute = models.ForeignKey(
        Dispute, on_delete=models.PROTECT, null=True, blank=True, related_name="ledger_transactions"
    )
    payout = models.ForeignKey(
        Payout, on_delete=models.PROTECT, null=True, blank=True, related_name="ledger_transactions"
    )
    # What this one takes back, entry by entry.
    reverses = models.OneToOneField("self", on_delete=models.PROTECT, null=True, blank=True, related_name="reversed_by")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "payments_ledger_transaction"
        constraints = [
            # Booked twice is money made of nothing: each of these happens once.
            models.UniqueConstraint(
                fields=["payment", "kind"],
                condition=models.Q(kind__in=[TransactionKind.CHARGE, TransactionKind.FEE]),
                name="payments_ledger_charge_once",
            ),
            models.UniqueConstraint(
                fields=["refund", "kind"],
                condition=models.Q(refund__isnull=False) & ~models.Q(kind=TransactionKind.REVERSAL),
                name="payments_ledger_refund_once",
            ),
            models.UniqueConstraint(
                fields=["dispute", "kind"],
                condition=models.Q(dispute__isnull=False) & ~models.Q(kind=TransactionKind.REVERSAL),
                name="payments_ledger_dispute_once",
            ),
            models.UniqueConstraint(
                fields=["payout", "kind"],
                condition=models.Q(payout__isnull=False) & ~models.Q(kind=TransactionKind.REVERSAL),
                name="payments_ledger_payout_once",
            ),
            models.CheckConstraint(
                condition=models.Q(kind__in=TransactionKind.values), name="payments_ledger_transaction_kind"
            ),
            models.CheckConstraint(
                condition=models.Q(kind=TransactionKind.REVERSAL, reverses__isnull=False)
                | (~models.Q(kind=TransactionKind.REVERSAL) & models.Q(reverses=None)),
                name="payments_ledger_transaction_reverses",
            ),
        ]

    def __str__(self) -> str:
        """The row."""
        return f"ledger transaction {self.pk} ({self.kind})"


class LedgerEntry(models.Model):
    """What one account gains or gives."""

    transaction = models.ForeignKey(LedgerTransaction, on_delete=models.PROTECT, related_name="entries")
    account = models.ForeignKey(LedgerAccount, on_delete=models.PROTECT, related_name="entries")
    amount = models.DecimalField(max_digits=18, decimal_places=3)
    currency = currency_field()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "payments_ledger_entry"
        verbose_name_plural = "ledger entries"
        constraints = [
            models.CheckConstraint(condition=~models.Q(amount=0), name="payments_ledger_entry_not_zero"),
        ]

    def __str__(self) -> str:
        """The row."""
        return f"entry {self.pk} of account {self.account_id}"
