"""The tables of the reporting domain."""

from __future__ import annotations

from datetime import datetime, timedelta
from random import Random

from reporting.models import DailyRevenue, ExportFormat, ExportKind, ExportStatus, ReportExport
from reporting.ranges import DayRange
from reporting.services.revenue import work_out
from reporting.services.rollup import daily_revenue

from .clock import DAY, HOUR, Clock
from .mails import Mails
from .people import People
from .sheets import NULL, Sheets
from .tokens import hexadecimal

_EXPORTS = 60
_LIFETIME = 7 * DAY
_CHUNK = 2000


def roll_up(clock: Clock) -> int:
    """Revenue by day and currency, worked out of the payments tables by the domain's own code; how many rows."""
    now = datetime.fromisoformat(clock.at(clock.end))
    figures = work_out(DayRange(clock.first_day, clock.last_day))
    rows = [daily_revenue(row, now) for row in sorted(figures, key=lambda row: (row.date, row.currency))]
    for first_id, row in enumerate(rows, 1):
        row.pk = first_id
    DailyRevenue.objects.bulk_create(rows, batch_size=_CHUNK)
    return len(rows)


def write_exports(sheets: Sheets, people: People, clock: Clock, mails: Mails, rng: Random) -> None:
    """Files that staff asked for, of every kind and status. The files themselves are not made: those that are ready are
    answered as expired.
    """
    exports = sheets.of(
        ReportExport,
        "id user_id kind format from_date to_date status file_name rows bytes attempts error created_at completed_at"
        " expires_at",
    )
    staff = [number for number in people.numbers if people.is_staff(number)]
    kinds = list(ExportKind)
    for place in range(_EXPORTS):
        number = staff[place % len(staff)]
        left = _EXPORTS - place
        # One a week or so, and the last ones of today.
        asked = clock.end - (left * 60 if left < 5 else left * 5 * DAY + place * HOUR)
        if asked < people.signup[number]:
            continue
        export_id, at = exports.next_id(), clock.at
        status, rows, size, error, done, expires, attempts = _outcome(left, asked, clock)
        last = clock.first_day + timedelta(days=asked // DAY - 1)
        first = last - timedelta(days=29)
        exports.add(
            f"{export_id}\t{people.id(number)}\t{kinds[place % len(kinds)].value}\t{ExportFormat.CSV.value}\t{first}\t"
            f"{last}\t{status.value}\t{hexadecimal(rng, 32)}.csv\t{rows}\t{size}\t{attempts}\t{error}\t"
            f"{at(asked)}\t{done}\t{expires}\n"
        )
        if size != NULL:
            mails.write(asked + 90, "report.export-ready", number, people.id(number), export_id)


def _outcome(left: int, asked: int, clock: Clock) -> tuple[ExportStatus, object, object, str, str, str, int]:
    """Status, rows, bytes, error, times and attempts."""
    if left in (1, 2):
        status = ExportStatus.QUEUED if left == 1 else ExportStatus.RUNNING
        return status, NULL, NULL, "", NULL, NULL, left - 1
    done = clock.at(asked + 90)
    if left % 10 == 7:
        return ExportStatus.FAILED, NULL, NULL, "the file could not be written", done, NULL, 3
    over = asked + 90 + _LIFETIME
    status = ExportStatus.EXPIRED if over < clock.end else ExportStatus.READY
    return status, 40 * left, 3_100 * left, "", done, clock.at(over), 1
