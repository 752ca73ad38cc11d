"""Finding the days that have to be rolled up, or rolled up again because rows of theirs came late."""

from __future__ import annotations

from datetime import date

from django.db import connection

# Rows carry the time at which they were written, not the later one at which they became visible: an hour is
# longer than any transaction. Days are UTC, as everywhere here.
_DUE = """
SELECT touched.day FROM (
  SELECT day, max(changed_at) AS changed_at FROM (
      SELECT (completed_at AT TIME ZONE 'UTC')::date AS day, updated_at AS changed_at FROM payments_payment
      WHERE completed_at IS NOT NULL
    UNION ALL
      SELECT (completed_at AT TIME ZONE 'UTC')::date, updated_at FROM payments_refund
      WHERE completed_at IS NOT NULL
    UNION ALL
      SELECT (created_at AT TIME ZONE 'UTC')::date, updated_at FROM payments_dispute
    UNION ALL
      SELECT (payment.completed_at AT TIME ZONE 'UTC')::date, fee.created_at FROM payments_fee AS fee
      JOIN payments_payment AS payment ON payment.id = fee.payment_id
      WHERE payment.completed_at IS NOT NULL
  ) AS source
  GROUP BY day
) AS touched
LEFT JOIN (
  SELECT date AS day, min(rolled_up_at) AS rolled_up_at FROM reporting_daily_revenue GROUP BY date
) AS stored ON stored.day = touched.day
WHERE touched.day < %(before)s
  AND (stored.day IS NULL OR touched.changed_at > stored.rolled_up_at - interval '1 hour')
ORDER BY touched.day
"""


def due_days(before: date) -> list[date]:
    """The days before `before` whose payments changed since they were rolled up, oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(_DUE, {"before": before})
        return [day for (day,) in cursor.fetchall()]
