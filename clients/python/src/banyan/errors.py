"""What `publish_event` raises. No text quotes a value: it may be an address or a token."""

from django.db import DatabaseError
from django.db.transaction import TransactionManagementError


class InvalidEvent(ValueError):
    """The event is not what its type says; `field` names the place and `reason` what is wrong with it."""

    def __init__(self, type: str, field: str, reason: str) -> None:
        """Remember which field of which event type does not fit."""
        super().__init__(f"{type}: `{field}` {reason}")
        self.type = type
        self.field = field
        self.reason = reason


class OutsideTransaction(TransactionManagementError):
    """An event was published with no transaction open: it could commit without the state it tells of."""


class OutboxMissing(DatabaseError):
    """The database has no outbox table."""


class OwnershipMissing(DatabaseError):
    """The database has no ownership rules."""
