"""Mails sent by the monolith's own tasks."""

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID

import pytest
from django.db import connections, transaction
from django.utils import timezone

from notifications.models import NotificationLog
from notifications.services.announce import announce
from notifications.services.delivery import MAX_ATTEMPTS, TryAgain, deliver
from notifications.tasks import deliver_pending
from payments.models import Payment, Refund
from testing.api import Api, sign_up
from testing.outbox import events
from users.models import User

DELIVER = "notifications.deliver_pending"


@pytest.fixture
def api(stripe, mail, tasks):
    return sign_up()


def texts(message):
    bodies = [message.get_body((kind,)).get_content() for kind in ("plain", "html")]
    return [body.replace("\r\n", "\n") for body in bodies]


def statuses():
    return list(NotificationLog.objects.order_by("id").values_list("event_type", "status"))


def test_a_sign_up_is_mailed_with_a_link_that_works(api, mail, tasks):
    assert tasks() == [DELIVER]
    (message,) = mail.messages
    (event,) = events("user.signup")
    assert message["To"] == "ada@example.com"
    assert message["Subject"] == "Welcome! Please confirm your e-mail address"
    assert message["X-Banyan-Sender"] == "monolith"
    assert message["X-Banyan-Event-Id"] == event.id
    assert message["Message-ID"] == f"<{event.id}.email@banyan.example>"
    text, html = texts(message)
    token = re.search(r"http://127\.0\.0\.1:8080/verify-email\?token=([\w-]+)", text).group(1)
    assert token in html
    assert token == event.data["verificationToken"]
    assert Api().post("/api/users/verify-email", {"token": token}).status_code == 204
    assert tasks() == [DELIVER]
    assert mail.messages[1]["Subject"] == "Your e-mail address is confirmed"


def test_a_reset_is_mailed_with_a_link_that_works(api, mail, tasks):
    Api().post("/api/users/password-reset", {"email": "ada@example.com"})
    tasks()
    text, _ = texts(mail.messages[-1])
    token = re.search(r"/reset-password\?token=([\w-]+)", text).group(1)
    confirmed = Api().post("/api/users/password-reset/confirm", {"token": token, "password": "another-long-one"})
    assert confirmed.status_code == 204


def test_payments_are_mailed_with_the_money_of_their_currency(api, mail, tasks):
    api.charge(amount="1.250", currency="KWD", description='<b>"Tea"</b>')
    api.charge(amount=1500, currency="JPY", paymentMethodId="pm_card_chargeDeclined")
    assert tasks() == [DELIVER] * 3
    completed, failed = mail.messages[1:]
    assert completed["Subject"] == "Receipt for your payment of 1.250 KWD"
    text, html = texts(completed)
    assert 'For: <b>"Tea"</b>' in text
    assert "&lt;b&gt;&quot;Tea&quot;&lt;/b&gt;" in html
    assert failed["Subject"] == "Your payment of 1500 JPY was declined"
    assert "Your card was declined." in texts(failed)[0]


def test_a_task_that_runs_again_sends_nothing(api, mail, tasks):
    tasks()
    log = NotificationLog.objects.get()
    assert (log.status, log.attempts) == ("delivered", 1)
    deliver(log.event_id)
    assert len(mail.messages) == 1


def test_two_workers_at_once_send_one_mail(api, mail):
    event_id = NotificationLog.objects.get().event_id
    start = threading.Barrier(8)

    def work():
        try:
            start.wait(10)
            deliver(event_id)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(work) for _ in range(8)]:
            done.result(20)
    assert len(mail.messages) == 1


@pytest.mark.parametrize(("answer", "reason"), [("451 busy", "SMTP 451"), (None, "ConnectionRefusedError")])
def test_a_server_that_is_busy_or_away_is_tried_again(api, mail, settings, answer, reason):
    if answer is None:
        settings.EMAIL_PORT = 1
    mail.answer = answer
    log = NotificationLog.objects.get()
    with pytest.raises(TryAgain) as again:
        deliver(log.event_id)
    assert again.value.delay == 5
    log.refresh_from_db()
    assert (log.status, log.attempts, log.error) == ("queued", 1, reason)
    # Not before its time, by whatever task.
    deliver(log.event_id)
    assert NotificationLog.objects.get().attempts == 1
    mail.answer, settings.EMAIL_PORT = None, settings.TEST_SMTP_PORT
    NotificationLog.objects.update(next_attempt_at=timezone.now())
    deliver(log.event_id)
    log.refresh_from_db()
    assert (log.status, log.attempts, log.error) == ("delivered", 2, "")
    assert len(mail.messages) == 1


def test_a_refusal_for_good_is_not_repeated(api, mail):
    mail.answer = "550 no such user ada@example.com"
    log = NotificationLog.objects.get()
    deliver(log.event_id)
    log.refresh_from_db()
    assert (log.status, log.error) == ("failed", "SMTP 550")
    deliver(log.event_id)
    assert mail.tries == 1


def test_giving_up_after_many_tries(api, mail):
    mail.answer = "451 busy"
    log = NotificationLog.objects.get()
    NotificationLog.objects.update(attempts=MAX_ATTEMPTS - 1)
    deliver(log.event_id)
    log.refresh_from_db()
    assert log.status == "failed"


def test_a_mail_that_cannot_be_composed_fails_alone(api, mail, tasks):
    NotificationLog.objects.update(object_id=0)
    api.charge()
    tasks()
    assert statuses() == [("user.signup", "failed"), ("payment.completed", "delivered")]


def test_a_task_that_was_lost_is_started_again(api, mail, tasks, monkeypatch):
    tasks()

    def fail(*_, **__):
        raise ConnectionRefusedError

    monkeypatch.setattr("celery.current_app.send_task", fail)
    assert api.charge().status_code == 201  # a broker that is away does not fail the charge
    monkeypatch.undo()
    assert tasks() == []
    assert deliver_pending() == 0  # its own task still has time
    NotificationLog.objects.filter(status="queued").update(next_attempt_at=timezone.now() - timedelta(minutes=2))
    assert deliver_pending() == 1
    assert deliver_pending() == 0
    assert tasks() == [DELIVER]
    assert len(mail.messages) == 2


def test_a_rolled_back_change_mails_nothing(api, mail, tasks, monkeypatch):
    tasks()

    def fail(*_, **__):
        raise RuntimeError("the disk is full")

    token = events()[0].data["verificationToken"]
    # The last thing in the transaction, after the event and its mail were written.
    monkeypatch.setattr("notifications.services.outgoing.transaction.on_commit", fail)
    assert Api().post("/api/users/verify-email", {"token": token}).status_code == 500
    monkeypatch.undo()
    assert tasks() == []
    assert [event.type for event in events()] == ["user.signup", "notification.delivered"]
    assert NotificationLog.objects.count() == 1
    assert Api().post("/api/users/verify-email", {"token": token}).status_code == 204


def test_what_was_switched_off_is_not_sent(api, mail, tasks):
    off = {"categories": [{"category": "payments", "enabled": False}, {"category": "account", "enabled": False}]}
    assert api.send("PUT", "/api/notifications/preferences", off).status_code == 200
    api.charge()
    tasks()
    # The sign-up's mail is needed to go on: it is sent whatever the preferences say.
    assert statuses() == [("user.signup", "delivered"), ("payment.completed", "suppressed")]
    assert len(mail.messages) == 1


def test_what_became_of_a_mail_is_published(api, mail, tasks):
    tasks()
    sent = NotificationLog.objects.get()
    (event,) = events("notification.delivered")
    assert event.subject == f"notification/{sent.pk}"
    assert event.data.pop("deliveredAt").endswith("Z")
    common = {"userId": api.user["id"], "channel": "email"}
    assert event.data == {
        "notificationId": sent.pk,
        "template": "user-signup",
        "eventId": str(sent.event_id),
        **common,
    }
    mail.answer = "550 no such user ada@example.com"
    api.charge()
    tasks()
    refused = NotificationLog.objects.get(status="failed")
    (event,) = events("notification.failed")
    assert event.data == {
        "notificationId": refused.pk,
        "template": "payment-completed",
        "eventId": str(refused.event_id),
        "reason": "SMTP 550",
        "attempts": 1,
        **common,
    }


def test_a_refund_is_mailed(api, mail, tasks):
    payment = Payment.objects.get(pk=api.charge(amount="12.50").json()["id"])
    refund = Refund.objects.create(
        payment=payment,
        amount="2.50",
        currency_id="USD",
        status="succeeded",
        stripe_refund_id="re_1",
        completed_at="2026-03-04T05:06:07Z",
    )
    tasks()
    with transaction.atomic():
        data = {
            "paymentId": payment.pk,
            "refundId": refund.pk,
            "userId": api.user["id"],
            "amountMinor": 250,
            "currency": "USD",
            "refundedAt": "2026-03-04T05:06:07Z",
        }
        subject = f"payment/{payment.pk}"
        announce("payment.refunded", data, subject=subject, user_id=api.user["id"], object_id=refund.pk)
    assert tasks() == [DELIVER]
    message = mail.messages[-1]
    assert message["Subject"] == "Your refund of 2.50 USD"
    text, html = texts(message)
    assert f"We refunded 2.50 USD of your payment {payment.pk}." in text
    assert f"Refund number: {refund.pk}\nDate: 2026-03-04 05:06 UTC" in text
    assert "<strong>2.50 USD</strong>" in html


def test_a_closed_account_gets_nothing(api, mail, tasks):
    User.objects.update(is_active=False)
    tasks()
    assert statuses() == [("user.signup", "suppressed")]


def test_the_list_shows_what_became_of_each(api, tasks):
    tasks()
    (item,) = api.get("/api/notifications/").json()["items"]
    assert UUID(item.pop("eventId"))
    assert item.pop("createdAt") <= item.pop("sentAt")
    assert item.pop("id")
    assert item == {
        "eventType": "user.signup",
        "channel": "email",
        "template": "user-signup",
        "status": "delivered",
        "attempts": 1,
        "error": None,
    }
    assert sign_up("grace@example.com").get("/api/notifications/").json()["items"][0]["status"] == "queued"
