"""Revenue by day and currency: worked out, rolled up, read."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from payments.models import Dispute, Payment, Refund
from reporting.models import DailyRevenue
from reporting.ranges import today
from reporting.tasks import roll_up_daily_revenue
from testing.api import Api, sign_up

from .shop import dispute, give_back, moment, pay, staff

PATH = "/api/reports/revenue"
MARCH = "from=2026-03-01&to=2026-03-31"


@pytest.fixture
def shop():
    """Three days of March in three currencies."""
    user = sign_up().user["id"]
    first = pay(user, "100.00", moment("2026-03-01"), fee="3.20")
    pay(user, "50.00", moment("2026-03-01", "23:59:59.999999"), fee="1.75")
    pay(user, "0.500", moment("2026-03-01"), currency="KWD")
    second = pay(user, "1000", moment("2026-03-02", "00:00:00"), currency="JPY")
    # Neither declined nor begun ones count.
    pay(user, "7.00", moment("2026-03-02"), status="failed", completed_at=None)
    give_back(first, "25.00", moment("2026-03-03"))
    dispute(second, "1000", moment("2026-03-03"))
    return user


def row(date, currency, gross, refunds, disputes, fees, net, payments):
    return {
        "date": date,
        "currency": currency,
        "gross": gross,
        "refunds": refunds,
        "disputes": disputes,
        "fees": fees,
        "net": net,
        "payments": payments,
    }


EXPECTED = [
    row("2026-03-03", "JPY", "0", "0", "1000", "0", "-1000", 0),
    row("2026-03-03", "USD", "0.00", "25.00", "0.00", "0.00", "-25.00", 0),
    row("2026-03-02", "JPY", "1000", "0", "0", "0", "1000", 1),
    row("2026-03-01", "KWD", "0.500", "0.000", "0.000", "0.000", "0.500", 1),
    row("2026-03-01", "USD", "150.00", "0.00", "0.00", "4.95", "145.05", 2),
]


@pytest.mark.parametrize("rolled_up", [False, True])
def test_each_day_and_currency_with_its_decimals(shop, rolled_up):
    if rolled_up:
        assert roll_up_daily_revenue() == 3
        assert DailyRevenue.objects.count() == 5
    api = staff()
    assert api.get(f"{PATH}?{MARCH}").json() == {"items": EXPECTED, "nextCursor": None}
    assert api.get(f"{PATH}?{MARCH}&currency=JPY").json()["items"] == [EXPECTED[0], EXPECTED[2]]
    assert api.get(f"{PATH}?from=2026-03-02&to=2026-03-02").json()["items"] == EXPECTED[2:3]


@pytest.mark.parametrize("rolled_up_between", [False, True])
def test_pages_follow_each_other_also_over_a_roll_up(shop, rolled_up_between):
    api = staff()
    items, cursor = [], ""
    while cursor is not None:
        page = api.get(f"{PATH}?{MARCH}&limit=2&cursor={cursor}").json()
        assert len(page["items"]) <= 2
        items += page["items"]
        cursor = page["nextCursor"]
        if rolled_up_between:
            roll_up_daily_revenue()
    assert items == EXPECTED


def test_today_is_live_and_beside_what_is_stored(shop):
    roll_up_daily_revenue()
    pay(shop, "9.00", timezone.now(), fee="0.56")
    roll_up_daily_revenue()
    # A day is not rolled up before it is over.
    assert not DailyRevenue.objects.filter(date=today()).exists()
    newest, *_ = staff().get(f"{PATH}?from={today() - timedelta(days=1)}").json()["items"]
    assert newest == row(str(today()), "USD", "9.00", "0.00", "0.00", "0.56", "8.44", 1)
    assert staff("other@example.com").get(PATH).json()["items"] == [newest]


def test_rolling_up_again_changes_nothing(shop):
    roll_up_daily_revenue()
    before = list(DailyRevenue.objects.order_by("id").values())
    # Within the hour that a transaction may take, the days are looked at again.
    assert roll_up_daily_revenue() == 3
    after = list(DailyRevenue.objects.order_by("id").values())
    assert [{**old, "rolled_up_at": None} for old in before] == [{**new, "rolled_up_at": None} for new in after]
    assert before[0]["rolled_up_at"] < after[0]["rolled_up_at"]


def long_ago(**rows):
    """Let what there is have been there, and been rolled up, for a while."""
    past = timezone.now() - timedelta(days=2)
    for model in (Payment, Refund, Dispute):
        model.objects.update(updated_at=past)
    DailyRevenue.objects.update(rolled_up_at=past + timedelta(days=1))


def test_rows_that_come_late_are_rolled_up_with_their_day(shop):
    roll_up_daily_revenue()
    long_ago()
    # Only fees have no time of change: theirs is that of their making.
    from payments.models import Fee

    Fee.objects.update(created_at=timezone.now() - timedelta(days=2))
    assert roll_up_daily_revenue() == 0
    pay(shop, "11.00", moment("2026-03-02"))  # a webhook that was days late
    won = Dispute.objects.get()
    won.status, won.is_withdrawn = "won", False
    won.save()
    assert roll_up_daily_revenue() == 2
    stored = dict(DailyRevenue.objects.filter(currency="USD").values_list("date", "net"))
    assert stored[today().replace(2026, 3, 2)] == Decimal("11.000")
    # The dispute was all there was in yen on the third.
    assert not DailyRevenue.objects.filter(currency="JPY", date="2026-03-03").exists()


def test_a_run_that_dies_is_taken_up_where_it_stopped(shop, monkeypatch):
    from reporting.services import rollup

    real = rollup._replace

    def die(day, *rest):
        if str(day) == "2026-03-02":
            raise KeyboardInterrupt
        real(day, *rest)

    with monkeypatch.context() as crash:
        crash.setattr(rollup, "_replace", die)
        with pytest.raises(KeyboardInterrupt):
            roll_up_daily_revenue()
    assert set(DailyRevenue.objects.values_list("date", flat=True)) == {today().replace(2026, 3, 1)}
    api = staff()
    assert api.get(f"{PATH}?{MARCH}").json()["items"] == EXPECTED
    roll_up_daily_revenue()
    assert DailyRevenue.objects.count() == 5
    assert api.get(f"{PATH}?{MARCH}").json()["items"] == EXPECTED


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("from=2026-02-30", "from"),
        ("from=20260201", "from"),
        ("from=1999-12-31&to=2000-01-02", "from"),
        ("to=9999-12-31", "to"),
        ("to=", "to"),
        ("from=2026-03-02&to=2026-03-01", "from"),
        ("from=2025-01-01&to=2026-01-02", "from"),
        ("currency=usd", "currency"),
        ("currency=", "currency"),
        ("currency=%00", "currency"),
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("cursor=!", "cursor"),
        ("cursor=AAAA", "cursor"),
        ("cursor=MS4yLjM", "cursor"),
        ("cursor=MjAyNi0wMS0wMS4AAAA", "cursor"),
    ],
)
def test_a_bad_query_is_400(query, field):
    answer = staff().get(f"{PATH}?{query}")
    assert answer.status_code == 400, answer.content
    assert [error["field"] for error in answer.json()["errors"]] == [field]


def test_a_whole_leap_year_is_allowed():
    assert staff().get(f"{PATH}?from=2024-01-01&to=2024-12-31").status_code == 200


@pytest.mark.parametrize("path", ["revenue", "users", "exports/1", "exports"])
def test_staff_only(path):
    method = "POST" if path == "exports" else "GET"
    anonymous, user = (api.send(method, f"/api/reports/{path}", {}) for api in (Api(), sign_up()))
    assert (anonymous.status_code, user.status_code) == (401, 403)
    assert user.json()["type"] == "urn:banyan:problem:forbidden"
