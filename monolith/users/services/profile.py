"""What users change about themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from banyan import publish_event
from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from common.problems import Problem, field_error, unauthenticated
from users.models import ConsentKind, EmailAddress, EmailVerification, User

from .attempts import right_password
from .sessions import Client


@dataclass(frozen=True)
class Changes:
    """What is to change; None: nothing of it."""

    display_name: str | None = None
    locale: str | None = None
    preferred_channel: str | None = None
    email: str | None = None
    marketing_consent: bool | None = None


def confirm_password(user: User, password: str, client: Client) -> None:
    """403 unless the password is the caller's: a stolen token alone must not take an account over."""
    if not right_password(user, user.email, password, client):
        raise Problem(403, "forbidden", "Forbidden", "The password is wrong.")


def change(user_id: int, changes: Changes) -> User:
    """Make the changes, and tell of those that were any."""
    try:
        with transaction.atomic():
            user = User.objects.select_for_update(no_key=True, of=("self",)).select_related("profile").get(pk=user_id)
            if not user.is_active:
                raise unauthenticated("The account was closed.", token_sent=True)
            changed = _change_profile(user, changes)
            if changes.email not in (None, user.email):
                _change_address(user, changes.email)
                changed["email"] = user.email
            if changes.marketing_consent is not None:
                _decide_on_marketing(user, changes.marketing_consent)
            if changed:
                publish_event("user.profile-updated", {"userId": user.pk, **changed}, subject=f"user/{user.pk}")
            return user
    except IntegrityError:
        if not EmailAddress.objects.filter(email=changes.email).exclude(user_id=user_id).exists():
            raise
        raise field_error("email", "An account with this e-mail address exists.") from None


def _change_profile(user: User, changes: Changes) -> dict[str, Any]:
    """Returns the changed fields under their public names."""
    changed: dict[str, Any] = {}
    wanted = {
        "displayName": ("display_name", changes.display_name),
        "locale": ("locale", changes.locale),
        "preferredChannel": ("preferred_channel", changes.preferred_channel),
    }
    for public, (name, value) in wanted.items():
        if value is not None and value != getattr(user.profile, name):
            setattr(user.profile, name, value)
            changed[public] = value
    if changed:
        user.profile.save()
    return changed


def _change_address(user: User, email: str) -> None:
    """The new address is unproven, and links mailed to the old one prove nothing about it."""
    user.email = email
    user.save(update_fields=["email", "updated_at"])
    address = user.email_addresses.select_for_update().get(is_primary=True)
    address.email, address.verified_at, address.bounced_at = email, None, None
    address.save()
    now = timezone.now()
    EmailVerification.objects.filter(email_address=address, used_at=None).update(used_at=now)
    user.password_resets.filter(used_at=None).update(used_at=now)


def _decide_on_marketing(user: User, granted: bool) -> None:
    """One row per decision; saying the same again is none."""
    latest = user.consents.filter(kind=ConsentKind.MARKETING).order_by("-id").first()
    if (latest.granted if latest else False) != granted:
        version = settings.MARKETING_CONSENT_VERSION
        user.consents.create(kind=ConsentKind.MARKETING, granted=granted, version=version)
