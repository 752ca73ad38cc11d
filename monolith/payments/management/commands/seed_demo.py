"""`manage.py seed_demo`: people to try things with."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from payments.models import PaymentMethod
from payments.services.methods import add_method
from users.models import User
from users.services.sessions import Client
from users.services.signup import SignUp, sign_up

PASSWORD = "correct-horse-battery"
PEOPLE = [
    SignUp(email="ada@example.com", password=PASSWORD, display_name="Ada Lovelace"),
    SignUp(email="grace@example.com", password=PASSWORD, display_name="Grace Hopper", locale="de"),
    SignUp(email="staff@example.com", password=PASSWORD, display_name="Barbara Liskov"),
]
STAFF = {"staff@example.com"}


class Command(BaseCommand):
    """Creates what is missing, the way the API does, so that their events are published too."""

    help = "Create three demo users, one of them staff, each with a payment method. Does nothing where they exist."

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the command."""
        for person in PEOPLE:
            user = User.objects.filter(email=person.email).first()
            if user is None:
                user, _ = sign_up(person, Client(ip_address=None, user_agent="seed_demo"))
            if person.email in STAFF and not user.is_staff:
                User.objects.filter(pk=user.pk).update(is_staff=True)
            if not PaymentMethod.objects.filter(customer__user=user).exists():
                add_method(user.pk, "pm_card_visa")
            self.stdout.write(f"{person.email}  password {PASSWORD}  user {user.pk}")
