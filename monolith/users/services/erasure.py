"""Closing an account: personal data goes, the rows that money hangs on stay."""

from __future__ import annotations

from banyan import publish_event
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from users.models import Channel, LoginAttempt, User
from users.signals import account_erased

# Nobody can have an address there (RFC 2606), and nobody can sign up with one.
ERASED_DOMAIN = "deleted.invalid"


def erase(user_id: int) -> None:
    """Erase an account; a second time changes nothing."""
    now = timezone.now()
    with transaction.atomic():
        user = User.objects.select_for_update(no_key=True, of=("self",)).select_related("profile").get(pk=user_id)
        if user.deleted_at is not None:
            return
        # First, as the receivers lock rows whose holders may be waiting to refer to this one.
        account_erased.send(sender=User, user_id=user.pk)
        _erase_personal_data(user)
        user.is_active, user.is_staff, user.deleted_at = False, False, now
        user.save()
        publish_event("user.deleted", {"userId": user.pk, "deletedAt": now}, subject=f"user/{user.pk}")


def _erase_personal_data(user: User) -> None:
    LoginAttempt.objects.filter(Q(user=user) | Q(email=user.email)).delete()
    user.sessions.all().delete()
    user.password_resets.all().delete()
    user.email_addresses.all().delete()
    user.consents.all().delete()
    user.profile.display_name, user.profile.locale = "", "en"
    user.profile.preferred_channel = Channel.EMAIL
    user.profile.save()
    user.email = f"deleted-{user.pk}@{ERASED_DOMAIN}"
    user.last_login = None
    user.set_unusable_password()
