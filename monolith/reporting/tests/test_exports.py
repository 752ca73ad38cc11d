"""Exports: asked for, built in the background, fetched, expired."""

import csv
import io
import os
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.db import connection, connections, transaction
from django.utils import timezone

from reporting import csv_files
from reporting.models import ReportExport
from reporting.ranges import day_range
from reporting.services.exports import MAX_ATTEMPTS, build
from reporting.services.rows import ROWS
from reporting.tasks import build_exports
from testing.api import PASSWORD
from testing.outbox import events
from users.models import Profile

from .shop import moment, pay, staff

PATH = "/api/reports/exports"
MARCH = {"from": "2026-03-01", "to": "2026-03-31"}
JOB = "reporting.build_exports"


@pytest.fixture(autouse=True)
def folder(settings, tmp_path):
    settings.EXPORT_DIR = str(tmp_path / "exports")
    return tmp_path / "exports"


@pytest.fixture
def api(mail, tasks):
    api = staff()
    tasks()
    mail.reset()
    return api


def ask(api, kind="payments", **fields):
    answer = api.post(PATH, {"kind": kind, **MARCH, **fields})
    assert answer.status_code == 202, answer.content
    return answer


def fetch(api, export_id):
    return api.send("GET", f"{PATH}/{export_id}", None, Accept="text/csv")


def table(answer):
    return list(csv.reader(io.StringIO(b"".join(answer.streaming_content).decode())))


def test_asked_for_built_told_and_fetched(api, mail, tasks):
    payment = pay(api.user["id"], "12.50", moment("2026-03-05"), description='He said "yes", twice')
    pay(api.user["id"], "1.00", moment("2026-04-01", "00:00:00"))
    answer = ask(api)
    export = answer.json()
    assert answer["Location"] == f"{PATH}/{export['id']}"
    created_at = export.pop("createdAt")
    assert export == {
        "id": ReportExport.objects.get().pk,
        "kind": "payments",
        "format": "csv",
        **MARCH,
        "status": "queued",
        "rows": None,
        "bytes": None,
        "error": None,
        "completedAt": None,
        "expiresAt": None,
    }
    assert tasks() == [JOB, "notifications.deliver_pending"]
    ready = api.get(answer["Location"]).json()
    assert (ready["status"], ready["rows"], ready["error"]) == ("ready", 1, None)
    assert created_at < ready["completedAt"] < ready["expiresAt"]
    file = fetch(api, export["id"])
    assert file.status_code == 200
    assert file["Content-Type"].startswith("text/csv")
    assert file["Content-Disposition"] == 'attachment; filename="payments-2026-03-01-2026-03-31.csv"'
    assert int(file["Content-Length"]) == ready["bytes"]
    heading, line = table(file)
    cells = dict(zip(heading, line, strict=True))
    assert cells["id"] == str(payment.pk)
    assert (cells["amount"], cells["currency"], cells["status"]) == ("12.50", "USD", "completed")
    assert (cells["email"], cells["description"]) == ("staff@example.com", 'He said "yes", twice')
    assert cells["createdAt"] == "2026-03-05T12:00:00Z"
    assert cells["cardLast4"] == ""
    (event,) = events("report.export-ready")
    assert event.data == {
        "exportId": export["id"],
        "userId": api.user["id"],
        "rows": ready["rows"],
        "bytes": ready["bytes"],
    }
    (message,) = mail.messages
    assert message["Subject"] == f"Your export {export['id']} is ready"
    text = message.get_body(("plain",)).get_content()
    assert f"1 rows ({ready['bytes']} bytes)" in text
    assert f"/api/reports/exports/{export['id']}" in text


def test_the_other_kinds(api):
    pay(api.user["id"], "12.50", moment("2026-03-05"), fee="0.66")
    revenue, users = ask(api, "revenue").json()["id"], ask(api, "users", **{"from": "2026-01-01", "to": "2026-12-31"})
    assert build_exports() == 2
    assert table(fetch(api, revenue)) == [
        ["date", "currency", "gross", "refunds", "disputes", "fees", "net", "payments"],
        ["2026-03-05", "USD", "12.50", "0.00", "0.00", "0.66", "11.84", "1"],
    ]
    heading, line = table(fetch(api, users.json()["id"]))
    assert heading[:4] == ["id", "createdAt", "email", "displayName"]
    assert line[2:4] == ["staff@example.com", "Ada Lovelace"]


def test_a_spreadsheet_computes_nothing(api):
    Profile.objects.update(display_name='=HYPERLINK("http://evil.example";"x")')
    export = ask(api, "users", **{"from": "2026-01-01", "to": "2026-12-31"}).json()["id"]
    build_exports()
    assert table(fetch(api, export))[1][3].startswith("'=HYPERLINK(")


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("=1+1", "'=1+1"),
        ("+1 2", "'+1 2"),
        ("-x", "'-x"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\tx", "'\tx"),
        ("\rx", "'\rx"),
        ("-", "'-"),
        ("-12.50", "-12.50"),
        ("+43", "+43"),
        ("-1e5", "'-1e5"),
        ("a=1", "a=1"),
        (None, ""),
        (0, "0"),
    ],
)
def test_cells(value, written):
    assert csv_files.cell(value) == written


def test_not_ready_expired_gone(api, folder):
    export = ask(api).json()["id"]
    early = fetch(api, export)
    assert (early.status_code, early.json()["type"]) == (409, "urn:banyan:problem:export-not-ready")
    build_exports()
    assert len(list(folder.iterdir())) == 1
    ReportExport.objects.update(expires_at=timezone.now())
    for _ in range(2):
        assert api.get(f"{PATH}/{export}").json()["status"] == "expired"
        late = fetch(api, export)
        assert (late.status_code, late.json()["type"]) == (410, "urn:banyan:problem:export-expired")
        build_exports()
        assert list(folder.iterdir()) == []
    assert ReportExport.objects.get().status == "expired"


def test_only_one_s_own(api):
    export = ask(api).json()["id"]
    other = staff("other@example.com")
    for nothing in (export, 0, 10**40):
        assert other.get(f"{PATH}/{nothing}").status_code == 404


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["kind", "from", "to"]),
        ({"kind": "secrets", **MARCH}, ["kind"]),
        ({"kind": ["users"], **MARCH}, ["kind"]),
        ({"kind": "users", **MARCH, "format": "xlsx"}, ["format"]),
        ({"kind": "users", **MARCH, "from": "2026-02-30"}, ["from"]),
        ({"kind": "users", **MARCH, "to": 5}, ["to"]),
        ({"kind": "users", "from": "2026-03-02", "to": "2026-03-01"}, ["from"]),
        ({"kind": "users", "from": "2020-01-01", "to": "2026-03-01"}, ["from"]),
    ],
)
def test_names_the_field_that_is_wrong(api, body, fields):
    answer = api.post(PATH, body)
    assert answer.status_code == 422, answer.content
    assert [error["field"] for error in answer.json()["errors"]] == fields
    assert not ReportExport.objects.exists()


def test_a_builder_that_dies_leaves_nothing_half_done(api, folder, monkeypatch):
    for _ in range(3):
        pay(api.user["id"], "1.00", moment("2026-03-05"))
    export = ask(api).json()["id"]
    real, calls = csv_files.cell, []

    def die(value):
        calls.append(value)
        if len(calls) == 30:
            raise KeyboardInterrupt
        return real(value)

    with monkeypatch.context() as crash:
        crash.setattr(csv_files, "cell", die)
        with pytest.raises(KeyboardInterrupt):
            build_exports()
    assert api.get(f"{PATH}/{export}").json()["status"] == "running"
    assert [path.suffix for path in folder.iterdir()] == [".part"]
    assert events("report.export-ready") == []
    # Nobody holds its row: the next run takes it up.
    assert build_exports() == 1
    assert [path.suffix for path in folder.iterdir()] == [".csv"]
    assert len(table(fetch(api, export))) == 4
    assert len(events("report.export-ready")) == 1


def test_two_builders_at_once_build_once(api):
    export = ask(api).json()["id"]
    start = threading.Barrier(4)

    def work():
        try:
            start.wait(10)
            return build(export)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        built = [done.result(20) for done in [pool.submit(work) for _ in range(4)]]
    assert built.count(True) == 1
    assert len(events("report.export-ready")) == 1


def test_a_folder_that_cannot_be_written_is_tried_again_and_then_given_up(api, settings, tmp_path):
    export = ask(api).json()["id"]
    blocked = tmp_path / "file"
    blocked.touch()
    settings.EXPORT_DIR, good = str(blocked / "exports"), settings.EXPORT_DIR
    assert build_exports() == 0
    shown = api.get(f"{PATH}/{export}").json()
    assert (shown["status"], shown["error"]) == ("queued", "the file could not be written")
    for _ in range(MAX_ATTEMPTS):
        build_exports()
    shown = api.get(f"{PATH}/{export}").json()
    assert (shown["status"], shown["error"]) == ("failed", "the file could not be written")
    assert fetch(api, export).status_code == 409
    settings.EXPORT_DIR = good
    assert build_exports() == 0


def test_what_the_dead_left_behind_is_removed(api, folder):
    folder.mkdir()
    old, fresh = folder / "old.csv.part", folder / "fresh.csv.part"
    for path in (old, fresh):
        path.touch()
    os.utime(old, (0, 0))
    build_exports()
    assert list(folder.iterdir()) == [fresh]


def test_memory_does_not_grow_with_the_file(tmp_path):
    def lines():
        yield ["id", "text"]
        for number in range(50_000):
            yield [number, "x" * 100]

    tracemalloc.start()
    written = csv_files.write(tmp_path / "big.csv", lines())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert written.rows == 50_000
    assert written.bytes == (tmp_path / "big.csv").stat().st_size > 5_000_000
    assert peak < 1_000_000


def test_rows_come_by_a_server_side_cursor(api):
    pay(api.user["id"], "1.00", moment("2026-03-05"))
    with transaction.atomic():
        rows = ROWS["payments"](day_range("2026-03-01", "2026-03-31"))
        assert next(rows)[0] == "id"
        assert next(rows)[5] == "1.00"
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_cursors WHERE name <> ''")
            assert cursor.fetchone() == (1,)
        rows.close()


def test_an_erased_account_s_files_go(api, folder):
    ask(api)
    build_exports()
    waiting = ask(api).json()["id"]
    assert api.send("DELETE", "/api/users/me", {"password": PASSWORD}).status_code == 204
    assert build_exports() == 0
    assert list(folder.iterdir()) == []
    assert ReportExport.objects.get(pk=waiting).status == "failed"


def test_a_broker_that_is_away_is_no_reason_to_refuse(api, monkeypatch):
    def fail(*_, **__):
        raise ConnectionRefusedError

    monkeypatch.setattr("celery.current_app.send_task", fail)
    ask(api)
    monkeypatch.undo()
    assert build_exports() == 1


def test_a_file_is_private(api, folder):
    ask(api)
    build_exports()
    assert Path(folder).stat().st_mode & 0o077 == 0


def test_a_file_that_cannot_be_finished_takes_no_room(tmp_path):
    def lines():
        yield ["id"]
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        csv_files.write(tmp_path / "x.csv", lines())
    assert list(tmp_path.iterdir()) == []
