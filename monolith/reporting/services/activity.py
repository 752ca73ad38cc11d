"""Sign-ups and activity by day, from the users and payments tables."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from django.db import connection
from django.db.models import Count, QuerySet
from django.db.models.functions import TruncDate

from reporting.ranges import DayRange
from users.models import EmailAddress, User

# Who logged in, kept a session going, or paid: each user once a day.
_ACTIVE = """
SELECT day, count(DISTINCT user_id) FROM (
    SELECT (created_at AT TIME ZONE 'UTC')::date AS day, user_id FROM users_session
    WHERE created_at >= %(begin)s AND created_at < %(end)s
  UNION ALL
    SELECT (last_used_at AT TIME ZONE 'UTC')::date, user_id FROM users_session
    WHERE last_used_at >= %(begin)s AND last_used_at < %(end)s
  UNION ALL
    SELECT (created_at AT TIME ZONE 'UTC')::date, user_id FROM payments_payment
    WHERE created_at >= %(begin)s AND created_at < %(end)s
) AS seen
GROUP BY day
"""


@dataclass(frozen=True)
class Activity:
    """How many users did what on a day."""

    date: date
    signups: int
    verified: int
    active: int
    deleted: int


def activity(days: DayRange) -> list[Activity]:
    """Every day of the range, newest first, also those on which nothing happened.

    Active are those who are known to have been: sessions are forgotten a week after they end.
    """
    signups = _by_day(User.objects.all(), "created_at", days)
    verified = _by_day(EmailAddress.objects.all(), "verified_at", days)
    deleted = _by_day(User.objects.all(), "deleted_at", days)
    active = _active(days)
    return [
        Activity(day, signups.get(day, 0), verified.get(day, 0), active.get(day, 0), deleted.get(day, 0))
        for day in days.newest_first()
    ]


def _by_day(rows: QuerySet, moment: str, days: DayRange) -> dict[date, int]:
    within = rows.filter(**{f"{moment}__gte": days.begin, f"{moment}__lt": days.end})
    return dict(within.annotate(day=TruncDate(moment)).values_list("day").annotate(n=Count("pk")).order_by())


def _active(days: DayRange) -> dict[date, int]:
    with connection.cursor() as cursor:
        cursor.execute(_ACTIVE, {"begin": days.begin, "end": days.end})
        return dict(cursor.fetchall())
