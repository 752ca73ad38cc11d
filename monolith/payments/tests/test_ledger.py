"""The ledger, the fees in it, and the balance that is read from it."""

from decimal import Decimal

import pytest
from django.db import IntegrityError, connection, transaction

from payments.models import AccountKind, Fee, FeeSchedule, LedgerAccount, LedgerEntry, LedgerTransaction, Payment
from payments.services.fees import fee_minor
from testing.api import Api, sign_up


@pytest.fixture
def api(stripe):
    return sign_up()


def account(kind, currency="USD"):
    return LedgerAccount.objects.get(kind=kind, currency=currency)


def balances(api):
    answer = api.get("/api/payments/balance")
    assert answer.status_code == 200, answer.content
    return answer.json()["balances"]


def test_a_payment_is_booked_with_its_fee(api):
    payment_id = api.charge().json()["id"]
    booked = LedgerEntry.objects.filter(transaction__payment_id=payment_id).order_by("id")
    assert list(booked.values_list("transaction__kind", "account__kind", "amount")) == [
        ("charge", "stripe", Decimal(10)),
        ("charge", "customer", Decimal(-10)),
        ("fee", "fees", Decimal("0.59")),
        ("fee", "stripe", Decimal("-0.59")),
    ]
    assert account("stripe").balance == Decimal("9.41")
    fee = Fee.objects.get()
    assert (fee.payment_id, fee.amount, fee.schedule.percent_bp) == (payment_id, Decimal("0.59"), 290)


@pytest.mark.parametrize(
    ("amount", "percent_bp", "fixed", "fee"),
    [(1000, 290, 30, 59), (1017, 290, 30, 59), (1018, 290, 30, 60), (500, 360, 0, 18), (1, 290, 0, 0), (0, 0, 0, 0)],
)
def test_fees_are_whole_minor_units(amount, percent_bp, fixed, fee):
    assert fee_minor(amount, percent_bp, fixed) == fee


def test_the_newest_schedule_counts_that_has_begun(api):
    old = FeeSchedule.objects.get(currency="USD")
    FeeSchedule.objects.create(currency=old.currency, percent_bp=0, fixed=1, valid_from="2021-01-01T00:00Z")
    FeeSchedule.objects.create(currency=old.currency, percent_bp=0, fixed=9, valid_from="2999-01-01T00:00Z")
    api.charge()
    assert Fee.objects.get().amount == 1


def test_what_was_not_paid_is_not_booked(api):
    api.charge(paymentMethodId="pm_card_chargeDeclined")
    reserved = api.charge(capture=False).json()["id"]
    assert not LedgerTransaction.objects.exists()
    api.post(f"/api/payments/{reserved}/capture", {"amount": "4"})
    assert account("customer").balance == -4


def test_the_balance_of_a_user(api):
    assert balances(api) == []
    paid = api.charge().json()["id"]
    api.charge(amount="1000", currency="JPY", capture=False)
    api.charge(amount="1.5", currency="KWD")
    api.post(f"/api/payments/{paid}/refunds", {"amount": "2.5"}, **{"Idempotency-Key": "k"})
    sign_up("grace@example.com").charge(amount="99")
    shown = balances(api)
    assert [row["currency"] for row in shown] == ["JPY", "KWD", "USD"]
    assert shown == [
        {"currency": "JPY", "paid": "0", "refunded": "0", "disputed": "0", "net": "0", "pending": "1000"},
        {
            "currency": "KWD",
            "paid": "1.500",
            "refunded": "0.000",
            "disputed": "0.000",
            "net": "1.500",
            "pending": "0.000",
        },
        {"currency": "USD", "paid": "10.00", "refunded": "2.50", "disputed": "0.00", "net": "7.50", "pending": "0.00"},
    ]
    assert Api().get("/api/payments/balance").status_code == 401


def entries(amounts, *, currency="USD"):
    """Entries of one transaction, written past the services."""
    payment = Payment.objects.get()
    booking = LedgerTransaction.objects.create(kind="refund", payment=payment)
    accounts = list(LedgerAccount.objects.filter(currency="USD").order_by("id")[: len(amounts)])
    for own, amount in zip(accounts, amounts, strict=True):
        LedgerEntry.objects.create(transaction=booking, account=own, amount=amount, currency_id=currency)


@pytest.mark.parametrize(
    ("amounts", "constraint"),
    [
        ([Decimal(1)], "does not sum to zero"),
        ([Decimal(1), Decimal("-0.999")], "does not sum to zero"),
        ([], "has no entries"),
        ([Decimal(1), Decimal(0), Decimal(-1)], "payments_ledger_entry_not_zero"),
    ],
)
def test_the_database_refuses_what_does_not_balance(api, amounts, constraint):
    api.charge()
    before = LedgerEntry.objects.count()
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        entries(amounts)
    assert LedgerEntry.objects.count() == before


def test_it_judges_a_transaction_when_it_commits(api):
    api.charge()
    entries_before = LedgerEntry.objects.count()
    with transaction.atomic():
        entries([Decimal(1), Decimal(-1)])
    assert LedgerEntry.objects.count() == entries_before + 2


def test_it_refuses_an_entry_in_another_currency(api):
    api.charge()
    with pytest.raises(IntegrityError, match="payments_ledger_entry_currency"), transaction.atomic():
        entries([Decimal(1), Decimal(-1)], currency="EUR")


@pytest.mark.parametrize("table", ["payments_ledger_entry", "payments_ledger_transaction"])
@pytest.mark.parametrize("change", ["DELETE FROM {}", "UPDATE {} SET created_at = now()"])
def test_it_refuses_changes(api, table, change):
    api.charge()
    with pytest.raises(IntegrityError, match="append only"), connection.cursor() as cursor:
        cursor.execute(change.format(table))


def test_it_refuses_to_book_a_charge_twice(api):
    from payments.services.ledger import book_charge

    api.charge()
    with pytest.raises(IntegrityError, match="payments_ledger_charge_once"), transaction.atomic():
        book_charge(Payment.objects.select_related("currency").get())
    assert account(AccountKind.CUSTOMER).balance == -10
