"""`manage.py seed`: a company with two years of history."""

from __future__ import annotations

import json
from argparse import ArgumentTypeError
from datetime import date
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import OperationalError

from seeding.clock import DAYS
from seeding.passwords import HASHES, PASSWORD
from seeding.run import NotEmpty, Summary, Wanted, run

# A constant, so that the same command gives the same data whenever it is run.
AS_OF = date(2026, 11, 1)
# The price list that the migrations bring is valid from 2020 on.
_EARLIEST, _LATEST = date(2022, 1, 1), date(2999, 1, 1)


class Command(BaseCommand):
    """Reads the arguments; `seeding.run` does the work."""

    help = (
        "Fill every table with the data of a made-up company: two years that end when the day --as-of begins. The same "
        "arguments give the same data. All of it or nothing is written; nothing is published. It refuses when there "
        f"are payments already. The password of everybody is {PASSWORD}."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument("--users", type=int, required=True, help="how many accounts")
        parser.add_argument(
            "--payments",
            type=int,
            required=True,
            help="how many payments; with 60 users and 400 payments every status occurs",
        )
        parser.add_argument("--seed", type=int, default=1, help="another number gives other data (default: 1)")
        parser.add_argument(
            "--as-of",
            type=_day,
            default=AS_OF,
            metavar="YYYY-MM-DD",
            help=f"the day on which the history of {DAYS} days has ended (default: {AS_OF})",
        )
        parser.add_argument("--json", action="store_true", help="print the summary as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the command."""
        wanted = Wanted(options["users"], options["payments"], options["seed"], options["as_of"])
        _check(wanted)
        if settings.STRIPE_API_KEY.startswith(("sk_live_", "rk_live_")):
            raise CommandError(
                "STRIPE_API_KEY is a live one: everybody seeded, staff too, has a password that is written down here. "
                "Seed a database that nobody pays through."
            )
        try:
            summary = run(wanted, self._tell if options["verbosity"] else lambda _: None)
        except NotEmpty as error:
            raise CommandError(f"Nothing was changed: {error}. Seed a database that is new.") from None
        except OperationalError as error:
            raise CommandError(f"Nothing was changed: {error}") from error
        self.stdout.write(json.dumps(_as_json(wanted, summary)) if options["json"] else _in_words(summary))

    def _tell(self, line: str) -> None:
        self.stderr.write(line)
        self.stderr.flush()


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"must be a day such as {AS_OF}, not {text!r}") from None


def _check(wanted: Wanted) -> None:
    if wanted.users < 1:
        raise CommandError("--users must be 1 or more: everything else belongs to somebody.")
    if wanted.payments < 0:
        raise CommandError("--payments must be 0 or more.")
    if not _EARLIEST <= wanted.as_of <= _LATEST:
        raise CommandError(f"--as-of must be from {_EARLIEST} to {_LATEST}.")


def _as_json(wanted: Wanted, summary: Summary) -> dict[str, Any]:
    return {
        "users": wanted.users,
        "payments": wanted.payments,
        "seed": wanted.seed,
        "asOf": str(wanted.as_of),
        "seconds": round(summary.seconds, 1),
        "rows": sum(summary.rows.values()),
        "tables": dict(sorted(summary.rows.items())),
        "databaseBytes": summary.database_bytes,
        "hashers": list(HASHES),
    }


def _in_words(summary: Summary) -> str:
    lines = [f"{table:40} {count:>12,}" for table, count in sorted(summary.rows.items())]
    total, size = sum(summary.rows.values()), summary.database_bytes / 2**20
    lines.append(f"{total:,} rows in {summary.seconds:.1f} s; the database has {size:,.0f} MB.")
    lines.append(f"The password of everybody is {PASSWORD}.")
    return "\n".join(lines)
