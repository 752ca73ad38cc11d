"""What can no longer matter is deleted."""

from datetime import timedelta

from django.utils import timezone

from testing.api import Api, sign_up
from users.models import EmailVerification, LoginAttempt, Session
from users.tasks import purge_expired_tokens


def test_only_what_is_long_over_goes():
    sign_up("old@example.com")
    Api().post("/api/users/login", {"email": "old@example.com", "password": "wrong-password"})
    long_ago = timezone.now() - timedelta(days=8)
    EmailVerification.objects.update(expires_at=long_ago)
    Session.objects.update(expires_at=long_ago)
    LoginAttempt.objects.update(created_at=long_ago)
    fresh = sign_up("new@example.com").user["id"]
    purge_expired_tokens()
    assert list(EmailVerification.objects.values_list("email_address__user", flat=True)) == [fresh]
    assert list(Session.objects.values_list("user", flat=True)) == [fresh]
    assert not LoginAttempt.objects.exists()
