"""Mailed links: e-mail verification and password reset."""

from datetime import timedelta

from django.utils import timezone

from testing.api import PASSWORD, Api, sign_up
from testing.outbox import events
from users.models import EmailVerification, PasswordReset, Session

NEW_PASSWORD = "another-long-password"


def ask(email="ada@example.com"):
    return Api().post("/api/users/password-reset", {"email": email})


def confirm(token, password=NEW_PASSWORD):
    return Api().post("/api/users/password-reset/confirm", {"token": token, "password": password})


def log_in(password):
    return Api().post("/api/users/login", {"email": "ada@example.com", "password": password}).status_code


def verify(token):
    return Api().post("/api/users/verify-email", {"token": token})


def test_asking_never_tells_whether_the_account_exists():
    sign_up()
    known, unknown = ask(), ask("nobody@example.com")
    assert (known.status_code, known.content) == (unknown.status_code, unknown.content)
    assert known.status_code == 202
    assert len(events("user.password-reset")) == 1


def test_the_event_carries_a_token_that_sets_a_new_password_once():
    user = sign_up().user
    ask()
    (event,) = events("user.password-reset")
    assert event.subject == f"user/{user['id']}"
    assert (event.data["userId"], event.data["email"]) == (user["id"], "ada@example.com")
    assert event.data["expiresAt"].endswith("Z")
    token = event.data["resetToken"]
    assert confirm(token).status_code == 204
    assert log_in(NEW_PASSWORD) == 200
    assert log_in(PASSWORD) == 401
    again = confirm(token)
    assert again.status_code == 400
    assert again.json()["type"] == "urn:banyan:problem:invalid-token"


def test_a_new_password_ends_every_session():
    sign_up()
    ask()
    confirm(events("user.password-reset")[0].data["resetToken"])
    assert not Session.objects.filter(revoked_at=None).exists()


def test_a_bad_new_password_leaves_the_link_working():
    sign_up()
    ask()
    token = events("user.password-reset")[0].data["resetToken"]
    refused = confirm(token, "short")
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "password"
    assert confirm(token).status_code == 204


def test_an_old_link_does_not_work():
    sign_up()
    ask()
    PasswordReset.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert confirm(events("user.password-reset")[0].data["resetToken"]).status_code == 400
    assert confirm("made-up").status_code == 400


def test_no_more_resets_than_a_person_needs(settings):
    settings.PASSWORD_RESETS_PER_HOUR = 2
    sign_up()
    assert [ask().status_code for _ in range(4)] == [202] * 4
    assert len(events("user.password-reset")) == 2


def test_verification_marks_the_address_once():
    user = sign_up().user
    token = events("user.signup")[0].data["verificationToken"]
    assert verify(token).status_code == 204
    (event,) = events("user.email-verified")
    assert event.subject == f"user/{user['id']}"
    assert (event.data["userId"], event.data["email"]) == (user["id"], "ada@example.com")
    login = Api().post("/api/users/login", {"email": "ada@example.com", "password": PASSWORD})
    assert login.json()["user"]["emailVerified"] is True
    assert verify(token).status_code == 400
    assert len(events("user.email-verified")) == 1


def test_an_old_verification_does_not_work():
    sign_up()
    EmailVerification.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert verify(events("user.signup")[0].data["verificationToken"]).status_code == 400
