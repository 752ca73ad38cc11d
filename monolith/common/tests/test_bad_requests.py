"""Whatever is sent, the answer is a problem document that says what to mend."""

import pytest
from django.db import OperationalError

from testing.api import Api, sign_up

SIGNUP = "/api/users/signup"


def check(answer, status, slug):
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    body = answer.json()
    assert body["type"] == f"urn:banyan:problem:{slug}"
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]
    assert len(body["traceId"]) == 32
    return body


@pytest.mark.parametrize(
    "body",
    [
        b" ",
        b"{",
        b"[]",
        b'"text"',
        b"null",
        b"\xff\xfe",
        b'{"email": NaN}',
        b'{"email": ' + b"9" * 5000 + b"}",
        b"[" * 20000,
    ],
)
def test_a_body_that_is_no_json_object(body):
    check(Api().post(SIGNUP, body), 400, "bad-request")


def test_a_body_that_is_too_large():
    check(Api().post(SIGNUP, b'{"email": "' + b"x" * 70_000 + b'"}'), 413, "body-too-large")


def test_a_body_of_another_type():
    answer = Api().client.post(SIGNUP, {"email": "a@example.com"})
    check(answer, 415, "unsupported-media-type")


def test_a_path_that_is_not_there():
    for path in ("/", "/api/payments", "/api/payments/x", "/api/payments/-1", "/api/users/nobody", "/%00"):
        check(Api().get(path), 404, "not-found")


def test_a_host_that_is_impossible(settings):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{__name__}.asks_for_the_host"]
    answer = Api().client.get("/healthz", headers={"Host": "evil<>"})
    check(answer, 400, "bad-request")


def asks_for_the_host(get_response):
    """Middleware, as tracing adds one."""
    return lambda request: get_response(request) if request.get_host() else None


def test_a_method_that_is_not_possible():
    answer = Api().send("DELETE", SIGNUP)
    check(answer, 405, "method-not-allowed")
    assert answer["Allow"] == "OPTIONS, POST"
    assert Api().send("OPTIONS", "/api/payments/methods")["Allow"] == "GET, HEAD, OPTIONS, POST"


def test_a_list_of_errors_names_each_field_once_per_rule():
    body = check(Api().post(SIGNUP, {"email": "x", "password": "x", "displayName": ""}), 422, "invalid")
    assert [error["field"] for error in body["errors"]] == ["email", "displayName"]


def test_a_database_that_is_away_is_503(monkeypatch):
    def fail(*_, **__):
        raise OperationalError("connection refused to 10.0.0.7")

    api = sign_up()
    monkeypatch.setattr("payments.views.payments.page", fail)
    answer = api.get("/api/payments/")
    check(answer, 503, "unavailable")
    assert "10.0.0.7" not in answer.content.decode()
    assert answer["Retry-After"]


def test_health():
    assert Api().get("/healthz").json() == {"status": "ok"}
    assert Api().get("/readyz").json() == {"status": "ready", "database": "ok", "broker": "ok"}


def test_nothing_is_cached():
    assert Api().get("/api/payments/")["Cache-Control"] == "no-store"
    assert "max-age" in Api().get("/.well-known/jwks.json")["Cache-Control"]
