"""Accounts and what belongs to them."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models
from django.db.models.functions import Lower


class Channel(models.TextChoices):
    """How a user wants to be reached."""

    EMAIL = "email"
    SMS = "sms"
    WEBHOOK = "webhook"


class UserManager(BaseUserManager["User"]):
    """Creates users with a normalised address."""

    def get_by_natural_key(self, username: str | None) -> User:
        """Addresses are stored in lower case."""
        return self.get(email=(username or "").lower())

    def create_user(self, email: str, password: str | None = None, **extra: Any) -> User:
        """A bare user row; `users.services.signup` creates whole accounts."""
        user = self.model(email=email.lower(), **extra)
        user.set_password(password)
        user.save(using=self._db)
        return user


class User(AbstractBaseUser):
    """An account. Financial rows point here, so a user is erased, never deleted."""

    email = models.EmailField(max_length=254, unique=True)
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    # When the account was erased; the row stays for the financial rows that point here.
    deleted_at = models.DateTimeField(null=True, blank=True)

    objects = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(email=Lower("email")), name="users_user_email_lower"),
        ]

    def __str__(self) -> str:
        """No personal data."""
        return f"user {self.pk}"


class Profile(models.Model):
    """How to address a user."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="profile")
    display_name = models.CharField(max_length=100)
    locale = models.CharField(max_length=35, default="en")
    preferred_channel = models.CharField(max_length=10, choices=Channel.choices, default=Channel.EMAIL)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        """No personal data."""
        return f"profile of user {self.user_id}"


class EmailAddress(models.Model):
    """An address of a user and whether it was proven."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="email_addresses")
    email = models.EmailField(max_length=254, unique=True)
    is_primary = models.BooleanField(default=True)
    verified_at = models.DateTimeField(null=True, blank=True)
    # Set by the notifications app when a mail server said that the address does not exist.
    bounced_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        db_table = "users_email_address"
        constraints = [
            models.UniqueConstraint(
                fields=["user"], condition=models.Q(is_primary=True), name="users_email_address_one_primary"
            ),
        ]

    def __str__(self) -> str:
        """No personal data."""
        return f"address {self.pk} of user {self.user_id}"


class OneTimeToken(models.Model):
    """A link that works once. Only the token's hash is stored; see `users.onetime`."""

    nonce = models.UUIDField(unique=True)
    token_hash = models.CharField(max_length=64, unique=True)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        abstract = True


class EmailVerification(OneTimeToken):
    """A mailed link that proves an address."""

    email_address = models.ForeignKey(EmailAddress, on_delete=models.CASCADE, related_name="verifications")

    class Meta:
        db_table = "users_email_verification"

    def __str__(self) -> str:
        """The row."""
        return f"verification {self.pk}"


class PasswordReset(OneTimeToken):
    """A mailed link that sets a new password."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="password_resets")

    class Meta:
        db_table = "users_password_reset"

    def __str__(self) -> str:
        """The row."""
        return f"password reset {self.pk}"


class Session(models.Model):
    """A login. Its refresh token is stored hashed and changes with every use."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="sessions")
    refresh_token_hash = models.CharField(max_length=64, unique=True)
    # The token before the last rotation: seen again, it was stolen.
    previous_token_hash = models.CharField(max_length=64, blank=True, db_index=True)
    user_agent = models.CharField(max_length=200, blank=True)
    ip_address = models.GenericIPAddressField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        """The row."""
        return f"session {self.pk} of user {self.user_id}"


class LoginAttempt(models.Model):
    """One try to log in; failures in a row close the door for a while."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, blank=True, related_name="login_attempts"
    )
    email = models.EmailField(max_length=254)
    ip_address = models.GenericIPAddressField(null=True, blank=True)
    succeeded = models.BooleanField()
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        db_table = "users_login_attempt"
        indexes = [
            models.Index(fields=["email", "-created_at"], name="users_login_attempt_email"),
            models.Index(fields=["ip_address", "-created_at"], name="users_login_attempt_address"),
        ]

    def __str__(self) -> str:
        """No personal data."""
        return f"login attempt {self.pk}"


class ConsentKind(models.TextChoices):
    """What a user can agree to."""

    TERMS = "terms"
    MARKETING = "marketing"


class Consent(models.Model):
    """One decision of a user; the newest of a kind counts, the older ones prove what was agreed to when."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="consents")
    kind = models.CharField(max_length=20, choices=ConsentKind.choices)
    granted = models.BooleanField()
    # Of the text that was agreed to.
    version = models.CharField(max_length=20)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(kind__in=ConsentKind.values), name="users_consent_kind"),
        ]
        indexes = [models.Index(fields=["user", "kind", "-id"], name="users_consent_newest")]

    def __str__(self) -> str:
        """No personal data."""
        return f"{self.kind} consent {self.pk} of user {self.user_id}"
