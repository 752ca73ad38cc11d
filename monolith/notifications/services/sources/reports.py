"""Mails about reports, read from the reporting tables."""

from __future__ import annotations

from django.conf import settings

from reporting.models import ReportExport

from .letter import Letter


def export(export_id: int) -> Letter:
    """An export that can be downloaded."""
    row = ReportExport.objects.select_related("user__profile").get(pk=export_id)
    link = f"{settings.PUBLIC_BASE_URL}/api/reports/exports/{row.pk}"
    return Letter(row.user, row.user.email, {"export": row, "link": link})
