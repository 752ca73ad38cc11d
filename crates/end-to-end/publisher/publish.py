"""Publishes events the way the monolith does: its settings, its database, `publish_event` inside `transaction.atomic()`.

Every user signs up, then every payment of theirs completes and is refunded: two events of one subject, in that order. A database that
goes away is waited for and the transaction tried again, as a web request's client would. Each committed event is printed as a JSON line
(`{"committed": <count>}`), so that the caller can see how far it is.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "monolith.settings")
django.setup()

from django.db import InterfaceError, OperationalError, connection, transaction  # noqa: E402

from banyan import publish_event  # noqa: E402

COMPLETED_AT = "2026-01-02T03:04:05Z"


def main() -> None:
    """Publishes `--events` events of `--users` users, at most `--rate` a second."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, required=True)
    parser.add_argument("--events", type=int, required=True, help="sign-ups included")
    parser.add_argument("--rate", type=int, required=True, help="events per second, at most")
    arguments = parser.parse_args()

    started = time.monotonic()
    for number, event in enumerate(events(arguments.users, arguments.events), start=1):
        commit(*event)
        print(json.dumps({"committed": number}), flush=True)
        ahead = number / arguments.rate - (time.monotonic() - started)
        if ahead > 0:
            time.sleep(ahead)


def events(users: int, count: int):
    """The events in the order of their commits: (type, subject, data)."""
    for user in range(1, users + 1):
        yield "user.signup", f"user/{user}", sign_up(user)
    for index in range(count - users):
        payment, refund = divmod(index, 2)
        user = payment % users + 1
        if refund:
            yield "payment.refunded", f"payment/{payment + 1}", refunded(payment + 1, user)
        else:
            yield "payment.completed", f"payment/{payment + 1}", completed(payment + 1, user)


def commit(kind: str, subject: str, data: dict) -> None:
    """Commits one event; as long as the database is away, tries again."""
    while True:
        try:
            with transaction.atomic():
                publish_event(kind, data, subject=subject, effect_owner="new")
            return
        except (OperationalError, InterfaceError) as error:
            print(f"database away, trying again: {error}", file=sys.stderr)
            connection.close()
            time.sleep(0.1)


def sign_up(user: int) -> dict:
    """Data of `user.signup`."""
    return {
        "userId": user,
        "email": f"user{user}@example.com",
        "displayName": f"User {user}",
        "locale": "en",
        "preferredChannel": "email",
        "verificationToken": f"token-{user}",
    }


def completed(payment: int, user: int) -> dict:
    """Data of `payment.completed`."""
    return {
        "paymentId": payment,
        "userId": user,
        "amountMinor": 1000 + payment,
        "currency": "USD",
        "paymentMethodId": 1,
        "stripePaymentIntentId": f"pi_{payment}",
        "completedAt": COMPLETED_AT,
    }


def refunded(payment: int, user: int) -> dict:
    """Data of `payment.refunded`."""
    return {
        "paymentId": payment,
        "refundId": payment,
        "userId": user,
        "amountMinor": 1000 + payment,
        "currency": "USD",
        "refundedAt": COMPLETED_AT,
    }


if __name__ == "__main__":
    main()
