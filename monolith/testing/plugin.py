"""Fixtures of all tests."""

from __future__ import annotations

import json
import os
import queue
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection

from testing.mail_sink import MailSink
from testing.stripe_proxy import StripeProxy


@pytest.fixture(scope="session")
def localstripe() -> Iterator[int]:
    """The port of a localstripe of these tests alone."""
    script = Path(settings.BASE_DIR).parent / "crates" / "local-stack" / "python" / "serve_localstripe.py"
    port = settings.TEST_LOCALSTRIPE_PORT
    state = settings.TEST_DIR / "stripe.pickle"
    process = subprocess.Popen(
        [sys.executable, str(script), "--port", str(port), "--state", str(state)],
        stdout=subprocess.DEVNULL,
        env=os.environ,
    )
    try:
        _wait_for(port, process)
        yield port
    finally:
        process.terminate()
        process.wait(10)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 20
    while process.poll() is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"localstripe does not listen on port {port}; exit code {process.poll()}")


@pytest.fixture(scope="session")
def _stripe_proxy(localstripe: int) -> Iterator[StripeProxy]:
    proxy = StripeProxy(settings.TEST_STRIPE_PORT, localstripe)
    yield proxy
    proxy.stop()


@pytest.fixture
def stripe(_stripe_proxy: StripeProxy) -> Iterator[StripeProxy]:
    """localstripe, behind a proxy that can break."""
    _stripe_proxy.reset()
    yield _stripe_proxy
    if _stripe_proxy.hold is not None:
        _stripe_proxy.hold.set()


@pytest.fixture(scope="session")
def _mail_sink() -> Iterator[MailSink]:
    sink = MailSink(settings.TEST_SMTP_PORT)
    yield sink
    sink.stop()


@pytest.fixture
def mail(_mail_sink: MailSink) -> MailSink:
    """The SMTP server."""
    _mail_sink.reset()
    return _mail_sink


@pytest.fixture
def database(django_db_serialized_rollback: None, transactional_db: None) -> None:
    """Real transactions, as a charge must not run inside one; listed for every test in pyproject.toml."""
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE outbox, ownership_rule")


@pytest.fixture(autouse=True)
def _mail_backend(settings: Any) -> None:
    """pytest-django keeps mails in memory; here they go to a real server."""
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"


@pytest.fixture
def rollout(settings: Any, tmp_path: Path) -> Callable[[int], None]:
    """Sets the share of `notifications-v2` in basis points."""

    def set_share(basis_points: int) -> None:
        # A new file each time: rules are looked at no more than once a second.
        path = tmp_path / f"{uuid.uuid4()}.json"
        rule = {"basisPoints": basis_points, "ruleVersion": 1}
        path.write_text(json.dumps({"version": 1, "rollouts": {"notifications-v2": rule}}))
        settings.BANYAN = {**settings.BANYAN, "ROLLOUTS_FILE": str(path)}

    return set_share


@pytest.fixture
def tasks() -> Iterator[Callable[[], list[str]]]:
    """Works the Celery queue off, step by step; returns the names of the tasks that ran."""
    from monolith.celery import app

    app.loader.import_default_modules()  # as a worker does when it starts
    with app.connection_for_read() as broker, broker.SimpleQueue(app.conf.task_default_queue) as waiting:
        waiting.clear()

        def work_off() -> list[str]:
            ran = []
            while True:
                try:
                    message = waiting.get_nowait()
                except queue.Empty:
                    return ran
                name = message.headers["task"]
                app.tasks[name].apply(args=message.payload[0], kwargs=message.payload[1])
                message.ack()
                ran.append(name)

        yield work_off
        waiting.clear()
