"""The rows of exports, one kind a module: the heading and then the rows, oldest first."""

from __future__ import annotations

from collections.abc import Callable

from reporting.models import ExportKind
from reporting.ranges import DayRange

from .payments import payments
from .revenue import revenue
from .stream import Rows
from .users import users

ROWS: dict[str, Callable[[DayRange], Rows]] = {
    ExportKind.PAYMENTS: payments,
    ExportKind.REVENUE: revenue,
    ExportKind.USERS: users,
}

__all__ = ["ROWS", "Rows"]
