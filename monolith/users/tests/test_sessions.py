"""Where a user is logged in."""

from datetime import timedelta

import jwt as pyjwt
import pytest
from django.utils import timezone

from testing.api import PASSWORD, Api, sign_up
from users import jwt
from users.models import Session, User

PATH = "/api/users/sessions"


def log_in(user_agent, address="203.0.113.7"):
    headers = {"User-Agent": user_agent, "X-Forwarded-For": f"198.51.100.1, {address}"}
    answer = Api().post("/api/users/login", {"email": "ada@example.com", "password": PASSWORD}, **headers)
    return Api(answer.json()["accessToken"])


def test_lists_the_open_ones_newest_first():
    first = sign_up()
    sign_up("grace@example.com")
    second = log_in("Firefox")
    Session.objects.filter(pk=log_in("gone").get(PATH).json()["items"][0]["id"]).update(revoked_at=timezone.now())
    Session.objects.filter(pk=log_in("over").get(PATH).json()["items"][0]["id"]).update(expires_at=timezone.now())
    body = second.get(PATH).json()
    assert body["nextCursor"] is None
    newest, oldest = body["items"]
    assert (newest["current"], oldest["current"]) == (True, False)
    assert (newest["userAgent"], newest["ipAddress"]) == ("Firefox", "203.0.113.7")
    assert set(newest) == {"id", "createdAt", "lastUsedAt", "expiresAt", "userAgent", "ipAddress", "current"}
    assert oldest["createdAt"] <= newest["createdAt"] < newest["expiresAt"]
    assert [item["current"] for item in first.get(PATH).json()["items"]] == [False, True]
    page = first.get(f"{PATH}?limit=1").json()
    assert page["items"][0]["id"] == newest["id"]
    following = first.get(f"{PATH}?limit=1&cursor={page['nextCursor']}").json()
    assert [item["id"] for item in following["items"]] == [oldest["id"]]
    assert Api().get(PATH).status_code == 401


def test_an_ended_session_is_refused_at_once():
    first, second = sign_up(), log_in("Firefox")
    gone = next(item["id"] for item in first.get(PATH).json()["items"] if not item["current"])
    assert second.get("/api/payments/").status_code == 200
    assert first.send("DELETE", f"{PATH}/{gone}").status_code == 204
    answer = second.get("/api/payments/")
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    assert first.get("/api/payments/").status_code == 200
    assert first.send("DELETE", f"{PATH}/{gone}").status_code == 404


def test_one_s_own_session_and_nobody_else_s():
    api, other = sign_up(), sign_up("grace@example.com")
    theirs = other.get(PATH).json()["items"][0]["id"]
    for nothing in (theirs, 0, 10**40):
        assert api.send("DELETE", f"{PATH}/{nothing}").status_code == 404
    assert other.get(PATH).status_code == 200
    own = api.get(PATH).json()["items"][0]["id"]
    assert api.send("DELETE", f"{PATH}/{own}").status_code == 204
    assert api.send("DELETE", f"{PATH}/{own}").status_code == 401


def test_a_token_lives_no_longer_than_its_session_or_account():
    api = sign_up()
    assert api.post("/api/users/logout", {}).status_code == 204
    assert api.get(PATH).status_code == 401
    other = sign_up("grace@example.com")
    User.objects.filter(pk=other.user["id"]).update(is_active=False)
    assert other.get(PATH).status_code == 401


@pytest.mark.parametrize(("session_id", "status"), [(10**6, 401), (2**40 + 5, 200)])
def test_a_session_of_the_users_service_may_still_be_on_its_way(session_id, status):
    api = sign_up()
    token = jwt.issue(api.user["id"], session_id, timezone.now())
    assert Api(token).get("/api/payments/").status_code == status
    User.objects.update(is_active=False)
    assert Api(token).get("/api/payments/").status_code == 401


def test_another_s_session_or_none_is_no_session(monkeypatch):
    api, other = sign_up(), sign_up("grace@example.com")
    theirs = Session.objects.get(user=other.user["id"]).pk
    assert Api(jwt.issue(api.user["id"], theirs, timezone.now())).get(PATH).status_code == 401
    key, _ = jwt._signing_key()
    claims = {"sub": str(api.user["id"]), "exp": timezone.now() + timedelta(minutes=5)}
    assert Api(pyjwt.encode(claims, key, algorithm="EdDSA")).get(PATH).status_code == 401


def test_staff_is_told_by_the_token():
    api = sign_up()
    assert "staff" not in pyjwt.decode(api.token, options={"verify_signature": False})
    User.objects.update(is_staff=True)
    tokens = Api().post("/api/users/login", {"email": "ada@example.com", "password": PASSWORD}).json()
    assert pyjwt.decode(tokens["accessToken"], options={"verify_signature": False})["staff"] is True
    refreshed = Api().post("/api/users/token/refresh", {"refreshToken": tokens["refreshToken"]}).json()
    assert pyjwt.decode(refreshed["accessToken"], options={"verify_signature": False})["staff"] is True
