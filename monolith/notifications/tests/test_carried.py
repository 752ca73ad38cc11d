"""Rows that a sync brought from the notifications service: they are shown, and worked off over there."""

from uuid import uuid4

import pytest
from django.db import connection

from notifications.models import NotificationLog, Preference
from notifications.services.cleanup import BORN_IN_SERVICE, forget_user
from notifications.tasks import deliver_pending, retry_failed_deliveries, send_daily_digest
from testing.api import sign_up
from users.models import User

SERVICE = BORN_IN_SERVICE


@pytest.fixture
def api(stripe, mail, tasks):
    api = sign_up()
    tasks()
    mail.reset()
    return api


def carry(user, place, status, error=""):
    """As the sync writes it: what schedules a row is not carried."""
    event_id = uuid4()
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO notifications_notification_log (id, event_id, event_type, user_id, object_id, channel, template,
              status, attempts, error, created_at)
            VALUES (%s, %s, 'payment.completed', %s, 0, 'email', 'payment-completed', %s, 1, %s,
              now() - interval '2 days')
            """,
            [SERVICE + place, event_id, user.pk, status, error],
        )
    return event_id


def seen():
    rows = NotificationLog.objects.filter(pk__gte=SERVICE).order_by("pk")
    return [(row.pk - SERVICE, row.status, row.error) for row in rows]


def test_no_job_takes_them_up(api, mail, tasks):
    user = User.objects.get()
    Preference.objects.create(user=user, category="payments", digest=True)
    queued = carry(user, 0, "queued")
    carry(user, 1, "queued", "busy")
    carry(user, 2, "failed", "busy")
    before = list(NotificationLog.objects.order_by("pk").values())
    assert deliver_pending.run() == 0
    deliver_pending.run(str(queued))
    assert (retry_failed_deliveries(), send_daily_digest(), tasks(), mail.messages) == (0, 0, [], [])
    assert list(NotificationLog.objects.order_by("pk").values()) == before
    shown = {item["id"] - SERVICE: item["status"] for item in api.get("/api/notifications/").json()["items"]}
    assert [shown.get(place) for place in range(3)] == ["queued", "queued", "failed"]


def test_a_user_is_forgotten_and_what_the_service_has_queued_is_left_to_it(api):
    user = User.objects.get()
    carry(user, 0, "queued", "busy")
    carry(user, 1, "failed", "busy")
    # The service was quicker.
    carry(user, 2, "suppressed", "the account was erased")
    carry(user, 3, "delivered")
    ours = NotificationLog.objects.create(
        event_id=uuid4(), event_type="payment.completed", user=user, object_id=1, template="payment-completed"
    )
    forget_user(user.pk)
    assert seen() == [
        (0, "queued", "busy"),
        (1, "failed", ""),
        (2, "suppressed", "the account was erased"),
        (3, "delivered", ""),
    ]
    ours.refresh_from_db()
    assert (ours.status, ours.error) == ("suppressed", "the account was erased")


def test_what_has_nothing_to_forget_is_not_written(api):
    user = User.objects.get()
    carry(user, 0, "delivered")
    version = "SELECT xmin::text FROM notifications_notification_log WHERE id = %s"
    with connection.cursor() as cursor:
        cursor.execute(version, [SERVICE])
        before = cursor.fetchone()
        forget_user(user.pk)
        cursor.execute(version, [SERVICE])
        assert cursor.fetchone() == before
