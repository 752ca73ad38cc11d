"""One run: everything in one transaction, so that a crash leaves nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from random import Random
from time import monotonic

from django.apps import apps
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.db.models import Model

from notifications.models import Device, NotificationLog, Preference, Template
from payments.models import (
    Coupon,
    Currency,
    Customer,
    FeeSchedule,
    Invoice,
    LedgerAccount,
    PaymentMethod,
    Plan,
    StripeWebhookEvent,
)

from . import checks, ledger, reference, reports, schema
from .accounts import Accounts
from .clock import Clock
from .customers import Customers
from .invoices import Invoices
from .mails import Mails
from .occasions import Occasions
from .payments import Payments
from .payouts import Payouts
from .people import People
from .prices import tariffs
from .sheets import Sheet, Sheets
from .subscriptions import Subscriptions
from .webhooks import Webhooks

DOMAINS = ("users", "payments", "notifications", "reporting")
# Filled by migrations, or by people who signed up before; everything else has to be empty.
_MAY_HOLD_ROWS = {
    Coupon,
    Currency,
    Customer,
    Device,
    FeeSchedule,
    LedgerAccount,
    NotificationLog,
    PaymentMethod,
    Plan,
    Preference,
    StripeWebhookEvent,
    Template,
}
# Of all payments, those of subscriptions at the most, in percent.
_OF_SUBSCRIPTIONS = 22
_SETTINGS = {
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "work_mem": "128MB",
    "maintenance_work_mem": "256MB",
}


class NotEmpty(Exception):
    """There is data already."""


@dataclass(frozen=True)
class Wanted:
    """What the command was asked for."""

    users: int
    payments: int
    seed: int
    as_of: date


@dataclass
class Summary:
    """What was done."""

    rows: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    database_bytes: int = 0


def domain_models() -> list[type[Model]]:
    """The models of the four domains."""
    return [model for domain in DOMAINS for model in apps.get_app_config(domain).get_models()]


def run(wanted: Wanted, tell: Callable[[str], None]) -> Summary:
    """Seed, or raise and leave everything as it was."""
    begun = monotonic()
    # Without the unique constraints and foreign keys nothing else may write meanwhile; the ALTERs see to that.
    with transaction.atomic(), connection.cursor() as cursor:
        for name, value in _SETTINGS.items():
            cursor.execute("SELECT set_config(%s, %s, true)", [name, value])
        summary = _Run(wanted, cursor, tell).all()
    summary.seconds = monotonic() - begun
    return summary


class _Run:
    def __init__(self, wanted: Wanted, cursor: CursorWrapper, tell: Callable[[str], None]) -> None:
        self.wanted, self.cursor, self.tell = wanted, cursor, tell
        self.summary = Summary()
        self.sheets = Sheets()
        self.clock = Clock(wanted.as_of)

    def all(self) -> Summary:
        """Every step, in order."""
        tables = [model._meta.db_table for model in domain_models()]
        # Before the locks too: a command that was meant for another database must not stop this one's payments.
        refuse_unless_empty()
        self.cursor.execute(f"LOCK TABLE {', '.join(tables)} IN ACCESS EXCLUSIVE MODE")
        refuse_unless_empty()
        with self._step("foreign keys and indexes put away"):
            away = schema.put_away(self.cursor, tables)
        try:
            self._load()
        finally:
            self.sheets.close()
        with self._step("ANALYZE of what was loaded"):
            self.cursor.execute(f"ANALYZE {', '.join(tables)}")
        with self._step("ledger"):
            self.summary.rows |= ledger.book(self.cursor)
        with self._step("daily revenue"):
            self.summary.rows["reporting_daily_revenue"] = reports.roll_up(self.clock)
        with self._step("rules of the ledger"):
            checks.check(self.cursor)
        with self._step("indexes and foreign keys put back"):
            schema.put_back(self.cursor, away)
        self._advance_sequences()
        with self._step("ANALYZE"):
            self.cursor.execute(f"ANALYZE {', '.join(tables)}")
        self.cursor.execute("SELECT pg_database_size(current_database())")
        (self.summary.database_bytes,) = self.cursor.fetchone()
        return self.summary

    def _rng(self, part: str) -> Random:
        """Each part has its own, so that a change of one leaves the others as they were."""
        return Random(f"{self.wanted.seed}:{part}")

    def _load(self) -> None:
        sheets, clock, wanted, prices = self.sheets, self.clock, self.wanted, tariffs(self.clock.start)
        reference.backdate(self.cursor, clock)
        reference.write_coupons(sheets, clock)
        self._copy_all()
        reference.write_rates(sheets, clock, prices, self._rng("rates"))
        last_user = apps.get_model("users", "User").objects.order_by("-pk").values_list("pk", flat=True).first()
        people = People(wanted.users, last_user or 0, clock, prices, self._rng("people"))
        mails = Mails(sheets, people, clock, self._rng("mails"))
        accounts = Accounts(sheets, people, clock, prices, mails, self._rng("accounts"))
        customers = Customers(sheets, people, clock, self._rng("customers"))
        for number in people.numbers:
            if not people.is_erased(number):
                mails.choose(number, people.id(number))
            accounts.write(number)
            customers.write(number)
            if number % 5000 == 0:
                sheets.keep()
        reports.write_exports(sheets, people, clock, mails, self._rng("exports"))
        sheets.keep()

        webhooks = Webhooks(sheets, clock, self._rng("webhooks"))
        payouts = Payouts(sheets, clock, prices, webhooks, self._rng("payouts"))
        contracts = Subscriptions(people, clock, prices, self._rng("subscriptions"))
        contracts.make(wanted.payments * _OF_SUBSCRIPTIONS // 100)
        invoices = Invoices(sheets, people, clock, contracts, self._rng("invoices"))
        occasions = Occasions(people, clock, prices, self._rng("occasions"))
        writer = Payments(sheets, people, clock, payouts, webhooks, mails, self._rng("payments"))
        self._copy(writer.payments, writer.blocks(occasions.all(wanted.payments, contracts.debits)))
        invoices.write()
        payouts.write()
        if payouts.still_due:
            self.cursor.execute(
                "UPDATE payments_payment SET payout_due = true WHERE id = ANY (%s)", [sorted(payouts.still_due)]
            )
        self._copy_all()

    def _copy_all(self) -> None:
        for sheet in self.sheets.all():
            self._copy(sheet, sheet.blocks())

    def _copy(self, sheet: Sheet, blocks: Iterator[bytes]) -> None:
        before, begun = self.summary.rows.get(sheet.table, 0), monotonic()
        with self.cursor.copy(sheet.copy) as copy:
            for block in blocks:
                copy.write(block)
        self.summary.rows[sheet.table] = sheet.count
        if added := sheet.count - before:
            seconds = monotonic() - begun
            self.tell(f"{sheet.table}: {added:,} rows in {seconds:.1f} s ({added / max(seconds, 0.001):,.0f} a second)")

    def _advance_sequences(self) -> None:
        """The next row of each table comes after the last one, and so does the next invoice's number."""
        for table in (model._meta.db_table for model in domain_models()):
            self.cursor.execute(
                f"SELECT setval(pg_get_serial_sequence(%s, 'id'), max(id)) FROM {table} HAVING max(id) > 0", [table]
            )
        numbers = self.summary.rows[Invoice._meta.db_table]
        if numbers:
            self.cursor.execute("SELECT setval('payments_invoice_number', %s)", [numbers])

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        begun = monotonic()
        yield
        self.tell(f"{name}: {monotonic() - begun:.1f} s")


def refuse_unless_empty() -> None:
    """Raise when a table holds rows that the seeded ones would mix with."""
    full = []
    for model in domain_models():
        of_users = model._meta.app_label == "users"
        if not of_users and model not in _MAY_HOLD_ROWS and model.objects.exists():
            full.append(model._meta.db_table)
    if full:
        raise NotEmpty(f"these tables hold data already: {', '.join(sorted(full))}")
