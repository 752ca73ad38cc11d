# Generated from crates/events by `cargo xtask generate`; do not edit.
"""The domain events: a `TypedDict` per type for type checkers, and `EVENTS`, which `publish_event` checks data by."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal, NotRequired, TypedDict
from uuid import UUID

from banyan._fields import EventType, Field

__all__ = ["EVENTS", "EventName", "MigrationAlert", "MigrationPhaseChanged", "NotificationDelivered", "NotificationFailed", "PaymentCompleted", "PaymentDisputed", "PaymentFailed", "PaymentRefunded", "PayoutPaid", "ReportExportReady", "SubscriptionRenewed", "UserDeleted", "UserEmailVerified", "UserPasswordReset", "UserProfileUpdated", "UserSignup"]


class PaymentCompleted(TypedDict):
    """Money has been taken."""

    amountMinor: int
    """Amount in minor units of `currency`."""

    completedAt: datetime | str
    """When it happened, UTC."""

    currency: str
    """ISO 4217 code, upper case."""

    paymentId: int
    """Id of the payment."""

    paymentMethodId: NotRequired[int | None]
    """The payment method used; absent once it was erased."""

    stripePaymentIntentId: str
    """Stripe's id of the PaymentIntent."""

    userId: int
    """Id of the user."""


class PaymentFailed(TypedDict):
    """A charge was declined for good."""

    amountMinor: int
    """Amount in minor units of `currency`."""

    currency: str
    """ISO 4217 code, upper case."""

    failedAt: datetime | str
    """When it happened, UTC."""

    failureCode: str
    """Stripe's decline code."""

    failureMessage: str
    """What the user may be told."""

    paymentId: int
    """Id of the payment."""

    userId: int
    """Id of the user."""


class PaymentRefunded(TypedDict):
    """Money, or part of it, has been given back."""

    amountMinor: int
    """Amount in minor units of `currency`."""

    currency: str
    """ISO 4217 code, upper case."""

    paymentId: int
    """Id of the payment."""

    refundId: int
    """Id of the refund."""

    refundedAt: datetime | str
    """When it happened, UTC."""

    userId: int
    """Id of the user."""


class PaymentDisputed(TypedDict):
    """The cardholder disputes a payment."""

    amountMinor: int
    """Amount in minor units of `currency`."""

    currency: str
    """ISO 4217 code, upper case."""

    disputeId: int
    """Id of the dispute."""

    dueBy: NotRequired[datetime | str | None]
    """When evidence is due, if the bank says so."""

    paymentId: int
    """Id of the payment."""

    reason: str
    """Why, in words."""

    userId: int
    """Id of the user."""


class PayoutPaid(TypedDict):
    """A payout reached the bank."""

    amountMinor: int
    """Amount in minor units of `currency`."""

    currency: str
    """ISO 4217 code, upper case."""

    paidAt: datetime | str
    """When it happened, UTC."""

    paymentCount: int
    """Payments in the payout."""

    payoutId: int
    """Id of the payout."""


class SubscriptionRenewed(TypedDict):
    """A subscription was renewed and paid."""

    paymentId: int
    """Id of the payment."""

    periodEnd: datetime | str
    """End of the paid period."""

    periodStart: datetime | str
    """Start of the paid period."""

    planId: int
    """Id of the plan."""

    subscriptionId: int
    """Id of the subscription."""

    userId: int
    """Id of the user."""


class UserSignup(TypedDict):
    """An account was created."""

    displayName: str
    """Name to greet the user by. Personal data: never logged."""

    email: str
    """E-mail address. Personal data: never logged."""

    locale: str
    """BCP 47 language tag."""

    preferredChannel: Literal["email", "sms", "webhook"]
    """Channel the user asked for."""

    userId: int
    """Id of the user."""

    verificationToken: str
    """Single-use token of the verification link. A secret: never logged."""


class UserPasswordReset(TypedDict):
    """A password reset was asked for."""

    email: str
    """E-mail address. Personal data: never logged."""

    expiresAt: datetime | str
    """When the link stops working, UTC."""

    resetToken: str
    """Single-use token of the reset link. A secret: never logged."""

    userId: int
    """Id of the user."""


class UserEmailVerified(TypedDict):
    """An e-mail address was proven."""

    email: str
    """E-mail address. Personal data: never logged."""

    userId: int
    """Id of the user."""

    verifiedAt: datetime | str
    """When it happened, UTC."""


class UserProfileUpdated(TypedDict):
    """Profile fields changed; a field that did not change is absent."""

    displayName: NotRequired[str | None]
    """Name to greet the user by. Personal data: never logged."""

    email: NotRequired[str | None]
    """E-mail address. Personal data: never logged."""

    locale: NotRequired[str | None]
    """BCP 47 language tag."""

    preferredChannel: NotRequired[Literal["email", "sms", "webhook"] | None]
    """Channel the user asked for."""

    userId: int
    """Id of the user."""


class UserDeleted(TypedDict):
    """An account was erased."""

    deletedAt: datetime | str
    """When it happened, UTC."""

    userId: int
    """Id of the user."""


class NotificationDelivered(TypedDict):
    """A notification was accepted by its channel."""

    channel: Literal["email", "sms", "webhook"]
    """Channel used."""

    deliveredAt: datetime | str
    """When it happened, UTC."""

    eventId: UUID | str
    """The event that caused the notification."""

    notificationId: int
    """Id of the notification."""

    template: str
    """Name of the template."""

    userId: int
    """Id of the user."""


class NotificationFailed(TypedDict):
    """A notification was given up."""

    attempts: int
    """Tries made."""

    channel: Literal["email", "sms", "webhook"]
    """Channel used."""

    eventId: UUID | str
    """The event that caused the notification."""

    notificationId: int
    """Id of the notification."""

    reason: str
    """Why, in words."""

    template: str
    """Name of the template."""

    userId: int
    """Id of the user."""


class ReportExportReady(TypedDict):
    """An export can be downloaded."""

    bytes: int
    """Size of the file in bytes."""

    exportId: int
    """Id of the export."""

    rows: int
    """Rows in the file."""

    userId: int
    """Id of the user."""


MigrationPhaseChanged = TypedDict(
    "MigrationPhaseChanged",
    {
        # Who moved it.
        "actor": "str",
        # The domain.
        "domain": "str",
        # Phase before.
        "from": "str",
        # Share of users on the new side, in basis points (1/100 %).
        "percent": "int",
        # Why, in words.
        "reason": "str",
        # Phase after.
        "to": "str",
    },
)
"""A domain moved to another phase or share."""


class MigrationAlert(TypedDict):
    """Validation found the two databases apart."""

    message: str
    """What differs, in words; no personal data."""

    mismatchRate: str
    """Mismatches divided by sample size, as exact decimal text (`0.0050`)."""

    mismatches: int
    """Rows that differ."""

    runId: UUID | str
    """The validation run."""

    sampleSize: int
    """Rows compared."""

    service: str
    """The service whose data differ."""


EventName = Literal[
    "payment.completed",
    "payment.failed",
    "payment.refunded",
    "payment.disputed",
    "payout.paid",
    "subscription.renewed",
    "user.signup",
    "user.password-reset",
    "user.email-verified",
    "user.profile-updated",
    "user.deleted",
    "notification.delivered",
    "notification.failed",
    "report.export-ready",
    "migration.phase-changed",
    "migration.alert",
]
"""The name of an event type."""

EVENTS: Final[dict[str, EventType]] = {
    "payment.completed": EventType(
        name="payment.completed",
        major=1,
        fields={
            "amountMinor": Field("integer"),
            "completedAt": Field("time"),
            "currency": Field("text", pattern=r"^[A-Z]{3}$"),
            "paymentId": Field("integer"),
            "paymentMethodId": Field("integer", required=False),
            "stripePaymentIntentId": Field("text"),
            "userId": Field("integer"),
        },
    ),
    "payment.failed": EventType(
        name="payment.failed",
        major=1,
        fields={
            "amountMinor": Field("integer"),
            "currency": Field("text", pattern=r"^[A-Z]{3}$"),
            "failedAt": Field("time"),
            "failureCode": Field("text"),
            "failureMessage": Field("text"),
            "paymentId": Field("integer"),
            "userId": Field("integer"),
        },
    ),
    "payment.refunded": EventType(
        name="payment.refunded",
        major=1,
        fields={
            "amountMinor": Field("integer"),
            "currency": Field("text", pattern=r"^[A-Z]{3}$"),
            "paymentId": Field("integer"),
            "refundId": Field("integer"),
            "refundedAt": Field("time"),
            "userId": Field("integer"),
        },
    ),
    "payment.disputed": EventType(
        name="payment.disputed",
        major=1,
        fields={
            "amountMinor": Field("integer"),
            "currency": Field("text", pattern=r"^[A-Z]{3}$"),
            "disputeId": Field("integer"),
            "dueBy": Field("time", required=False),
            "paymentId": Field("integer"),
            "reason": Field("text"),
            "userId": Field("integer"),
        },
    ),
    "payout.paid": EventType(
        name="payout.paid",
        major=1,
        fields={
            "amountMinor": Field("integer"),
            "currency": Field("text", pattern=r"^[A-Z]{3}$"),
            "paidAt": Field("time"),
            "paymentCount": Field("integer"),
            "payoutId": Field("integer"),
        },
    ),
    "subscription.renewed": EventType(
        name="subscription.renewed",
        major=1,
        fields={
            "paymentId": Field("integer"),
            "periodEnd": Field("time"),
            "periodStart": Field("time"),
            "planId": Field("integer"),
            "subscriptionId": Field("integer"),
            "userId": Field("integer"),
        },
    ),
    "user.signup": EventType(
        name="user.signup",
        major=1,
        fields={
            "displayName": Field("text"),
            "email": Field("text"),
            "locale": Field("text"),
            "preferredChannel": Field("text", values=("email", "sms", "webhook",)),
            "userId": Field("integer"),
            "verificationToken": Field("text"),
        },
    ),
    "user.password-reset": EventType(
        name="user.password-reset",
        major=1,
        fields={
            "email": Field("text"),
            "expiresAt": Field("time"),
            "resetToken": Field("text"),
            "userId": Field("integer"),
        },
    ),
    "user.email-verified": EventType(
        name="user.email-verified",
        major=1,
        fields={
            "email": Field("text"),
            "userId": Field("integer"),
            "verifiedAt": Field("time"),
        },
    ),
    "user.profile-updated": EventType(
        name="user.profile-updated",
        major=1,
        fields={
            "displayName": Field("text", required=False),
            "email": Field("text", required=False),
            "locale": Field("text", required=False),
            "preferredChannel": Field("text", values=("email", "sms", "webhook",), required=False),
            "userId": Field("integer"),
        },
    ),
    "user.deleted": EventType(
        name="user.deleted",
        major=1,
        fields={
            "deletedAt": Field("time"),
            "userId": Field("integer"),
        },
    ),
    "notification.delivered": EventType(
        name="notification.delivered",
        major=1,
        fields={
            "channel": Field("text", values=("email", "sms", "webhook",)),
            "deliveredAt": Field("time"),
            "eventId": Field("uuid"),
            "notificationId": Field("integer"),
            "template": Field("text"),
            "userId": Field("integer"),
        },
    ),
    "notification.failed": EventType(
        name="notification.failed",
        major=1,
        fields={
            "attempts": Field("integer", bits=32),
            "channel": Field("text", values=("email", "sms", "webhook",)),
            "eventId": Field("uuid"),
            "notificationId": Field("integer"),
            "reason": Field("text"),
            "template": Field("text"),
            "userId": Field("integer"),
        },
    ),
    "report.export-ready": EventType(
        name="report.export-ready",
        major=1,
        fields={
            "bytes": Field("integer"),
            "exportId": Field("integer"),
            "rows": Field("integer"),
            "userId": Field("integer"),
        },
    ),
    "migration.phase-changed": EventType(
        name="migration.phase-changed",
        major=1,
        fields={
            "actor": Field("text"),
            "domain": Field("text"),
            "from": Field("text"),
            "percent": Field("integer", bits=32),
            "reason": Field("text"),
            "to": Field("text"),
        },
    ),
    "migration.alert": EventType(
        name="migration.alert",
        major=1,
        fields={
            "message": Field("text"),
            "mismatchRate": Field("text", pattern=r"^[0-9]+(\.[0-9]+)?$"),
            "mismatches": Field("integer"),
            "runId": Field("uuid"),
            "sampleSize": Field("integer"),
            "service": Field("text"),
        },
    ),
}
"""Every event type by its name."""
