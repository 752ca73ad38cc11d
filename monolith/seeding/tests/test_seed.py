"""`manage.py seed`: what it writes, and when it writes nothing."""

from datetime import date
from io import StringIO

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from payments.models import Currency, LedgerEntry, Payment, PaymentStatusChange
from payments.services.invoice_payments import RETRY_AFTER
from seeding import checks, reports
from seeding.run import domain_models
from testing.api import sign_up
from testing.outbox import events
from users.models import User

from .company import PAYMENTS, USERS, checksums, query, schema, seed


def test_every_table_gets_rows_and_nothing_is_published():
    summary = seed()
    counts = {model._meta.db_table: model.objects.count() for model in domain_models()}
    assert len(counts) == 37
    assert [table for table, count in counts.items() if not count] == []
    assert (User.objects.count(), Payment.objects.count()) == (USERS, PAYMENTS)
    assert events() == []
    migrated = {
        "payments_currency": 11,
        "payments_plan": 5,
        "payments_coupon": 2,
        "payments_fee_schedule": 11,
        "payments_ledger_account": 4 * 11,
    }
    for table, count in counts.items():
        if table != "notifications_template":
            assert summary["tables"].get(table, 0) + migrated.get(table, 0) == count, table


def test_every_value_of_every_choice_occurs():
    seed()
    missing = {}
    for model in domain_models():
        for field in model._meta.concrete_fields:
            if field.choices:
                found = set(model.objects.values_list(field.name, flat=True).distinct())
                missing[f"{model.__name__}.{field.name}"] = {value for value, _ in field.choices} - found
    # Only the payments service makes them.
    assert missing.pop("LedgerTransaction.kind") == {"reversal"}
    # Nothing comes after a cancellation.
    assert missing.pop("PaymentStatusChange.from_status") == {"canceled"}
    assert {name: values for name, values in missing.items() if values} == {}
    assert PaymentStatusChange.objects.filter(from_status="").count() == PAYMENTS
    assert len(RETRY_AFTER) == 3  # what makes an invoice uncollectible


def test_payments_in_currencies_with_no_two_and_three_decimals():
    seed(users=200, payments=1500)
    paid_in = set(Payment.objects.values_list("currency_id", flat=True).distinct())
    assert paid_in == set(Currency.objects.values_list("code", flat=True))
    for decimals in (0, 2, 3):
        amounts = Payment.objects.filter(currency__decimals=decimals).values_list("amount", flat=True)
        assert len(amounts) > 20
        assert {amount * 10**decimals % 1 for amount in amounts} == {0}
        # As fine as the currency allows.
        assert decimals == 0 or any(amount * 10 ** (decimals - 1) % 1 for amount in amounts)


@pytest.mark.parametrize(("users", "payments"), [(1, 0), (1, 1), (3, 12), (8, 60)])
def test_a_company_may_be_tiny(users, payments):
    seed(users=users, payments=payments)
    assert (User.objects.count(), Payment.objects.count()) == (users, payments)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"users": 0, "payments": 5}, "--users must be 1 or more"),
        ({"users": -1, "payments": 0}, "--users must be 1 or more"),
        ({"users": 5, "payments": -1}, "--payments must be 0 or more"),
        ({"users": 5, "payments": 5, "as_of": date(2019, 1, 1)}, "--as-of must be from"),
    ],
)
def test_bad_numbers_are_named(arguments, said):
    with pytest.raises(CommandError, match=said):
        seed(**arguments)
    assert not User.objects.exists()


def test_bad_arguments_are_named():
    for arguments, said in (
        (["--users=x", "--payments=1"], "argument --users: invalid int value: 'x'"),
        (["--users=1"], "arguments are required: --payments"),
        (["--users=1", "--payments=1", "--as-of=x"], "argument --as-of: must be a day such as 2026-11-01, not 'x'"),
    ):
        with pytest.raises(CommandError, match=said):
            call_command("seed", *arguments)


def test_a_second_run_is_refused_and_changes_nothing():
    seed()
    before = checksums()
    with pytest.raises(CommandError, match=r"Nothing was changed: these tables hold data already: .*payments_payment"):
        seed(seed=2)
    assert checksums() == before


def test_a_database_in_use_is_refused_without_waiting_for_anybody():
    seed()
    with psycopg.connect(**connection.get_connection_params()) as reader:
        reader.execute("SELECT count(*) FROM payments_payment")
        with pytest.raises(CommandError, match="hold data already"):
            seed(seed=2)


def test_a_key_of_the_real_stripe_is_refused(settings):
    settings.STRIPE_API_KEY = "sk_live_1"
    with pytest.raises(CommandError, match="STRIPE_API_KEY"):
        seed()
    assert not User.objects.exists()


def test_who_signed_up_before_stays_and_the_ids_go_on_after():
    api = sign_up()
    first = User.objects.get()
    seed()
    assert User.objects.count() == USERS + 1
    assert User.objects.filter(pk__gt=first.pk).count() == USERS
    assert api.get("/api/users/me").json()["email"] == first.email
    following = sign_up("grace@example.com")
    assert following.user["id"] == first.pk + USERS + 1


def test_the_schema_is_as_before():
    before = schema()
    assert len(before) > 300
    seed()
    assert schema() == before


def test_data_that_breaks_a_rule_is_not_kept(monkeypatch):
    monkeypatch.setitem(checks.RULES, "there are no entries", "SELECT count(*) FROM payments_ledger_entry")
    before, rows = schema(), checksums()
    with pytest.raises(checks.RuleBroken, match="there are no entries"):
        seed()
    assert schema() == before
    assert checksums() == rows


def test_a_crash_leaves_nothing(monkeypatch):
    before, rows = schema(), checksums()

    def die(_):
        assert LedgerEntry.objects.exists()
        query("SELECT pg_terminate_backend(pg_backend_pid())")

    monkeypatch.setattr(reports, "roll_up", die)
    with pytest.raises(CommandError, match="Nothing was changed"):
        seed()
    connection.close()
    assert schema() == before
    assert checksums() == rows


def test_what_is_said():
    out, err = StringIO(), StringIO()
    call_command("seed", users=5, payments=20, stdout=out, stderr=err)
    assert "payments_payment: 20 rows in" in err.getvalue()
    assert "a second)" in err.getvalue()
    assert "The password of everybody is" in out.getvalue()
    assert "rows in" in out.getvalue()


def test_the_ledger_is_guarded_again_afterwards():
    seed()
    names = query("SELECT tgname::text, tgenabled::text FROM pg_trigger WHERE tgname LIKE 'payments_ledger_%'")
    # What a sync carries is added up by four of its own, which are awake for nobody else.
    assert sorted(enabled for _, enabled in names) == ["O"] * 4 + ["R"] * 4
