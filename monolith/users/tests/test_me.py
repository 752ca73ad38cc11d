"""The caller's own account: reading, changing, erasing."""

import pytest
from django.contrib.auth.hashers import check_password

from notifications.models import Device, NotificationLog, Preference
from testing.api import PASSWORD, Api, sign_up
from testing.outbox import events
from users.models import Consent, EmailAddress, LoginAttempt, Profile, Session, User

ME = "/api/users/me"


def patch(api, **fields):
    return api.send("PATCH", ME, fields)


def delete(api, password=PASSWORD):
    return api.send("DELETE", ME, {"password": password})


def test_me_is_the_caller():
    api = sign_up()
    assert api.get(ME).json() == api.user
    assert Api().get(ME).status_code == 401


def test_only_what_was_sent_changes_and_only_what_changed_is_told():
    api = sign_up(locale="de")
    answer = patch(api, displayName=" Ada King ", locale="de", preferredChannel="webhook")
    assert answer.status_code == 200
    assert answer.json() == {**api.user, "displayName": "Ada King", "preferredChannel": "webhook"}
    assert api.get(ME).json() == answer.json()
    (event,) = events("user.profile-updated")
    assert event.subject == f"user/{api.user['id']}"
    assert event.data == {"userId": api.user["id"], "displayName": "Ada King", "preferredChannel": "webhook"}
    assert patch(api, displayName="Ada King").json() == patch(api).json() == answer.json()
    assert len(events("user.profile-updated")) == 1


def test_a_new_address_is_unproven_and_ends_the_links_of_the_old_one():
    api = sign_up()
    verification = events("user.signup")[0].data["verificationToken"]
    Api().post("/api/users/password-reset", {"email": "ada@example.com"})
    reset = events("user.password-reset")[0].data["resetToken"]
    EmailAddress.objects.update(bounced_at="2026-01-01T00:00:00Z")
    answer = patch(api, email="Countess@Example.com", currentPassword=PASSWORD)
    assert answer.status_code == 200
    assert (answer.json()["email"], answer.json()["emailVerified"]) == ("countess@example.com", False)
    (event,) = events("user.profile-updated")
    assert event.data == {"userId": api.user["id"], "email": "countess@example.com"}
    assert EmailAddress.objects.get().bounced_at is None
    assert Api().post("/api/users/verify-email", {"token": verification}).status_code == 400
    confirm = {"token": reset, "password": "another-long-password"}
    assert Api().post("/api/users/password-reset/confirm", confirm).status_code == 400
    assert Api().post("/api/users/login", {"email": "ada@example.com", "password": PASSWORD}).status_code == 401
    assert Api().post("/api/users/login", {"email": "countess@example.com", "password": PASSWORD}).status_code == 200


def test_a_completed_reset_proves_the_address():
    api = sign_up()
    patch(api, email="countess@example.com", currentPassword=PASSWORD)
    Api().post("/api/users/password-reset", {"email": "countess@example.com"})
    token = events("user.password-reset")[0].data["resetToken"]
    confirm = {"token": token, "password": "another-long-password"}
    assert Api().post("/api/users/password-reset/confirm", confirm).status_code == 204
    answer = Api().post("/api/users/login", {"email": "countess@example.com", "password": "another-long-password"})
    assert answer.json()["user"]["emailVerified"] is True
    (event,) = events("user.email-verified")
    assert event.data["email"] == "countess@example.com"


def test_a_new_address_needs_the_password_and_must_be_free():
    api = sign_up()
    sign_up("grace@example.com")
    assert patch(api, email="new@example.com").json()["errors"][0]["field"] == "currentPassword"
    refused = patch(api, email="new@example.com", currentPassword="wrong-password")
    assert (refused.status_code, refused.json()["type"]) == (403, "urn:banyan:problem:forbidden")
    taken = patch(api, email="GRACE@example.com", displayName="Other", currentPassword=PASSWORD)
    assert taken.status_code == 422
    assert [error["field"] for error in taken.json()["errors"]] == ["email"]
    assert api.get(ME).json() == api.user
    assert events("user.profile-updated") == []


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"displayName": None}, "displayName"),
        ({"displayName": ""}, "displayName"),
        ({"displayName": 5}, "displayName"),
        ({"locale": None}, "locale"),
        ({"locale": "not a tag"}, "locale"),
        ({"preferredChannel": None}, "preferredChannel"),
        ({"preferredChannel": "pigeon"}, "preferredChannel"),
        ({"preferredChannel": {}}, "preferredChannel"),
        ({"email": None, "currentPassword": PASSWORD}, "email"),
        ({"email": "no address", "currentPassword": PASSWORD}, "email"),
        ({"email": "deleted-1@deleted.invalid", "currentPassword": PASSWORD}, "email"),
        ({"currentPassword": None}, "currentPassword"),
        ({"currentPassword": ""}, "currentPassword"),
        ({"currentPassword": ["x"]}, "currentPassword"),
        ({"marketingConsent": None}, "marketingConsent"),
        ({"marketingConsent": "yes"}, "marketingConsent"),
    ],
)
def test_names_the_field_that_is_wrong(fields, field):
    answer = patch(sign_up(), **fields)
    assert answer.status_code == 422, answer.content
    assert [error["field"] for error in answer.json()["errors"]] == [field]


def test_consents_are_a_history(settings):
    api = sign_up()
    for granted in (False, True, True, False):
        assert patch(api, marketingConsent=granted).status_code == 200
    rows = Consent.objects.order_by("id").values_list("kind", "granted", "version")
    assert list(rows) == [
        ("terms", True, settings.TERMS_VERSION),
        ("marketing", True, settings.MARKETING_CONSENT_VERSION),
        ("marketing", False, settings.MARKETING_CONSENT_VERSION),
    ]
    assert events("user.profile-updated") == []


def test_an_erased_account_leaves_only_what_money_hangs_on(stripe, mail, tasks):
    api, other = sign_up(), sign_up("grace@example.com")
    payment = api.charge().json()
    api.post("/api/users/login", {"email": "ada@example.com", "password": "wrong-password"})
    api.send("PUT", "/api/notifications/preferences", {"categories": [{"category": "payments", "digest": True}]})
    Device.objects.create(user_id=api.user["id"], kind="sms", address="+4312345")
    assert delete(api).status_code == 204
    user = User.objects.get(pk=api.user["id"])
    assert user.email == f"deleted-{user.pk}@deleted.invalid"
    assert not user.is_active
    assert not check_password(PASSWORD, user.password)
    assert user.profile.display_name == ""
    (event,) = events("user.deleted")
    assert event.data["userId"] == user.pk
    assert event.data["deletedAt"].endswith("Z")
    for model in (EmailAddress, Session, LoginAttempt, Consent, Device, Preference):
        assert not model.objects.filter(user=user).exists(), model
    assert user.payments.get().pk == payment["id"]
    assert set(NotificationLog.objects.filter(user=user).values_list("status", flat=True)) == {"suppressed"}
    # Nothing of it is sent any more; the other account is as it was.
    tasks()
    assert [message["To"] for message in mail.messages] == ["grace@example.com"]
    assert other.get(ME).json() == other.user
    assert Profile.objects.get(user=other.user["id"]).display_name == "Ada Lovelace"


def test_an_erased_account_lets_nobody_in_and_its_address_go():
    api = sign_up()
    elsewhere = Api().post("/api/users/login", {"email": "ada@example.com", "password": PASSWORD}).json()
    wrong = delete(api, "wrong-password")
    assert (wrong.status_code, wrong.json()["type"]) == (403, "urn:banyan:problem:forbidden")
    assert api.send("DELETE", ME, {}).status_code == 422
    assert delete(api).status_code == 204
    for token in (api.token, elsewhere["accessToken"]):
        assert Api(token).get(ME).status_code == 401
        assert delete(Api(token)).status_code == 401
    assert Api().post("/api/users/token/refresh", {"refreshToken": elsewhere["refreshToken"]}).status_code == 401
    assert Api().post("/api/users/login", {"email": "ada@example.com", "password": PASSWORD}).status_code == 401
    assert sign_up("ada@example.com").user["id"] != api.user["id"]
    assert len(events("user.deleted")) == 1
