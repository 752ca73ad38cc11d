"""Reports as JSON."""

from __future__ import annotations

from typing import Any

from common.times import rfc3339, rfc3339_or_none
from payments.money import format_amount

from .models import ReportExport
from .services.activity import Activity
from .services.revenue import Figures


def revenue_json(row: Figures, decimals: int) -> dict[str, Any]:
    """A day's revenue in one currency."""
    return {
        "date": row.date.isoformat(),
        "currency": row.currency,
        "gross": format_amount(row.gross, decimals),
        "refunds": format_amount(row.refunds, decimals),
        "disputes": format_amount(row.disputes, decimals),
        "fees": format_amount(row.fees, decimals),
        "net": format_amount(row.net, decimals),
        "payments": row.payments,
    }


def activity_json(row: Activity) -> dict[str, Any]:
    """What users did on a day."""
    return {
        "date": row.date.isoformat(),
        "signups": row.signups,
        "verified": row.verified,
        "active": row.active,
        "deleted": row.deleted,
    }


def export_json(export: ReportExport) -> dict[str, Any]:
    """An export as whoever asked for it sees it."""
    return {
        "id": export.pk,
        "kind": export.kind,
        "format": export.format,
        "from": export.from_date.isoformat(),
        "to": export.to_date.isoformat(),
        "status": export.current_status,
        "rows": export.rows,
        "bytes": export.bytes,
        "error": export.error or None,
        "createdAt": rfc3339(export.created_at),
        "completedAt": rfc3339_or_none(export.completed_at),
        "expiresAt": rfc3339_or_none(export.expires_at),
    }
