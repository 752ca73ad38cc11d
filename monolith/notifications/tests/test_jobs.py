"""The jobs: digests, bounces, second chances, forgetting."""

from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from django.utils import timezone

from notifications.models import NotificationLog
from notifications.services.delivery import MAX_ATTEMPTS_IN_ALL
from notifications.tasks import process_bounces, purge_old_logs, retry_failed_deliveries, send_daily_digest
from testing.api import sign_up
from testing.outbox import events
from users.models import EmailAddress, User

PREFERENCES = "/api/notifications/preferences"


@pytest.fixture
def api(stripe, mail, tasks):
    api = sign_up()
    tasks()
    mail.reset()
    return api


def want_digest(api, **more):
    body = {"categories": [{"category": "payments", "digest": True, **more}]}
    assert api.send("PUT", PREFERENCES, body).status_code == 200


def evening():
    """Make the digests due."""
    NotificationLog.objects.filter(digest=True).update(next_attempt_at=timezone.now())


def test_a_digest_collects_what_was_not_wanted_at_once(api, mail, tasks):
    want_digest(api)
    api.charge(amount="5.00")
    api.charge(amount=1500, currency="JPY", paymentMethodId="pm_card_chargeDeclined")
    tasks()
    kept = NotificationLog.objects.filter(digest=True)
    assert list(kept.values_list("status", flat=True)) == ["queued", "queued"]
    due = kept.values_list("next_attempt_at", flat=True)[0]
    assert timezone.now() < due <= timezone.now() + timedelta(days=1)
    assert (due.hour, due.minute) == (17, 0)
    assert (send_daily_digest(), mail.messages) == (0, [])
    evening()
    assert send_daily_digest() == 1
    (message,) = mail.messages
    assert (message["To"], message["Subject"]) == ("ada@example.com", "2 notifications from today")
    text = message.get_body(("plain",)).get_content()
    assert "- Receipt for your payment of 5.00 USD (20" in text
    assert text.index("Receipt") < text.index("Your payment of 1500 JPY was declined")
    assert set(kept.values_list("status", "attempts")) == {("delivered", 1)}
    delivered = {event.data["notificationId"] for event in events("notification.delivered")}
    assert set(kept.values_list("pk", flat=True)) <= delivered
    assert (send_daily_digest(), len(mail.messages)) == (0, 1)


def test_what_cannot_wait_does_not(api, mail, tasks):
    body = {"categories": [{"category": "account", "digest": True}]}
    assert api.send("PUT", PREFERENCES, body).status_code == 200
    api.post("/api/users/password-reset", {"email": "ada@example.com"})
    api.charge()
    tasks()
    assert [message["Subject"] for message in mail.messages] == [
        "Reset your password",
        "Receipt for your payment of 10.00 USD",
    ]


def test_a_digest_that_the_server_refuses_is_sent_later_under_the_same_id(api, mail, tasks, monkeypatch):
    want_digest(api)
    api.charge()
    tasks()
    evening()
    mail.answer = "451 busy"
    assert send_daily_digest() == 0
    log = NotificationLog.objects.get(digest=True)
    assert (log.status, log.attempts, log.error) == ("queued", 1, "SMTP 451")
    assert log.next_attempt_at > timezone.now()
    mail.answer = None
    evening()
    # Accepted, but the worker dies before it can say so.
    with monkeypatch.context() as crash:
        crash.setattr("notifications.services.digest.outcome.delivered", lambda *_: 1 / 0)
        assert send_daily_digest() == 0
    assert send_daily_digest() == 1
    first, second = mail.messages
    assert first["Message-ID"] == second["Message-ID"]
    log.refresh_from_db()
    assert str(log.digest_id) in first["Message-ID"]


def test_one_broken_digest_keeps_nobody_else_waiting(api, mail, tasks):
    other = sign_up("grace@example.com")
    for each in (api, other):
        want_digest(each)
        each.charge()
    tasks()
    mail.reset()
    NotificationLog.objects.filter(user_id=api.user["id"], digest=True).update(object_id=0)
    evening()
    assert send_daily_digest() == 1
    assert [message["To"] for message in mail.messages] == ["grace@example.com"]
    assert NotificationLog.objects.get(user_id=api.user["id"], digest=True).status == "failed"


def test_a_closed_account_gets_no_digest(api, mail, tasks):
    want_digest(api)
    api.charge()
    tasks()
    evening()
    User.objects.update(is_active=False)
    assert send_daily_digest() == 0
    assert NotificationLog.objects.get(digest=True).status == "suppressed"


REPORT = """From: mailer-daemon@mx.example.net
To: bounces@banyan.example
Subject: Undelivered
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

Sorry.
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.net

Final-Recipient: rfc822; {recipient}
Action: {action}
Status: {status}

--b
Content-Type: {returned}

From: no-reply@banyan.example
Message-ID: {message_id}

--b--
"""


@pytest.fixture
def report(settings, tmp_path):
    """Puts a delivery report into the mailbox."""
    for folder in ("new", "cur", "tmp"):
        (tmp_path / folder).mkdir()
    settings.BOUNCE_MAILDIR = str(tmp_path)

    def write(message_id, **fields):
        values = {"recipient": "Ada@example.com", "action": "failed", "status": "5.1.1", "returned": "message/rfc822"}
        text = REPORT.format(message_id=message_id, **{**values, **fields})
        (tmp_path / "new" / str(uuid4())).write_bytes(text.replace("\n", "\r\n").encode())

    return write


@pytest.mark.parametrize("returned", ["message/rfc822", "text/rfc822-headers"])
def test_a_bounce_stops_mail_to_that_address(api, mail, tasks, report, settings, returned):
    api.charge()
    tasks()
    report(mail.messages[0]["Message-ID"], returned=returned)
    assert process_bounces() == 1
    log = NotificationLog.objects.get(event_type="payment.completed")
    assert (log.status, log.error, log.retryable) == ("failed", "bounced with status 5.1.1", False)
    assert events("notification.failed")[0].data["reason"] == "bounced with status 5.1.1"
    assert not list((Path(settings.BOUNCE_MAILDIR) / "new").iterdir())
    assert len(list((Path(settings.BOUNCE_MAILDIR) / "cur").iterdir())) == 1
    api.charge()
    tasks()
    assert len(mail.messages) == 1
    assert NotificationLog.objects.latest("id").error == "the address bounces"
    # A new address is a new start.
    fields = {"email": "countess@example.com", "currentPassword": "correct-horse-battery"}
    assert api.send("PATCH", "/api/users/me", fields).status_code == 200
    api.charge()
    tasks()
    assert mail.messages[-1]["To"] == "countess@example.com"


def test_a_bounced_digest_counts_for_what_was_in_it(api, mail, tasks, report):
    want_digest(api)
    api.charge()
    tasks()
    evening()
    send_daily_digest()
    report(mail.messages[0]["Message-ID"])
    assert process_bounces() == 1
    assert NotificationLog.objects.get(digest=True).status == "failed"


def test_nothing_else_is_a_bounce(api, mail, tasks, report, settings):
    api.charge()
    tasks()
    ours = mail.messages[0]["Message-ID"]
    report(ours, action="delayed", status="4.4.1")
    report(ours, status="4.2.2")
    report(ours, recipient="grace@example.com")
    report(ours.replace("banyan.example", "elsewhere.example"))
    report(f"<{uuid4()}.email@banyan.example>")
    report("")
    (Path(settings.BOUNCE_MAILDIR) / "new" / "chat").write_bytes(b"Subject: hello\r\n\r\n\xff\xfe")
    assert process_bounces() == 0
    assert not EmailAddress.objects.filter(bounced_at__isnull=False).exists()
    assert not list((Path(settings.BOUNCE_MAILDIR) / "new").iterdir())
    settings.BOUNCE_MAILDIR = ""
    assert process_bounces() == 0


def test_second_chances_end(api, mail, tasks):
    api.charge()
    NotificationLog.objects.filter(status="queued").update(
        status="failed", retryable=True, attempts=MAX_ATTEMPTS_IN_ALL - 2
    )
    mail.answer = "451 busy"
    assert retry_failed_deliveries() == 0
    log = NotificationLog.objects.get(event_type="payment.completed")
    assert (log.status, log.retryable) == ("failed", True)
    NotificationLog.objects.update(next_attempt_at=timezone.now())
    assert retry_failed_deliveries() == 0
    log.refresh_from_db()
    assert (log.attempts, log.retryable) == (MAX_ATTEMPTS_IN_ALL, False)
    mail.answer = None
    NotificationLog.objects.update(next_attempt_at=timezone.now())
    assert retry_failed_deliveries() == 0


def test_only_old_and_settled_rows_are_forgotten(api, mail, tasks):
    api.charge()
    tasks()
    api.charge()  # still queued
    old = timezone.now() - timedelta(days=181)
    NotificationLog.objects.exclude(event_type="payment.completed", status="delivered").update(created_at=old)
    assert purge_old_logs() == 1
    assert list(NotificationLog.objects.order_by("id").values_list("event_type", "status")) == [
        ("payment.completed", "delivered"),
        ("payment.completed", "queued"),
    ]
