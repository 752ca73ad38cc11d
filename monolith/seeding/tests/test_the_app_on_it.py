"""The API works on seeded rows as on its own."""

from decimal import Decimal

import pytest
from django.contrib.auth.hashers import identify_hasher
from django.db.models import Count

from monolith.settings import PASSWORD_HASHERS
from payments.models import LedgerAccount, Payment, PaymentStatus
from payments.money import format_amount
from seeding.passwords import HASHES, PASSWORD
from testing.api import Api, sign_up
from users.models import User

from .company import seed


@pytest.fixture(autouse=True)
def _hashers_of_the_site(settings):
    settings.PASSWORD_HASHERS = PASSWORD_HASHERS


def log_in(user: User) -> Api:
    answer = Api().post("/api/users/login", {"email": user.email, "password": PASSWORD})
    assert answer.status_code == 200, answer.content
    return Api(answer.json()["accessToken"])


def usable() -> "list[User]":
    return list(User.objects.filter(is_active=True).exclude(password__startswith="!").order_by("id"))


def busiest() -> User:
    able = [user.pk for user in usable()]
    return User.objects.filter(pk__in=able).annotate(n=Count("payments")).order_by("-n", "id")[0]


def test_a_user_of_every_hasher_logs_in_and_gets_a_new_hash():
    seed()
    assert len(PASSWORD_HASHERS) == len(HASHES)
    by_hasher = {identify_hasher(user.password).algorithm: user for user in usable()}
    assert set(by_hasher) == set(HASHES)
    for algorithm, user in by_hasher.items():
        assert Api().post("/api/users/login", {"email": user.email, "password": "x" * 80}).status_code == 401, algorithm
        assert log_in(user).get("/api/users/me").json()["email"] == user.email
        user.refresh_from_db()
        assert identify_hasher(user.password).algorithm == "pbkdf2_sha256"
        assert not identify_hasher(user.password).must_update(user.password), algorithm


def test_who_has_no_password_or_no_account_cannot_log_in():
    seed()
    refused = User.objects.exclude(pk__in=[user.pk for user in usable()])
    assert {user.is_active for user in refused} == {True, False}
    for user in refused[:6]:
        assert Api().post("/api/users/login", {"email": user.email, "password": PASSWORD}).status_code == 401


def test_payments_are_listed_page_by_page():
    seed()
    user = busiest()
    api, found, cursor = log_in(user), [], ""
    while cursor is not None:
        page = api.get(f"/api/payments/?limit=7&cursor={cursor}").json()
        found += page["items"]
        cursor = page["nextCursor"]
    expected = Payment.objects.filter(user=user).order_by("-created_at", "-id")
    assert [item["id"] for item in found] == [payment.pk for payment in expected]
    assert len(found) > 14
    first = expected.select_related("currency")[0]
    assert found[0]["amount"] == format_amount(first.amount, first.currency.decimals)


def test_other_lists_and_balances():
    seed()
    user = busiest()
    api = log_in(user)
    balances = {row["currency"]: row for row in api.get("/api/payments/balance").json()["balances"]}
    for account in LedgerAccount.objects.filter(customer__user=user):
        kept = Decimal(balances[account.currency_id]["paid"]) - Decimal(balances[account.currency_id]["refunded"])
        lost = user.payments.filter(disputes__status="lost", currency=account.currency_id)
        if not lost.exists():
            assert kept == -account.balance
    for path in ("methods", "invoices", f"{user.payments.first().pk}/refunds"):
        assert api.get(f"/api/payments/{path}").status_code == 200
    assert api.get("/api/notifications/").json()["items"]
    assert api.get("/api/notifications/preferences").status_code == 200
    assert api.get("/api/users/sessions").status_code == 200


def test_a_charge_that_is_sent_again_is_answered_with_the_seeded_payment():
    seed()
    able = {user.pk: user for user in usable()}
    cards = Payment.objects.exclude(payment_method=None).exclude(request_fingerprint="").select_related("currency")
    again = cards.filter(capture=True, status=PaymentStatus.COMPLETED, user__in=able).order_by("id").first()
    body = {
        "amount": format_amount(again.amount, again.currency.decimals),
        "currency": again.currency_id,
        "paymentMethodId": again.payment_method_id,
        "description": again.description,
    }
    api = log_in(able[again.user_id])
    answer = api.charge(body, key=again.idempotency_key)
    assert answer["Idempotent-Replayed"] == "true", answer.content
    assert answer.json()["id"] == again.pk
    other = api.charge({**body, "amount": "1"}, key=again.idempotency_key)
    assert other.status_code == 422


def test_staff_reads_the_reports():
    seed()
    staff = log_in(User.objects.get(is_staff=True))
    revenue = staff.get("/api/reports/revenue?from=2026-10-01&to=2026-10-31&limit=200").json()["items"]
    assert sum(row["payments"] for row in revenue) > 20
    users = staff.get("/api/reports/users?from=2026-10-01&to=2026-10-31&limit=200").json()["items"]
    assert sum(row["signups"] for row in users) >= 6


def test_new_payments_come_after_the_seeded_ones(stripe):
    seed()
    last = Payment.objects.order_by("-id")[0].pk
    answer = sign_up().charge()
    assert answer.status_code == 201, answer.content
    assert answer.json()["id"] == last + 1
