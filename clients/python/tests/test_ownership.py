"""Who acts for a user, asked of a real PostgreSQL."""

import json
import threading

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, connections, transaction
from django.http import HttpResponse
from django.test import RequestFactory

from banyan.cohort import position
from banyan.errors import OwnershipMissing
from banyan.ownership import NotOurs, Settling, await_ours, hold, moving

HALF = 5000
MOVES = next(user for user in range(1, 100) if position("payments", user) <= HALF)
STAYS = next(user for user in range(1, 100) if position("payments", user) > HALF)


def run(sql, *values):
    with connection.cursor() as cursor:
        cursor.execute(sql, values)


def decide(generation, basis_points, new=(), legacy=()):
    run("SELECT ownership_decide('payments', %s, %s, %s, %s)", generation, basis_points, list(new), list(legacy))


def settle(generation):
    run("SELECT ownership_settle('payments', %s)", generation)


@pytest.fixture(autouse=True)
def rules(transactional_db):
    """None at first. Transactions are real."""
    run("TRUNCATE ownership_rule")


def held(user):
    with transaction.atomic():
        hold("payments", user)
    return True


def test_without_rules_all_are_ours():
    await_ours("payments", MOVES)
    assert held(MOVES)


def test_who_has_moved_is_the_service_s_and_nothing_is_written():
    decide(1, HALF)
    assert held(STAYS)
    with pytest.raises(NotOurs) as caught, transaction.atomic():
        run("INSERT INTO ownership_rule SELECT 'other', 1, 0, '{}', '{}'")
        hold("payments", MOVES)
    assert (caught.value.status, caught.value.headers) == (421, {"X-Accel-Redirect": "@new_payments"})
    with pytest.raises(NotOurs):
        await_ours("payments", MOVES)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM ownership_rule WHERE domain = 'other'")
        assert cursor.fetchone() == (0,)


def test_users_on_a_list_are_where_it_says():
    decide(1, HALF, new=[STAYS], legacy=[MOVES])
    assert held(MOVES)
    with pytest.raises(NotOurs):
        held(STAYS)


def test_who_comes_back_waits_until_all_has_come_over(monkeypatch):
    decide(1, HALF)
    decide(2, 0)
    with pytest.raises(Settling) as caught:
        held(MOVES)
    assert (caught.value.status, caught.value.headers) == (503, {"Retry-After": "1"})
    monkeypatch.setattr("banyan.ownership.PATIENCE_SECONDS", 0)
    with pytest.raises(Settling):
        await_ours("payments", MOVES)
    monkeypatch.undo()

    asked = threading.Event()
    sleep = threading.Event().wait

    def settle_then_sleep(seconds):
        if not asked.is_set():
            asked.set()
            settle(2)
        sleep(seconds)

    monkeypatch.setattr("banyan.ownership.time.sleep", settle_then_sleep)
    await_ours("payments", MOVES)
    assert asked.is_set(), "it did not wait"
    assert held(MOVES)


def test_a_decision_waits_for_whoever_holds():
    errors = []

    def decide_elsewhere():
        try:
            run("SET lock_timeout = '50ms'")
            decide(1, HALF)
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    with transaction.atomic():
        hold("payments", MOVES)
        other = threading.Thread(target=decide_elsewhere)
        other.start()
        other.join()
    (error,) = errors
    assert error.__cause__.sqlstate == "55P03"


def test_holding_outside_a_transaction_is_an_error():
    with pytest.raises(transaction.TransactionManagementError, match="outside a transaction on database 'default'"):
        hold("payments", MOVES)


def test_a_domain_that_the_settings_do_not_know_is_an_error():
    with pytest.raises(ImproperlyConfigured, match=r'BANYAN\["DOMAINS"\] has no \'users\''):
        await_ours("users", MOVES)


def test_without_the_functions_it_says_what_to_run():
    with pytest.raises(OwnershipMissing, match="migrate banyan --database default"), transaction.atomic():
        run("DROP FUNCTION ownership_hold(text, text, bigint, integer)")
        hold("payments", MOVES)


@pytest.mark.django_db(databases=["default", "other"], transaction=True)
def test_the_database_can_be_named():
    decide(1, HALF)
    with transaction.atomic(using="other"):
        hold("payments", MOVES, using="other")
    assert not connections["other"].in_atomic_block


@moving("payments", user=lambda request: int(request.headers["X-User"]))
def view(request, suffix):
    """Begin something."""
    with transaction.atomic():
        hold("payments", int(request.headers.get("X-Holds", request.headers["X-User"])))
    return HttpResponse(f"done{suffix}")


def ask(**headers):
    return view(RequestFactory().get("/", headers=headers), "!")


def test_a_view_serves_its_users_and_has_others_handed_over():
    decide(1, HALF)
    answer = ask(**{"X-User": str(STAYS)})
    assert (answer.status_code, answer.content) == (200, b"done!")
    answer = ask(**{"X-User": str(MOVES)})
    assert (answer.status_code, answer["X-Accel-Redirect"]) == (421, "@new_payments")
    assert answer["Content-Type"] == "application/problem+json"
    assert json.loads(answer.content) == {
        "type": "urn:banyan:problem:misdirected",
        "title": "Misdirected request",
        "status": 421,
        "detail": "Another system serves this user now. Send the request again.",
    }


def test_the_body_is_read_before_the_answer():
    decide(1, HALF)
    sent = RequestFactory().post("/", b"a" * 100_000, content_type="text/plain", headers={"X-User": str(MOVES)})
    assert view(sent, "!").status_code == 421
    assert sent.read() == b""


def test_a_view_whose_user_moves_meanwhile_hands_over_as_well():
    decide(1, HALF)
    answer = ask(**{"X-User": str(STAYS), "X-Holds": str(MOVES)})
    assert (answer.status_code, answer["X-Accel-Redirect"]) == (421, "@new_payments")


def test_the_service_may_ask_for_its_own_users():
    decide(1, HALF)
    assert ask(**{"X-User": str(MOVES), "X-Holds": str(STAYS), "X-Migration-Fallback": "1"}).status_code == 200
