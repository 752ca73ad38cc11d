"""Opening an account."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from common.problems import Problem
from notifications.services.announce import announce
from users.models import ConsentKind, EmailAddress, EmailVerification, Profile, User
from users.onetime import hash_token, new_nonce, token_for
from users.passwords import check_password_rules

from .sessions import Client, Tokens, open_session


@dataclass(frozen=True)
class SignUp:
    """What a new user tells."""

    email: str
    password: str
    display_name: str
    locale: str = "en"
    preferred_channel: str = "email"


def sign_up(request: SignUp, client: Client) -> tuple[User, Tokens]:
    """Create an account with a session, and mail a link that proves the address."""
    user = User(email=request.email)
    check_password_rules(request.password, user, display_name=request.display_name)
    # Hashing takes a third of a second by design: not inside the transaction.
    user.set_password(request.password)
    try:
        with transaction.atomic():
            return user, _create(user, request, client)
    except IntegrityError:
        if not EmailAddress.objects.filter(email=request.email).exists():
            raise
        raise Problem(
            409, "email-taken", "E-mail address taken", "An account with this e-mail address exists."
        ) from None


def _create(user: User, request: SignUp, client: Client) -> Tokens:
    user.save()
    Profile.objects.create(
        user=user,
        display_name=request.display_name,
        locale=request.locale,
        preferred_channel=request.preferred_channel,
    )
    user.consents.create(kind=ConsentKind.TERMS, granted=True, version=settings.TERMS_VERSION)
    address = EmailAddress.objects.create(user=user, email=user.email)
    nonce = new_nonce()
    token = token_for("email-verification", nonce)
    verification = EmailVerification.objects.create(
        email_address=address,
        nonce=nonce,
        token_hash=hash_token(token),
        expires_at=timezone.now() + timedelta(hours=settings.EMAIL_VERIFICATION_HOURS),
    )
    announce(
        "user.signup",
        {
            "userId": user.pk,
            "email": user.email,
            "displayName": request.display_name,
            "locale": request.locale,
            "preferredChannel": request.preferred_channel,
            "verificationToken": token,
        },
        subject=f"user/{user.pk}",
        user_id=user.pk,
        object_id=verification.pk,
    )
    return open_session(user, client)
