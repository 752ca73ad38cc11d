"""Tracing in real processes: gunicorn and Celery fork, a collector decodes what they export."""

import subprocess
import sys
import textwrap
import time
import urllib.request

import pytest

from tests.collector import Collector
from tests.servers import ROOT, Gunicorn, Worker, environment

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
POST_FORK = ("-c", "tests/gunicorn_post_fork.py")

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def collector():
    with Collector() as collector:
        yield collector


def get(url, **headers):
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as response:
        assert response.status == 200
        return response.read()


def traced(outbox):
    """The trace and the span that the only event came from."""
    (row,) = outbox()
    _, trace_id, span_id, _ = row["headers"]["traceparent"].split("-")
    return trace_id, span_id


@pytest.mark.parametrize(
    ("options", "where"),
    [(POST_FORK, "fork"), ((), "import"), (("--preload",), "import")],
    ids=["post_fork", "wsgi", "wsgi with preload"],
)
def test_a_request_is_one_trace_from_the_client_to_the_insert(outbox, collector, options, where):
    with Gunicorn(*options, "-w", "2", TESTS_SETUP=where, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url) as web:
        get(f"{web.url}/healthz")
        get(f"{web.url}/users/42/delete", traceparent=TRACEPARENT)
        request = collector.wait_for(lambda span: span.kind == "server")
        insert = collector.wait_for(lambda span: span.name == "INSERT")
    assert (request.service, request.trace_id, request.parent_id) == ("tests", TRACE, "00f067aa0ba902b7")
    assert request.name == "GET users/<int:user_id>/delete"
    assert request.attributes["http.request.method"] == "GET"
    assert request.attributes["http.response.status_code"] == 200
    assert traced(outbox) == (TRACE, request.span_id)
    assert (insert.trace_id, insert.parent_id, insert.kind) == (TRACE, request.span_id, "client")
    assert insert.attributes["db.system.name"] == "postgresql"
    assert "VALUES (%s, %s" in insert.attributes["db.query.text"], "a statement goes out without its values"
    assert [span for span in collector.spans() if "healthz" in span.name] == []
    assert len({span.span_id for span in collector.spans()}) == len(collector.spans()), "a span came twice"


def test_what_is_still_queued_is_exported_when_a_worker_ends(outbox, collector):
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "600000"}
    with Gunicorn(TESTS_SETUP="import", **env) as web:
        get(f"{web.url}/users/42/delete")
        assert collector.spans() == []
        web.stop()
        collector.wait_for(lambda span: span.kind == "server", 0)


@pytest.mark.parametrize("where", ["fork", "import"])
def test_a_task_continues_the_trace_of_the_request_that_queued_it(outbox, collector, tmp_path, where):
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "TESTS_SETUP": where, "TESTS_BROKER": str(tmp_path)}
    with Worker(**env) as worker, Gunicorn(*POST_FORK, **env) as web:
        get(f"{web.url}/users/42/delete-later", traceparent=TRACEPARENT)
        worker.wait_for_line(r"delete_user\[.*\] succeeded")
        task = collector.wait_for(lambda span: span.kind == "consumer")
        queued = collector.wait_for(lambda span: span.kind == "producer")
        insert = collector.wait_for(lambda span: span.name == "INSERT")
    assert (task.trace_id, task.parent_id) == (TRACE, queued.span_id)
    assert (insert.trace_id, insert.parent_id) == (TRACE, task.span_id)
    assert traced(outbox) == (TRACE, task.span_id)


def test_what_is_still_queued_is_exported_when_a_celery_process_ends(outbox, collector, tmp_path):
    env = {"TESTS_SETUP": "fork", "TESTS_BROKER": str(tmp_path)}
    late = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "600000"}
    with Worker(**env, **late) as worker, Gunicorn(**env) as web:
        get(f"{web.url}/users/42/delete-later")
        worker.wait_for_line(r"delete_user\[.*\] succeeded")
        assert collector.spans() == []
        worker.stop()
        collector.wait_for(lambda span: span.kind == "consumer", 0)


def test_a_collector_that_is_away_disturbs_nobody(outbox, unused_port):
    endpoint = f"http://127.0.0.1:{unused_port}"
    with Gunicorn(TESTS_SETUP="import", OTEL_EXPORTER_OTLP_ENDPOINT=endpoint) as web:
        get(f"{web.url}/users/1/delete")
        started = time.monotonic()
        for user in range(2, 12):
            get(f"{web.url}/users/{user}/delete")
        assert time.monotonic() - started < 5
        stopping = time.monotonic()
        assert web.stop() == 0
        assert time.monotonic() - stopping < 6
    assert len(outbox()) == 11


def test_an_exporter_that_cannot_be_made_disturbs_nobody(outbox, collector):
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_MAX_QUEUE_SIZE": "1"}
    with Gunicorn(TESTS_SETUP="import", **env) as web:
        get(f"{web.url}/users/42/delete")
        get(f"{web.url}/users/42/delete")
    assert sum("spans are not exported" in line for line in web.log) == 1
    assert len(outbox()) == 2


def test_without_a_collector_events_still_carry_the_trace(outbox):
    with Gunicorn(TESTS_SETUP="import") as web:
        get(f"{web.url}/users/42/delete", traceparent=TRACEPARENT)
    assert traced(outbox)[0] == TRACE


def test_the_sdk_can_be_disabled(outbox, collector):
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_SDK_DISABLED": "true"}
    with Gunicorn(TESTS_SETUP="import", **env) as web:
        get(f"{web.url}/users/42/delete", traceparent=TRACEPARENT)
    assert collector.spans() == []
    assert "traceparent" not in outbox()[0]["headers"]


def test_the_name_of_the_service_can_be_set_from_outside(outbox, collector):
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_SERVICE_NAME": "renamed"}
    with Gunicorn(TESTS_SETUP="import", **env) as web:
        get(f"{web.url}/users/42/delete")
        assert collector.wait_for(lambda span: span.kind == "server").service == "renamed"


def script(text, **env):
    """Run a script in a process of its own; its output."""
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(text)]
    env = {name: value for name, value in environment(**env).items() if name != "DJANGO_SETTINGS_MODULE" or name in env}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_settings_that_nobody_named_are_not_made_up():
    output = script(
        """
        from django.conf import settings
        from banyan.telemetry import setup
        assert setup("tests")
        assert not settings.configured
        """
    )
    assert "DJANGO_SETTINGS_MODULE was not set when setup() was called" in output


def test_settings_that_are_broken_stay_so():
    output = script(
        """
        import os
        os.environ["DJANGO_SETTINGS_MODULE"] = "nowhere.settings"
        import django
        from django.conf import settings
        from banyan.telemetry import setup
        assert setup("tests")
        try:
            django.setup()
        except ModuleNotFoundError as error:
            print("found out:", error)
        """
    )
    assert "requests are not traced: the settings cannot be read (ModuleNotFoundError)" in output
    assert "found out: No module named 'nowhere'" in output


def test_without_opentelemetry_it_says_what_to_install():
    output = script(
        """
        import sys
        sys.modules["opentelemetry"] = None
        import banyan
        from banyan.telemetry import setup
        assert not setup("tests")
        """
    )
    assert "install banyan-django[telemetry]" in output


def test_a_provider_that_is_there_stays_and_a_second_call_changes_nothing():
    script(
        """
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider
        mine = TracerProvider()
        trace.set_tracer_provider(mine)
        from banyan.telemetry import setup
        assert setup("tests")
        assert setup("again")
        assert trace.get_tracer_provider() is mine
        """
    )
