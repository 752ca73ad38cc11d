"""Exports: asked for, built in the background, kept for a while."""

from __future__ import annotations

import contextlib
import logging
import secrets
import time
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.db import InterfaceError, OperationalError, transaction
from django.utils import timezone

from common.tasks import start_task
from notifications.services.announce import announce
from reporting import csv_files
from reporting.models import ExportStatus, ReportExport
from reporting.ranges import DayRange

from .rows import ROWS

logger = logging.getLogger(__name__)

TASK = "reporting.build_exports"
MAX_ATTEMPTS = 3
WAITING = [ExportStatus.QUEUED, ExportStatus.RUNNING]
# What was left behind by a process that died.
ABANDONED_AFTER = timedelta(days=1)


def ask_for(user_id: int, kind: str, file_format: str, days: DayRange) -> ReportExport:
    """Note an export and start the task that builds it."""
    with transaction.atomic():
        export = ReportExport.objects.create(
            user_id=user_id,
            kind=kind,
            format=file_format,
            from_date=days.first,
            to_date=days.last,
            file_name=f"{secrets.token_hex(16)}.{file_format}",
        )
        transaction.on_commit(lambda: start_task(TASK))
    return export


def path_of(export: ReportExport) -> Path:
    """Where the file is, or will be."""
    return Path(settings.EXPORT_DIR) / export.file_name


def build_waiting() -> int:
    """Build what waits, oldest first; how many became ready."""
    waiting = ReportExport.objects.filter(status__in=WAITING).order_by("created_at", "id")
    return sum(build(export_id) for export_id in list(waiting.values_list("pk", flat=True)))


def build(export_id: int) -> bool:
    """Build an export, unless that is being done; whether it is ready now.

    The row is locked while the file is written. A process that dies lets go of it, and the next run
    begins anew: what it finds running but not locked is nobody's.
    """
    if not _begin(export_id):
        return False
    try:
        with transaction.atomic():
            export = _claim(export_id)
            if export is None:
                return False
            _write(export)
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:
        logger.exception("export not built", extra={"export_id": export_id})
        _fail(export_id, error)
        return False
    return True


def _claim(export_id: int) -> ReportExport | None:
    rows = ReportExport.objects.select_for_update(skip_locked=True)
    return rows.filter(pk=export_id, status__in=WAITING).first()


def _begin(export_id: int) -> bool:
    """Count the attempt, in a transaction of its own, so that a file that kills its builder is given up."""
    with transaction.atomic():
        export = _claim(export_id)
        if export is None:
            return False
        export.status = ExportStatus.RUNNING if export.attempts < MAX_ATTEMPTS else ExportStatus.FAILED
        if export.status == ExportStatus.FAILED:
            export.error, export.completed_at = "the export could not be built", timezone.now()
        export.attempts += 1
        export.save()
        return export.status == ExportStatus.RUNNING


def _write(export: ReportExport) -> None:
    written = csv_files.write(path_of(export), ROWS[export.kind](DayRange(export.from_date, export.to_date)))
    now = timezone.now()
    export.status, export.error = ExportStatus.READY, ""
    export.rows, export.bytes, export.completed_at = written.rows, written.bytes, now
    export.expires_at = now + timedelta(hours=settings.EXPORT_LIFETIME_HOURS)
    export.save()
    announce(
        "report.export-ready",
        {"exportId": export.pk, "userId": export.user_id, "rows": written.rows, "bytes": written.bytes},
        subject=f"export/{export.pk}",
        user_id=export.user_id,
        object_id=export.pk,
    )


def _fail(export_id: int, error: Exception) -> None:
    """A full disk may have room again later; anything else stays as it is."""
    with transaction.atomic():
        export = _claim(export_id)
        if export is None:
            return
        if isinstance(error, OSError) and export.attempts < MAX_ATTEMPTS:
            export.status = ExportStatus.QUEUED
        else:
            export.status, export.completed_at = ExportStatus.FAILED, timezone.now()
        export.error = (
            "the file could not be written" if isinstance(error, OSError) else "the export could not be built"
        )
        export.save()
    with contextlib.suppress(OSError):  # the folder itself may be what is wrong
        path_of(export).unlink()


def give_up_exports(user_id: int) -> None:
    """Nobody will fetch the exports of a user: the files go with the next run of the job."""
    now = timezone.now()
    own = ReportExport.objects.filter(user_id=user_id)
    own.filter(status__in=WAITING).update(status=ExportStatus.FAILED, error="the account was erased", completed_at=now)
    own.filter(status=ExportStatus.READY).update(expires_at=now)


def expire() -> int:
    """Delete the files whose time is over, and what processes that died left behind; how many exports expired."""
    over = ReportExport.objects.filter(status=ExportStatus.READY, expires_at__lte=timezone.now())
    expired = 0
    for export in over.order_by("pk"):
        # The file first: if the process dies in between, the next run finds the row again.
        path_of(export).unlink(missing_ok=True)
        expired += over.filter(pk=export.pk).update(status=ExportStatus.EXPIRED)
    before = time.time() - ABANDONED_AFTER.total_seconds()
    for path in Path(settings.EXPORT_DIR).glob("*.part"):
        if path.stat().st_mtime < before:
            path.unlink(missing_ok=True)
    return expired
