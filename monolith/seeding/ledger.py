"""The ledger, booked from the rows of payments, fees, refunds, disputes and payouts, in the order of time."""

from __future__ import annotations

from django.db.backends.utils import CursorWrapper

from payments.models import LedgerAccount, LedgerEntry, LedgerTransaction
from payments.services.ledger import MOVES

# What moved money, and when: the place settles the order of what happened at once. A transaction's payment, refund,
# dispute and payout are as `payments.services.ledger` notes them.
_MOVEMENTS = """
CREATE TEMPORARY TABLE seed_movement ON COMMIT DROP AS
SELECT row_number() OVER (ORDER BY at, place, ref) AS n, movement.* FROM (
    SELECT completed_at AS at, 1 AS place, id AS ref, 'charge' AS kind, amount, currency, customer_id,
           id AS payment_id, NULL::bigint AS refund_id, NULL::bigint AS dispute_id, NULL::bigint AS payout_id
    FROM payments_payment WHERE completed_at IS NOT NULL
  UNION ALL
    SELECT created_at, 2, id, 'fee', amount, currency, NULL, payment_id, NULL, NULL, NULL FROM payments_fee
  UNION ALL
    SELECT refund.completed_at, 3, refund.id, 'refund', refund.amount, refund.currency, customer_id,
           payment_id, refund.id, NULL, NULL
    FROM payments_refund AS refund JOIN payments_payment AS payment ON payment.id = refund.payment_id
    WHERE refund.completed_at IS NOT NULL
  UNION ALL
    SELECT refund.updated_at, 4, refund.id, 'refund_failed', refund.amount, refund.currency, customer_id,
           payment_id, refund.id, NULL, NULL
    FROM payments_refund AS refund JOIN payments_payment AS payment ON payment.id = refund.payment_id
    WHERE refund.completed_at IS NOT NULL AND refund.status = 'failed'
  UNION ALL
    SELECT created_at, 5, id, 'dispute_opened', amount, currency, NULL, payment_id, NULL, id, NULL
    FROM payments_dispute WHERE is_withdrawn OR status = 'won'
  UNION ALL
    SELECT dispute.closed_at, 6, dispute.id, 'dispute_' || dispute.status, dispute.amount, dispute.currency,
           customer_id, payment_id, NULL, dispute.id, NULL
    FROM payments_dispute AS dispute JOIN payments_payment AS payment ON payment.id = dispute.payment_id
    WHERE dispute.status IN ('won', 'lost')
  UNION ALL
    SELECT paid_at, 7, id, 'payout', amount, currency, NULL, NULL, NULL, NULL, id
    FROM payments_payout WHERE paid_at IS NOT NULL
  UNION ALL
    SELECT updated_at, 8, id, 'payout_failed', amount, currency, NULL, NULL, NULL, NULL, id
    FROM payments_payout WHERE paid_at IS NOT NULL AND status = 'failed'
) AS movement
"""

_TRANSACTIONS = """
INSERT INTO payments_ledger_transaction (id, kind, payment_id, refund_id, dispute_id, payout_id, created_at)
SELECT n, kind, payment_id, refund_id, dispute_id, payout_id, at FROM seed_movement ORDER BY n
"""

# Each movement has two sides: what the one account gains, the other gives.
_SIDES = """
CREATE TEMPORARY TABLE seed_side ON COMMIT DROP AS
SELECT 2 * n - 1 AS id, n, at, gains AS kind, currency, CASE gains WHEN 'customer' THEN customer_id END AS customer_id,
       amount
FROM seed_movement JOIN seed_move USING (kind)
UNION ALL
SELECT 2 * n, n, at, gives, currency, CASE gives WHEN 'customer' THEN customer_id END, -amount
FROM seed_movement JOIN seed_move USING (kind)
"""

# What each account has in the end, and since when. The house's accounts are there, made by a migration.
_TOTALS = """
CREATE TEMPORARY TABLE seed_total ON COMMIT DROP AS
SELECT min(id) AS first, kind, currency, customer_id, sum(amount) AS balance, min(at) AS since
FROM seed_side GROUP BY kind, currency, customer_id
"""

_HOUSE = """
UPDATE payments_ledger_account AS account SET balance = total.balance
FROM seed_total AS total
WHERE account.kind = total.kind AND account.currency = total.currency
  AND account.customer_id IS NULL AND total.customer_id IS NULL
"""

_CUSTOMERS = """
INSERT INTO payments_ledger_account (id, kind, currency, customer_id, balance, created_at)
SELECT (SELECT max(id) FROM payments_ledger_account) + row_number() OVER (ORDER BY first),
       kind, currency, customer_id, balance, since
FROM seed_total WHERE customer_id IS NOT NULL ORDER BY first
"""

_ENTRIES = """
INSERT INTO payments_ledger_entry (id, transaction_id, account_id, amount, currency, created_at)
SELECT side.id, side.n, account.id, side.amount, side.currency, side.at
FROM seed_side AS side
JOIN payments_ledger_account AS account
  ON account.kind = side.kind AND account.currency = side.currency
 AND coalesce(account.customer_id, 0) = coalesce(side.customer_id, 0)
ORDER BY side.id
"""

MODELS = (LedgerTransaction, LedgerAccount, LedgerEntry)


def book(cursor: CursorWrapper) -> dict[str, int]:
    """Book everything; how many rows each table got."""
    cursor.execute("CREATE TEMPORARY TABLE seed_move (kind text, gains text, gives text) ON COMMIT DROP")
    moves = [(kind.value, gains.value, gives.value) for kind, (gains, gives) in MOVES.items()]
    cursor.executemany("INSERT INTO seed_move VALUES (%s, %s, %s)", moves)
    cursor.execute(_MOVEMENTS)
    cursor.execute("ANALYZE seed_movement")
    rows = {}
    cursor.execute(_TRANSACTIONS)
    rows[LedgerTransaction._meta.db_table] = cursor.rowcount
    cursor.execute(_SIDES)
    cursor.execute("ANALYZE seed_side")
    cursor.execute(_TOTALS)
    cursor.execute(_HOUSE)
    cursor.execute(_CUSTOMERS)
    rows[LedgerAccount._meta.db_table] = cursor.rowcount
    cursor.execute("ANALYZE payments_ledger_account")
    cursor.execute(_ENTRIES)
    rows[LedgerEntry._meta.db_table] = cursor.rowcount
    return rows
