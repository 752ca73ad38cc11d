"""Which rows the jobs of this side work off while the payments service has jobs too.

A sync brings the service's rows here and ours there. Each side finishes what it began, whoever serves
the user now: two that charge, pay out or bill the same row would do it twice.
"""

from __future__ import annotations

from typing import TypeVar

from django.conf import settings
from django.db.models import Model, QuerySet

Row = TypeVar("Row", bound=Model)
# Ids of rows born in the service begin here.
FIRST_OF_SERVICE = 2**40
# From then on the service works off everything.
HANDED_OVER = {"new", "retired"}


def own(rows: QuerySet[Row]) -> QuerySet[Row]:
    """Those of the rows that this side began; none once the service has taken over."""
    if settings.PAYMENTS_PHASE in HANDED_OVER:
        return rows.none()
    return rows.filter(pk__lt=FIRST_OF_SERVICE)
