"""Mails are put into words by the template rows that are in use."""

import pytest

from notifications.models import NotificationLog, Template
from notifications.tasks import retry_failed_deliveries
from testing.api import sign_up
from testing.outbox import events
from users.models import Profile

RECEIPT = """Hello Ada Lovelace,

We received your payment of 10.00 USD. Thank you.

Payment number: {id}
Date: {date} UTC
For: Coffee & <cake>

"""
RECEIPT_HTML = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width">\
<title>Receipt for your payment of 10.00 USD</title></head>
<body style="margin:0;padding:24px;font-family:system-ui,sans-serif;color:#111827;background:#f9fafb">
<div style="max-width:560px;margin:0 auto;padding:24px;background:#ffffff;border-radius:8px">
<p>Hello Ada Lovelace,</p>

<p>We received your payment of <strong>10.00 USD</strong>. Thank you.</p>
<p>Payment number: {id}<br>Date: {date} UTC<br>For: Coffee &amp; &lt;cake&gt;</p>

<p style="color:#6b7280;font-size:13px">You get this message because you have an account with us.</p>
</div>
</body>
</html>
"""


@pytest.fixture
def api(stripe, mail, tasks):
    api = sign_up()
    tasks()
    return api


def new_version(name, locale="en", **texts):
    """Put a version in use, as an operator does."""
    used = Template.objects.filter(name=name, locale=locale, active=True)
    version = used.values_list("version", flat=True).first() or 0
    used.update(active=False)
    return Template.objects.create(name=name, locale=locale, version=version + 1, active=True, **texts)


def test_the_receipt_is_what_it_always_was(api, mail, tasks):
    payment = api.charge(description="Coffee & <cake>").json()
    tasks()
    message = mail.messages[-1]
    values = {"id": payment["id"], "date": payment["completedAt"][:16].replace("T", " ")}
    assert message["Subject"] == "Receipt for your payment of 10.00 USD"
    for kind, expected in (("plain", RECEIPT), ("html", RECEIPT_HTML)):
        assert message.get_body((kind,)).get_content().splitlines() == expected.format(**values).splitlines()
    assert NotificationLog.objects.get(event_type="payment.completed").template_version == 1


def test_every_kind_of_mail_has_its_texts():
    from notifications.kinds import DIGEST_TEMPLATE, KINDS

    names = {kind.template for kind in KINDS.values()} | {DIGEST_TEMPLATE}
    complete = Template.objects.filter(active=True, locale="en").exclude(subject="").exclude(body_text="")
    assert names == set(complete.values_list("name", flat=True))


def test_a_new_version_is_used_from_then_on(api, mail, tasks):
    new_version(
        "payment-completed", subject="Got\n it: {{ amount }}", body_html="<i>{{ name }}</i>", body_text="{{ name }}"
    )
    Profile.objects.update(display_name="<Ada> & Co")
    api.charge()
    tasks()
    message = mail.messages[-1]
    assert message["Subject"] == "Got it: 10.00"
    assert message.get_body(("plain",)).get_content().strip() == "<Ada> & Co"
    assert message.get_body(("html",)).get_content().strip() == "<i>&lt;Ada&gt; &amp; Co</i>"
    assert NotificationLog.objects.latest("id").template_version == 2


@pytest.mark.parametrize(
    ("locale", "subject"), [("de-AT", "Beleg"), ("de", "Beleg"), ("fr", "Receipt for your payment of 10.00 USD")]
)
def test_a_language_without_texts_falls_back(api, mail, tasks, locale, subject):
    new_version("payment-completed", "de", subject="Beleg", body_html="-", body_text="-")
    Profile.objects.update(locale=locale)
    api.charge()
    tasks()
    assert mail.messages[-1]["Subject"] == subject


def test_a_template_sees_no_files(api, mail, tasks):
    new_version("payment-completed", subject="x", body_html="{% include 'settings.py' %}", body_text="-")
    api.charge()
    tasks()
    assert NotificationLog.objects.latest("id").status == "failed"


def test_a_broken_template_fails_alone_and_is_mended(api, mail, tasks):
    broken = new_version("payment-completed", subject="{% if %}", body_html="-", body_text="-")
    api.charge()
    api.charge(paymentMethodId="pm_card_chargeDeclined")
    tasks()
    assert [message["Subject"] for message in mail.messages[1:]] == ["Your payment of 10.00 USD was declined"]
    log = NotificationLog.objects.get(event_type="payment.completed")
    assert (log.status, log.retryable, log.error) == ("failed", True, "the mail could not be composed")
    assert len(events("notification.failed")) == 1
    assert retry_failed_deliveries() == 0  # not before its time
    NotificationLog.objects.update(next_attempt_at=log.created_at)
    assert retry_failed_deliveries() == 0
    broken.subject = "Mended"
    broken.save()
    NotificationLog.objects.update(next_attempt_at=log.created_at)
    assert retry_failed_deliveries() == 1
    assert mail.messages[-1]["Subject"] == "Mended"
    log.refresh_from_db()
    assert (log.status, log.attempts, log.retryable) == ("delivered", 3, False)
    # That it was given up is told once, that it arrived too.
    assert len(events("notification.failed")) == 1
    assert events("notification.delivered")[-1].data["notificationId"] == log.pk
