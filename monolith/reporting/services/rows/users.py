"""Users."""

from __future__ import annotations

from django.db.models import F, Q

from reporting.ranges import DayRange
from users.models import User

from .stream import Rows, stream


def users(days: DayRange) -> Rows:
    """The users who signed up on these days."""
    yield ["id", "createdAt", "email", "displayName", "locale", "preferredChannel", "verifiedAt", "deletedAt"]
    rows = User.objects.filter(created_at__gte=days.begin, created_at__lt=days.end)
    # An erased account has no address, and is listed all the same.
    primary = Q(email_addresses__is_primary=True) | Q(email_addresses=None)
    rows = rows.filter(primary).annotate(verified_at=F("email_addresses__verified_at"))
    for row in stream(rows.select_related("profile")):
        yield [
            row.pk,
            row.created_at,
            row.email,
            row.profile.display_name,
            row.profile.locale,
            row.profile.preferred_channel,
            row.verified_at,
            row.deleted_at,
        ]
