"""What users want to get."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import transaction

from notifications.models import Category, Preference
from users.models import User


@dataclass(frozen=True)
class Choice:
    """The choice for one category; the default is everything at once, by the preferred channel."""

    enabled: bool = True
    channel: str | None = None
    digest: bool = False


def choices_of(user_id: int) -> dict[str, Choice]:
    """A user's choice for every category, in the order in which categories are listed."""
    rows = {row.category: row for row in Preference.objects.filter(user_id=user_id)}
    return {
        category: Choice(row.enabled, row.channel, row.digest) if (row := rows.get(category)) else Choice()
        for category in Category.values
    }


def replace_choices(user_id: int, choices: dict[str, Choice]) -> None:
    """Make these a user's choices."""
    with transaction.atomic():
        # The user's row serialises concurrent changes.
        User.objects.select_for_update(no_key=True).get(pk=user_id)
        Preference.objects.filter(user_id=user_id).exclude(category__in=choices).delete()
        for category, choice in choices.items():
            Preference.objects.update_or_create(
                user_id=user_id,
                category=category,
                defaults={"enabled": choice.enabled, "channel": choice.channel, "digest": choice.digest},
            )
