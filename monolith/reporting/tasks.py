"""Background jobs of the reporting app."""

from __future__ import annotations

from celery import shared_task

from .services.exports import build_waiting, expire
from .services.rollup import roll_up


@shared_task(name="reporting.roll_up_daily_revenue")
def roll_up_daily_revenue() -> int:
    """Work out the revenue of days that are over, again where rows came late; how many days."""
    return roll_up()


@shared_task(name="reporting.build_exports")
def build_exports() -> int:
    """Build the exports that wait, and delete those whose time is over; how many became ready."""
    expire()
    return build_waiting()
