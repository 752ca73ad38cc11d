"""Login, refresh, logout, signing keys."""

import base64
from datetime import timedelta

import jwt as pyjwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from django.utils import timezone

from testing.api import PASSWORD, Api, sign_up
from users import jwt
from users.models import LoginAttempt, Session


def log_in(email="ada@example.com", password=PASSWORD):
    return Api().post("/api/users/login", {"email": email, "password": password})


def test_answers_like_sign_up():
    user = sign_up().user
    answer = log_in(email="ADA@example.com")
    assert answer.status_code == 200
    assert answer.json()["user"] == user
    assert Session.objects.count() == 2


def test_the_answer_does_not_tell_whether_the_account_exists():
    sign_up()
    wrong, unknown = log_in(password="wrong-password"), log_in(email="nobody@example.com")
    assert wrong.status_code == unknown.status_code == 401
    bodies = [wrong.json(), unknown.json()]
    for body in bodies:
        body.pop("traceId")
    assert bodies[0] == bodies[1]


def test_too_many_failures_close_the_door_for_a_while(settings):
    sign_up()
    for _ in range(settings.LOGIN_FAILURES_ALLOWED):
        assert log_in(password="wrong-password").status_code == 401
    answer = log_in()
    assert answer.status_code == 429
    assert int(answer["Retry-After"]) > 0
    LoginAttempt.objects.update(created_at=timezone.now() - timedelta(hours=1))
    assert log_in().status_code == 200


def test_a_success_forgives_earlier_failures(settings):
    sign_up()
    for _ in range(settings.LOGIN_FAILURES_ALLOWED - 1):
        log_in(password="wrong-password")
    assert log_in().status_code == 200
    log_in(password="wrong-password")
    assert log_in().status_code == 200


def test_the_published_key_verifies_the_token():
    api = sign_up()
    (key,) = Api().get("/.well-known/jwks.json").json()["keys"]
    assert (key["kty"], key["crv"], key["alg"], key["use"]) == ("OKP", "Ed25519", "EdDSA", "sig")
    public = Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(key["x"] + "="))
    assert pyjwt.get_unverified_header(api.token)["kid"] == key["kid"]
    claims = pyjwt.decode(api.token, public, algorithms=["EdDSA"])
    assert claims["sub"] == str(api.user["id"])
    assert claims["sid"] == str(Session.objects.get().pk)
    assert claims["exp"] - claims["iat"] == 900


def test_refuses_tokens_that_are_not_ours():
    api = sign_up()
    claims = {"sub": str(api.user["id"]), "sid": "1", "exp": timezone.now() + timedelta(minutes=5)}
    foreign = pyjwt.encode(claims, Ed25519PrivateKey.generate(), algorithm="EdDSA")
    unsigned = pyjwt.encode(claims, None, algorithm="none")
    symmetric = pyjwt.encode(claims, "x" * 32, algorithm="HS256")
    expired = jwt.issue(api.user["id"], 1, timezone.now() - timedelta(minutes=16))
    for token in (foreign, unsigned, symmetric, expired, api.token[:-2], "x", None):
        answer = Api(token).get("/api/payments/")
        assert answer.status_code == 401, token
        assert answer["WWW-Authenticate"].startswith("Bearer")
        assert answer.json()["type"] == "urn:banyan:problem:unauthenticated"


def refresh(token):
    return Api().post("/api/users/token/refresh", {"refreshToken": token})


def test_a_refresh_token_works_once_and_a_stolen_one_ends_the_session():
    sign_up()
    first = log_in().json()["refreshToken"]
    answer = refresh(first)
    assert answer.status_code == 200
    second = answer.json()["refreshToken"]
    assert second != first
    assert refresh(first).status_code == 401
    # The thief and the owner both held the first one: the session is over for either.
    assert refresh(second).status_code == 401


def test_logout_ends_the_session():
    sign_up()
    tokens = log_in().json()
    assert Api(tokens["accessToken"]).post("/api/users/logout", {}).status_code == 204
    assert refresh(tokens["refreshToken"]).status_code == 401
    # The other session goes on.
    assert Session.objects.filter(revoked_at=None).count() == 1


def test_refresh_tokens_are_stored_hashed():
    sign_up()
    token = log_in().json()["refreshToken"]
    assert not Session.objects.filter(refresh_token_hash=token).exists()
