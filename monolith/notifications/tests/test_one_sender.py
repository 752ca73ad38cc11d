"""One decision per event: the event's effect owner is the side that sends."""

import pytest
from banyan import is_enabled

from notifications.models import NotificationLog
from testing.api import Api, sign_up
from testing.outbox import events

USERS = 24


def decided():
    """The events that one of two sides acts on, without those that tell what became of a mail."""
    return [event for event in events() if not event.type.startswith("notification.")]


@pytest.mark.parametrize(("share", "owner", "mails"), [(0, "legacy", 3), (10000, "new", 0)])
def test_all_or_nobody(stripe, mail, tasks, rollout, share, owner, mails):
    rollout(share)
    api = sign_up()
    api.charge()
    Api().post("/api/users/password-reset", {"email": "ada@example.com"})
    tasks()
    assert [event.headers["effectowner"] for event in decided()] == [owner] * 3
    assert len(mail.messages) == NotificationLog.objects.count() == mails


def test_without_rules_everybody_is_legacy(stripe, mail, tasks):
    sign_up()
    assert decided()[0].headers["effectowner"] == "legacy"


def test_at_half_each_event_has_exactly_one_sender(stripe, mail, tasks, rollout):
    rollout(5000)
    users = [sign_up(f"user{n}@example.com") for n in range(USERS)]
    for user in users[:12]:
        assert user.charge().status_code == 201
    tasks()
    by_monolith = {message["X-Banyan-Event-Id"] for message in mail.messages}
    assert len(by_monolith) == len(mail.messages)
    for event in decided():
        expected = "new" if is_enabled("notifications-v2", event.data["userId"]) else "legacy"
        assert event.headers["effectowner"] == expected
        assert (event.id in by_monolith) is (expected == "legacy")
    assert {event.headers["effectowner"] for event in decided()} == {"new", "legacy"}


def test_a_change_of_the_share_after_the_event_changes_nothing(stripe, mail, tasks, rollout):
    rollout(0)
    api = sign_up()
    rollout(10000)
    tasks()
    assert len(mail.messages) == 1
    api.charge()
    rollout(0)
    tasks()
    assert len(mail.messages) == 1
    assert [event.headers["effectowner"] for event in decided()] == ["legacy", "new"]


def test_the_decision_is_asked_once(stripe, mail, tasks, rollout, monkeypatch):
    asked = []

    def flip(name, user_id):
        asked.append((name, user_id))
        return len(asked) % 2 == 0

    monkeypatch.setattr("notifications.services.announce.is_enabled", flip)
    api = sign_up()
    api.charge()
    tasks()
    assert asked == [("notifications-v2", api.user["id"])] * 2
    assert [event.headers["effectowner"] for event in decided()] == ["legacy", "new"]
    assert [message["X-Banyan-Event-Id"] for message in mail.messages] == [decided()[0].id]
