"""publish_event against a real PostgreSQL."""

import asyncio
import threading
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from asgiref.sync import sync_to_async
from django.core.exceptions import SynchronousOnlyOperation
from django.db import IntegrityError, connection, connections, transaction
from django.test.utils import CaptureQueriesContext
from opentelemetry import baggage, context, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import SpanContext, TraceFlags, TraceState

from banyan import InvalidEvent, OutboxMissing, OutsideTransaction, publish_event
from tests.conftest import fixtures

DELETED = {"userId": 42, "deletedAt": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)}


def publish(**overrides):
    return publish_event("user.deleted", DELETED, **{"subject": "user/42"} | overrides)


def test_the_event_is_one_row_written_by_one_statement(outbox):
    with CaptureQueriesContext(connection) as queries, transaction.atomic():
        event_id = publish(effect_owner="new")
    assert [query["sql"].split(" (")[0] for query in queries if "INSERT" in query["sql"]] == ["INSERT INTO outbox"]
    assert [query["sql"] for query in queries if "INSERT" not in query["sql"]] == ["BEGIN", "COMMIT"]
    (row,) = outbox()
    assert row.pop("sequence") > 0
    assert row == {
        "id": event_id,
        "subject": "user/42",
        "type": "user.deleted",
        "payload": {"userId": 42, "deletedAt": "2026-01-02T03:04:05Z"},
        "headers": {"dataschema": "urn:banyan:events:user.deleted:1", "effectowner": "new"},
    }


def test_every_event_that_the_services_know_can_be_published(outbox):
    envelopes = fixtures()
    assert len(envelopes) >= 16
    with transaction.atomic():
        for name, envelope in envelopes.items():
            publish_event(name, envelope["data"], subject=envelope["subject"])
    rows = {row["type"]: row for row in outbox()}
    assert {name: row["payload"] for name, row in rows.items()} == {
        name: envelope["data"] for name, envelope in envelopes.items()
    }
    for name, row in rows.items():
        assert row["headers"]["dataschema"] == envelopes[name]["dataschema"]


def test_ids_are_uuid7_and_sort_by_time(outbox):
    before = datetime.now(UTC)
    with transaction.atomic():
        ids = [publish() for _ in range(200)]
    after = datetime.now(UTC)
    assert len(set(ids)) == 200
    assert {(event_id.version, event_id.variant) for event_id in ids} == {(7, "specified in RFC 4122")}
    made = [datetime.fromtimestamp((event_id.int >> 80) / 1000, UTC) for event_id in ids]
    assert before - timedelta(milliseconds=1) <= made[0] <= made[-1] <= after
    assert made == sorted(made)


def test_the_event_commits_and_rolls_back_with_its_transaction(outbox):
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        publish()
        raise ZeroDivisionError
    assert outbox() == []
    with transaction.atomic():
        kept = publish()
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            publish()
            raise ZeroDivisionError
    assert [row["id"] for row in outbox()] == [kept]


def test_events_of_a_subject_are_numbered_in_the_order_of_the_commits(outbox):
    first_wrote, first_may_commit = threading.Event(), threading.Event()
    ids = {}

    def first():
        try:
            with transaction.atomic():
                ids["first"] = publish()
                first_wrote.set()
                assert first_may_commit.wait(10)
        finally:
            connection.close()

    def second():
        try:
            with transaction.atomic():
                ids["second"] = publish()  # Waits for the first one's lock on the subject.
        finally:
            connection.close()

    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    threads[0].start()
    assert first_wrote.wait(10)
    threads[1].start()
    _wait_for_lock()
    assert outbox() == []
    first_may_commit.set()
    for thread in threads:
        thread.join(10)
    assert [row["id"] for row in outbox()] == [ids["first"], ids["second"]]


def _wait_for_lock():
    waiting = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database = "
    waiting += "(SELECT oid FROM pg_database WHERE datname = current_database())"
    for _ in range(10_000):
        with connection.cursor() as cursor:
            cursor.execute(waiting)
            if cursor.fetchone():
                return
    pytest.fail("the second transaction does not wait")


def test_outside_a_transaction_it_refuses(outbox):
    with pytest.raises(OutsideTransaction, match=r"with transaction\.atomic\(using='default'\)"):
        publish()
    assert outbox() == []


@pytest.mark.django_db
def test_the_transaction_around_a_test_case_does_not_count():
    assert connection.in_atomic_block
    with pytest.raises(OutsideTransaction):
        publish()
    with transaction.atomic():
        assert isinstance(publish(), UUID)


def test_a_transaction_without_atomic_counts(outbox):
    transaction.set_autocommit(False)
    try:
        publish()
        transaction.rollback()
        kept = publish()
        transaction.commit()
    finally:
        transaction.rollback()
        transaction.set_autocommit(True)
    assert [row["id"] for row in outbox()] == [kept]


def test_the_transaction_of_another_thread_does_not_count(outbox):
    raised = []

    def other():
        try:
            publish()
        except OutsideTransaction as error:
            raised.append(error)
        finally:
            connection.close()

    with transaction.atomic():
        thread = threading.Thread(target=other)
        thread.start()
        thread.join(10)
    assert len(raised) == 1
    assert outbox() == []


def test_in_an_event_loop_it_says_what_to_do(outbox):
    def block():
        try:
            with transaction.atomic():
                return publish()
        finally:
            connection.close()

    async def view():
        with pytest.raises(SynchronousOnlyOperation, match="sync_to_async"):
            publish()
        return await sync_to_async(block)()

    event_id = asyncio.run(view())
    assert [row["id"] for row in outbox()] == [event_id]


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_each_database_has_its_own_transaction_and_outbox(outbox, settings):
    with transaction.atomic():
        with pytest.raises(OutsideTransaction, match="'other'"):
            publish(using="other")
        with transaction.atomic(using="other"):
            there = publish(using="other")
    assert outbox() == []
    assert [row["id"] for row in outbox("other")] == [there]
    settings.BANYAN = {"DATABASE": "other"}
    with transaction.atomic(using="other"):
        by_setting = publish()
    assert [row["id"] for row in outbox("other")] == [there, by_setting]
    with connections["other"].cursor() as cursor:
        cursor.execute("TRUNCATE outbox")


def test_without_the_table_it_says_what_to_run(outbox):
    with pytest.raises(OutboxMissing, match="migrate banyan --database default"), transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE outbox")
        publish()
    assert outbox() == []


def test_other_errors_of_the_database_come_through(outbox, monkeypatch):
    monkeypatch.setattr("banyan.outbox.uuid7", lambda: UUID(int=7))
    with pytest.raises(IntegrityError), transaction.atomic():
        publish()
        publish()
    assert outbox() == []


def test_the_trace_goes_with_the_event(outbox):
    span_context = SpanContext(
        0xABC, 0xDEF, is_remote=False, trace_flags=TraceFlags(1), trace_state=TraceState([("a", "b")])
    )
    parent = trace.set_span_in_context(trace.NonRecordingSpan(span_context))
    token = context.attach(baggage.set_baggage("email", "ada@example.com", parent))
    try:
        with transaction.atomic():
            publish()
    finally:
        context.detach(token)
    (row,) = outbox()
    assert row["headers"] == {
        "dataschema": "urn:banyan:events:user.deleted:1",
        "traceparent": f"00-{0xABC:032x}-{0xDEF:016x}-01",
        "tracestate": "a=b",
    }


def test_the_trace_is_that_of_the_innermost_span(outbox):
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("test")
    with tracer.start_as_current_span("request"), tracer.start_as_current_span("step") as step, transaction.atomic():
        publish()
    (row,) = outbox()
    assert row["headers"]["traceparent"].split("-")[2] == f"{step.get_span_context().span_id:016x}"


@pytest.mark.parametrize(
    ("type", "data", "field"),
    [
        ("user.delete", DELETED, "type"),
        ("user.deleted", [1], "data"),
        ("user.deleted", DELETED | {"reason": "none"}, "reason"),
        ("user.deleted", {"userId": 42}, "deletedAt"),
        ("user.deleted", DELETED | {"userId": None}, "userId"),
    ],
)
def test_what_is_refused_leaves_the_transaction_usable(outbox, type, data, field):
    with transaction.atomic():
        with pytest.raises(InvalidEvent) as raised:
            publish_event(type, data, subject="user/42")
        assert (raised.value.type, raised.value.field) == (type, field)
        kept = publish()
    assert [row["id"] for row in outbox()] == [kept]


def test_a_misspelt_type_gets_a_suggestion(outbox):
    with transaction.atomic(), pytest.raises(InvalidEvent, match=r"did you mean payment\.completed\?"):
        publish_event("payment.complete", {}, subject="payment/7")


@pytest.mark.parametrize(
    "subject", ["", "42", "user/", "/42", "user 42", "user/4 2", "user/4/2", "User/42", None, "user/\x00"]
)
def test_a_subject_names_one_thing(outbox, subject):
    with transaction.atomic(), pytest.raises(InvalidEvent, match="subject"):
        publish(subject=subject)


@pytest.mark.parametrize("owner", ["monolith", "", True, "New"])
def test_an_effect_owner_is_legacy_or_new(outbox, owner):
    with transaction.atomic(), pytest.raises(InvalidEvent, match="effect_owner"):
        publish(effect_owner=owner)


def test_times_are_written_in_utc(outbox):
    berlin = datetime(2026, 1, 2, 3, 4, 5, 600000, tzinfo=timezone(timedelta(hours=1)))
    with transaction.atomic():
        publish_event("user.deleted", DELETED | {"deletedAt": berlin}, subject="user/42")
    assert outbox()[0]["payload"]["deletedAt"] == "2026-01-02T02:04:05.600000Z"
