"""Sign-up."""

import pytest

from testing.api import PASSWORD, Api, sign_up
from testing.outbox import events
from users.models import EmailAddress, User


def test_answers_with_the_user_and_tokens():
    api = Api()
    answer = api.post(
        "/api/users/signup",
        {
            "email": " Ada@Example.com ",
            "password": PASSWORD,
            "displayName": "Ada Lovelace",
            "locale": "de-AT",
            "preferredChannel": "sms",
        },
    )
    assert answer.status_code == 201
    body = answer.json()
    assert set(body) == {"user", "accessToken", "refreshToken", "expiresIn"}
    assert body["expiresIn"] == 900
    created_at = body["user"].pop("createdAt")
    assert created_at.endswith("Z")
    assert body["user"] == {
        "id": User.objects.get().pk,
        "email": "ada@example.com",
        "displayName": "Ada Lovelace",
        "locale": "de-AT",
        "preferredChannel": "sms",
        "emailVerified": False,
    }


def test_publishes_the_event_with_a_token_that_is_stored_only_hashed():
    user = sign_up().user
    (event,) = events()
    assert (event.type, event.subject) == ("user.signup", f"user/{user['id']}")
    token = event.data["verificationToken"]
    assert event.data == {
        "userId": user["id"],
        "email": "ada@example.com",
        "displayName": "Ada Lovelace",
        "locale": "en",
        "preferredChannel": "email",
        "verificationToken": token,
    }
    verification = EmailAddress.objects.get().verifications.get()
    assert verification.token_hash != token
    assert len(verification.token_hash) == 64


def test_a_taken_address_is_refused_whatever_its_case():
    sign_up("ada@example.com")
    answer = Api().post("/api/users/signup", {"email": "ADA@example.com", "password": PASSWORD, "displayName": "Other"})
    assert answer.status_code == 409
    assert answer.json()["type"] == "urn:banyan:problem:email-taken"
    assert len(events()) == 1
    assert User.objects.count() == 1


def test_a_failure_after_the_event_takes_the_event_back(monkeypatch):
    def fail(*_):
        raise RuntimeError("the disk is full")

    monkeypatch.setattr("users.services.signup.open_session", fail)
    answer = Api().post("/api/users/signup", {"email": "ada@example.com", "password": PASSWORD, "displayName": "Ada"})
    assert answer.status_code == 500
    assert answer.json()["type"] == "urn:banyan:problem:internal"
    assert "disk" not in answer.content.decode()
    assert events() == []
    assert not User.objects.exists()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"email": "no address"}, "email"),
        ({"email": None}, "email"),
        ({"email": "a" * 250 + "@example.com"}, "email"),
        ({"password": "short"}, "password"),
        ({"password": "password123"}, "password"),
        ({"password": "xx ada@example.com xx"}, "password"),
        ({"password": 12345678901}, "password"),
        ({"displayName": " "}, "displayName"),
        ({"displayName": "a\u0000b"}, "displayName"),
        ({"displayName": "a\r\nBcc: x"}, "displayName"),
        ({"displayName": "\ud800"}, "displayName"),
        ({"displayName": "x" * 101}, "displayName"),
        ({"locale": "not a tag"}, "locale"),
        ({"preferredChannel": "pigeon"}, "preferredChannel"),
    ],
)
def test_names_the_field_that_is_wrong(change, field):
    body = {"email": "ada@example.com", "password": PASSWORD, "displayName": "Ada", **change}
    answer = Api().post("/api/users/signup", body)
    assert answer.status_code == 422
    assert answer["Content-Type"] == "application/problem+json"
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert not User.objects.exists()


def test_tells_everything_that_is_wrong_at_once():
    answer = Api().post("/api/users/signup", {})
    assert [error["field"] for error in answer.json()["errors"]] == ["email", "password", "displayName"]
