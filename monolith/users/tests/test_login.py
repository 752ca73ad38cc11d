"""Login, refresh, logout, signing keys."""

import base64
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import jwt as pyjwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from django.db import connections
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
    assert answer.json()["type"] == "urn:banyan:problem:too-many-attempts"
    assert 0 < int(answer["Retry-After"]) <= settings.LOGIN_FAILURE_WINDOW_MINUTES * 60
    # Being refused does not lengthen it, and nobody else is shut out.
    assert LoginAttempt.objects.count() == settings.LOGIN_FAILURES_ALLOWED
    sign_up("grace@example.com")
    assert log_in("grace@example.com").status_code == 200
    LoginAttempt.objects.update(created_at=timezone.now() - timedelta(hours=1))
    assert log_in().status_code == 200


def test_a_success_forgives_earlier_failures(settings):
    sign_up()
    for _ in range(settings.LOGIN_FAILURES_ALLOWED - 1):
        log_in(password="wrong-password")
    assert log_in().status_code == 200
    log_in(password="wrong-password")
    assert log_in().status_code == 200


def test_an_address_that_guesses_is_shut_out_of_every_account(settings):
    settings.LOGIN_FAILURES_ALLOWED_PER_ADDRESS = 3
    sign_up()

    def from_address(address, email, password="wrong-password"):
        body = {"email": email, "password": password}
        return Api().post("/api/users/login", body, **{"X-Forwarded-For": address}).status_code

    assert [from_address("203.0.113.7", f"user{n}@example.com") for n in range(3)] == [401] * 3
    assert from_address("203.0.113.7", "ada@example.com", PASSWORD) == 429
    assert from_address("203.0.113.8", "ada@example.com", PASSWORD) == 200


def test_many_guesses_at_once_do_not_pass_the_limit_together(settings):
    settings.LOGIN_FAILURES_ALLOWED = 3
    sign_up()
    start = threading.Barrier(8)

    def guess():
        try:
            start.wait(10)
            return log_in(password="wrong-password").status_code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        answers = [done.result(20) for done in [pool.submit(guess) for _ in range(8)]]
    assert sorted(answers) == [401] * 3 + [429] * 5


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
