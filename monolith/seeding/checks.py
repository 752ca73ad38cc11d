"""The rules of the ledger, checked for all rows at once before they are committed."""

from __future__ import annotations

from django.db.backends.utils import CursorWrapper

# What each counts must be none.
RULES = {
    "every ledger transaction sums to zero in each currency": """
        SELECT count(*) FROM (
            SELECT FROM payments_ledger_entry GROUP BY transaction_id, currency HAVING sum(amount) <> 0
        ) AS wrong
    """,
    "every ledger transaction has entries": """
        SELECT count(*) FROM payments_ledger_transaction AS booked
        WHERE NOT EXISTS (SELECT FROM payments_ledger_entry WHERE transaction_id = booked.id)
    """,
    "every balance is the sum of its entries": """
        SELECT count(*) FROM payments_ledger_account AS account
        LEFT JOIN (SELECT account_id, sum(amount) AS total FROM payments_ledger_entry GROUP BY account_id) AS entries
          ON entries.account_id = account.id
        WHERE account.balance <> coalesce(entries.total, 0)
    """,
    "what was refunded of a payment is the sum of its refunds": """
        SELECT count(*) FROM payments_payment AS payment
        LEFT JOIN (
            SELECT payment_id, sum(amount) AS total FROM payments_refund WHERE status = 'succeeded' GROUP BY payment_id
        ) AS refunds ON refunds.payment_id = payment.id
        WHERE payment.amount_refunded <> coalesce(refunds.total, 0)
    """,
}


class RuleBroken(Exception):
    """The data is not what it should be: nothing of it is kept."""


def check(cursor: CursorWrapper) -> None:
    """Raise unless every rule holds."""
    for rule, count in RULES.items():
        cursor.execute(count)
        (wrong,) = cursor.fetchone()
        if wrong:
            raise RuleBroken(f"not true that {rule}: {wrong} rows")
