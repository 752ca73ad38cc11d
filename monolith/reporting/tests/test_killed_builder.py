"""A process that builds an export is killed in the middle of it."""

import os
import select
import signal
import subprocess
import sys

import pytest
from django.conf import settings as django_settings
from django.db import connection, transaction

from payments.models import Payment
from reporting.models import ReportExport
from reporting.services.exports import build, path_of
from reporting.tasks import build_exports
from testing.outbox import events

from .shop import moment, pay, staff

# More than a pipe holds, so that the builder waits for whoever reads it.
PAYMENTS = 1000


@pytest.fixture
def export(settings, tmp_path):
    settings.EXPORT_DIR = str(tmp_path)
    api = staff()
    first = pay(api.user["id"], "1.00", moment("2026-03-05"), description="x" * 500)
    rows = [
        Payment(
            user_id=first.user_id,
            customer=first.customer,
            currency_id="USD",
            amount=number,
            description=first.description,
            idempotency_key=str(number),
            request_fingerprint="-",
            created_at=first.created_at,
        )
        for number in range(1, PAYMENTS)
    ]
    Payment.objects.bulk_create(rows)
    Payment.objects.update(created_at=moment("2026-03-05"))
    answer = api.post("/api/reports/exports", {"kind": "payments", "from": "2026-03-01", "to": "2026-03-31"})
    return ReportExport.objects.get(pk=answer.json()["id"])


def start_builder(export_dir):
    database = connection.settings_dict
    host, port = database["HOST"], database["PORT"]
    url = f"postgres://{database['USER']}:{database['PASSWORD']}@{host}:{port}/{database['NAME']}"
    code = "import django; django.setup(); from reporting.tasks import build_exports; build_exports()"
    own = {
        "BANYAN_TEST_POSTGRES_URL": url,
        "EXPORT_DIR": export_dir,
        "DJANGO_SETTINGS_MODULE": "monolith.settings_test",
        "PYTHONPATH": str(django_settings.BASE_DIR),
    }
    return subprocess.Popen([sys.executable, "-c", code], env={**os.environ, **own}, cwd=django_settings.BASE_DIR)


def test_what_a_killed_builder_held_is_taken_up_by_the_next(export, settings):
    pipe = path_of(export).with_name(export.file_name + ".part")
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    builder = start_builder(settings.EXPORT_DIR)
    try:
        assert select.select([reader], [], [], 30)[0], "the builder wrote nothing"
        export.refresh_from_db()
        assert export.status == "running"
        # While it lives, nobody else builds the same.
        assert build(export.pk) is False
    finally:
        builder.send_signal(signal.SIGKILL)
        builder.wait(10)
        os.close(reader)
    pipe.unlink()
    with transaction.atomic():  # waits until the server has noticed
        ReportExport.objects.select_for_update().get(pk=export.pk)
    assert build_exports() == 1
    export.refresh_from_db()
    assert (export.status, export.rows, export.attempts) == ("ready", PAYMENTS, 2)
    assert path_of(export).stat().st_size == export.bytes
    assert len(events("report.export-ready")) == 1
