"""The tables of the users domain."""

from __future__ import annotations

from random import Random

from django.conf import settings

from users.models import (
    Channel,
    Consent,
    ConsentKind,
    EmailAddress,
    EmailVerification,
    LoginAttempt,
    PasswordReset,
    Profile,
    Session,
    User,
)
from users.services.erasure import ERASED_DOMAIN

from .clock import DAY, HOUR, NEVER, Clock
from .mails import Mails
from .names import FAMILY, GIVEN, LOCALES, MAIL_DOMAIN, USER_AGENTS
from .passwords import HASHES
from .people import People
from .prices import Tariff
from .sheets import NULL, Sheets
from .tokens import hexadecimal, uuid4

_HASHES = list(HASHES.values())
_CHANNELS = [Channel.EMAIL.value] * 8 + [Channel.SMS.value, Channel.WEBHOOK.value]
# `purge_expired_tokens` deletes what is older.
_KEPT = 7 * DAY


def email_of(number: int) -> str:
    """The address that a user signed up with."""
    _, given = GIVEN[number % len(GIVEN)]
    _, family = FAMILY[number // 3 % len(FAMILY)]
    return f"{given}.{family}.{number}@{MAIL_DOMAIN}"


class Accounts:
    """Writes everything that belongs to an account."""

    def __init__(
        self, sheets: Sheets, people: People, clock: Clock, tariffs: list[Tariff], mails: Mails, rng: Random
    ) -> None:
        self.people, self.clock, self.tariffs, self.mails, self.rng = people, clock, tariffs, mails, rng
        self.users = sheets.of(User, "id password last_login email is_active is_staff created_at updated_at deleted_at")
        self.profiles = sheets.of(Profile, "id user_id display_name locale preferred_channel created_at updated_at")
        self.addresses = sheets.of(EmailAddress, "id user_id email is_primary verified_at bounced_at created_at")
        link = "nonce token_hash expires_at used_at created_at"
        self.verifications = sheets.of(EmailVerification, f"id {link} email_address_id")
        self.resets = sheets.of(PasswordReset, f"id {link} user_id")
        self.sessions = sheets.of(
            Session,
            "id user_id refresh_token_hash previous_token_hash user_agent ip_address"
            " created_at last_used_at expires_at revoked_at",
        )
        self.attempts = sheets.of(LoginAttempt, "id user_id email ip_address succeeded created_at")
        self.consents = sheets.of(Consent, "id user_id kind granted version created_at")

    def write(self, number: int) -> None:
        """One account."""
        people, at = self.people, self.clock.at
        user_id, signup, gone = people.id(number), people.signup[number], people.gone[number]
        if gone < NEVER:
            self._write_erased(user_id, at(signup), at(gone))
            return
        email = email_of(number)
        last_login = min(signup + int((self.clock.end - signup) * self.rng.random() ** 0.3), self.clock.end - 60)
        password = _HASHES[number % len(_HASHES)] if number % 23 != 9 else f"!{hexadecimal(self.rng, 40)}"
        seen = at(last_login) if last_login > signup + HOUR and number % 23 != 9 else NULL
        self.users.add(
            f"{user_id}\t{password}\t{seen}\t{email}\t{'f' if people.suspended[number] else 't'}\t"
            f"{'t' if people.is_staff(number) else 'f'}\t{at(signup)}\t{at(signup)}\t{NULL}\n"
        )
        locales = LOCALES.get(self.tariffs[people.tariff[number]].code, ("en",))
        channel = people.channel[number] = _CHANNELS[number * 7 // 3 % len(_CHANNELS)]
        self.profiles.add(
            f"{self.profiles.next_id()}\t{user_id}\t{_display_name(number)}\t{locales[number % len(locales)]}\t"
            f"{channel}\t{at(signup)}\t{at(signup)}\n"
        )
        self._write_address(number, user_id, email, signup)
        self._write_resets(number, user_id)
        self._write_sessions(number, user_id, email, last_login)
        self._write_consents(number, user_id, signup)

    def _write_erased(self, user_id: int, signup: str, gone: str) -> None:
        self.users.add(
            f"{user_id}\t!{hexadecimal(self.rng, 40)}\t{NULL}\tdeleted-{user_id}@{ERASED_DOMAIN}\tf\tf\t"
            f"{signup}\t{gone}\t{gone}\n"
        )
        self.profiles.add(f"{self.profiles.next_id()}\t{user_id}\t\ten\t{Channel.EMAIL.value}\t{signup}\t{gone}\n")

    def _write_address(self, number: int, user_id: int, email: str, signup: int) -> None:
        """The address and the link that proves it; one in ten never followed it."""
        at, end = self.clock.at, self.clock.end
        verified = signup + 60 + number % 5 * 3 * HOUR
        is_verified = number % 10 != 3 and verified < end
        bounced = at(min(signup + 3 * HOUR, end - 1)) if number % 97 == 13 else NULL
        address_id = self.addresses.next_id()
        self.addresses.add(
            f"{address_id}\t{user_id}\t{email}\tt\t{at(verified) if is_verified else NULL}\t{bounced}\t{at(signup)}\n"
        )
        if number % 33 == 1:
            self.addresses.add(
                f"{self.addresses.next_id()}\t{user_id}\told.{email}\tf\t{at(signup)}\t{NULL}\t{at(signup)}\n"
            )
        expires = signup + settings.EMAIL_VERIFICATION_HOURS * HOUR
        link = self.verifications.next_id()
        if expires > end - _KEPT:
            self.verifications.add(
                f"{link}\t{uuid4(self.rng)}\t{hexadecimal(self.rng, 64)}\t{at(expires)}\t"
                f"{at(verified) if is_verified else NULL}\t{at(signup)}\t{address_id}\n"
            )
        self.mails.write(signup, "user.signup", number, user_id, link)
        if is_verified:
            self.mails.write(verified, "user.email-verified", number, user_id, address_id)

    def _write_resets(self, number: int, user_id: int) -> None:
        """Forgotten passwords of the last week: used, too late, and still open."""
        begun = self.clock.end - 60 - number % 7 * DAY - number % 50 * 20
        if number % 40 > 1 or begun < self.people.signup[number]:
            return
        at, used = self.clock.at, begun + 500
        self.resets.add(
            f"{self.resets.next_id()}\t{uuid4(self.rng)}\t{hexadecimal(self.rng, 64)}\t"
            f"{at(begun + settings.PASSWORD_RESET_MINUTES * 60)}\t"
            f"{at(used) if number % 3 and used < self.clock.end else NULL}\t{at(begun)}\t{user_id}\n"
        )
        self.mails.write(begun, "user.password-reset", number, user_id, self.resets.last_id)

    def _write_sessions(self, number: int, user_id: int, email: str, last_login: int) -> None:
        """The logins that are not forgotten yet, and the tries of the last week."""
        at, end, rng = self.clock.at, self.clock.end, self.rng
        lifetime = settings.SESSION_LIFETIME_DAYS * DAY
        # From the networks that documentation may use (RFC 5737, RFC 3849).
        address = f"203.0.113.{number % 256}" if number % 6 else f"2001:db8::{number % 65536:x}"
        if last_login + lifetime > end - _KEPT:
            used = last_login + int((end - last_login) * rng.random())
            revoked = at(used) if used > end - _KEPT and number % 9 == 4 else NULL
            previous = hexadecimal(rng, 64) if used > last_login + HOUR else ""
            self.sessions.add(
                f"{self.sessions.next_id()}\t{user_id}\t{hexadecimal(rng, 64)}\t{previous}\t"
                f"{USER_AGENTS[number % len(USER_AGENTS)]}\t{address}\t{at(last_login)}\t{at(used)}\t"
                f"{at(used + lifetime)}\t{revoked}\n"
            )
        if last_login > end - _KEPT:
            if number % 4 == 0:
                self._write_attempt(user_id, email, address, "f", last_login - 20)
            self._write_attempt(user_id, email, address, "t", last_login)
        if number % 200 == 1:
            # Whoever guesses does not know who has an account.
            self._write_attempt(NULL, f"nobody.{number}@{MAIL_DOMAIN}", "198.51.100.7", "f", end - 60 - number % 5000)

    def _write_attempt(self, user_id: int | str, email: str, address: str, succeeded: str, moment: int) -> None:
        self.attempts.add(
            f"{self.attempts.next_id()}\t{user_id}\t{email}\t{address}\t{succeeded}\t{self.clock.at(moment)}\n"
        )

    def _write_consents(self, number: int, user_id: int, signup: int) -> None:
        decisions = [(ConsentKind.TERMS.value, "t", settings.TERMS_VERSION, signup)]
        if number % 3 == 0:
            decisions.append((ConsentKind.MARKETING.value, "t", settings.MARKETING_CONSENT_VERSION, signup))
        if number % 12 == 0:
            changed = signup + (self.clock.end - signup) // 2
            decisions.append((ConsentKind.MARKETING.value, "f", settings.MARKETING_CONSENT_VERSION, changed))
        for kind, granted, version, moment in decisions:
            self.consents.add(
                f"{self.consents.next_id()}\t{user_id}\t{kind}\t{granted}\t{version}\t{self.clock.at(moment)}\n"
            )


def _display_name(number: int) -> str:
    return f"{GIVEN[number % len(GIVEN)][0]} {FAMILY[number // 3 % len(FAMILY)][0]}"
