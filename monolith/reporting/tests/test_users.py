"""Sign-ups and activity by day."""

from datetime import timedelta

import pytest

from reporting.ranges import today
from testing.api import PASSWORD, sign_up
from users.models import EmailAddress, Session, User

from .shop import moment, pay, staff

PATH = "/api/reports/users"


def day(date, signups=0, verified=0, active=0, deleted=0):
    return {"date": date, "signups": signups, "verified": verified, "active": active, "deleted": deleted}


@pytest.fixture
def past():
    """Three users who signed up on the first of March."""
    users = [sign_up(f"user{n}@example.com") for n in range(3)]
    at = moment("2026-03-01")
    User.objects.update(created_at=at)
    Session.objects.update(created_at=at, last_used_at=at)
    return users


def test_every_day_newest_first(past):
    ada, grace, gone = (api.user["id"] for api in past)
    EmailAddress.objects.filter(user=ada).update(verified_at=moment("2026-03-02"))
    Session.objects.filter(user=grace).update(last_used_at=moment("2026-03-03"))
    # Whoever did several things is active once.
    pay(grace, "1.00", moment("2026-03-03"))
    pay(ada, "1.00", moment("2026-03-03"))
    assert past[2].send("DELETE", "/api/users/me", {"password": PASSWORD}).status_code == 204
    User.objects.filter(pk=gone).update(deleted_at=moment("2026-03-04", "23:59:59"))
    answer = staff().get(f"{PATH}?from=2026-02-28&to=2026-03-04")
    assert answer.json() == {
        "items": [
            day("2026-03-04", deleted=1),
            day("2026-03-03", active=2),
            day("2026-03-02", verified=1),
            # The sessions of an erased account are gone with it.
            day("2026-03-01", signups=3, active=2),
            day("2026-02-28"),
        ],
        "nextCursor": None,
    }


def test_pages(past):
    api = staff()
    query = f"{PATH}?from=2026-02-27&to=2026-03-03&limit=2"
    whole = api.get(f"{PATH}?from=2026-02-27&to=2026-03-03").json()["items"]
    items, cursor, sizes = [], "", []
    while cursor is not None:
        page = api.get(f"{query}&cursor={cursor}").json()
        items += page["items"]
        sizes.append(len(page["items"]))
        cursor = page["nextCursor"]
    assert items == whole
    assert sizes == [2, 2, 1]


def test_the_last_30_days_unless_told_otherwise():
    items = staff().get(PATH).json()["items"]
    assert len(items) == 30
    assert items[0] == day(str(today()), signups=1, active=1)
    assert items[-1]["date"] == str(today() - timedelta(days=29))


@pytest.mark.parametrize(
    "query", ["from=x", "to=2026-13-01", "from=2026-03-02&to=2026-03-01", "cursor=AAAA", "limit=x"]
)
def test_a_bad_query_is_400(query):
    assert staff().get(f"{PATH}?{query}").status_code == 400
