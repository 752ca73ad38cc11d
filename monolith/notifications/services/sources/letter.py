"""Whom a mail goes to, and what its template sees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from users.models import User


@dataclass(frozen=True)
class Letter:
    """A mail before it is put into words."""

    user: User
    to: str
    context: dict[str, Any] = field(default_factory=dict)


Source = Callable[[int], Letter]
"""Makes a letter of the id of the row that an event is about."""
