"""What can happen to a payment, told in steps: which calls were made to Stripe, and how the status changed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from payments.models import AttemptStatus, DisputeStatus, Operation, PaymentStatus, RefundReason, RefundStatus

from .clock import DAY, HOUR

PENDING, ACTION, CAPTURE, COMPLETED, FAILED, CANCELED, REFUNDED, PARTIALLY, DISPUTED = (s.value for s in PaymentStatus)
ASKED = ("", PENDING, "charge", 0)


class Hold(Enum):
    """Whether the money was only reserved at first."""

    NO = 0
    ALL_TAKEN = 1
    PART_TAKEN = 2


class Failure(Enum):
    """Why a payment failed."""

    NONE = 0
    DECLINED = 1
    REFUSED_CARD = 2  # before there was a PaymentIntent
    NOT_PROCESSED = 3


@dataclass(frozen=True)
class Call:
    """A call to Stripe, and how many seconds after the payment it began and ended."""

    operation: str
    status: str
    begun: int
    ended: int | None
    code: str = ""


@dataclass(frozen=True)
class Return:
    """A refund; `percent` of the payment, or 100 for all that is left."""

    percent: int
    after: int
    status: str = RefundStatus.SUCCEEDED.value
    reason: str = RefundReason.REQUESTED_BY_CUSTOMER.value
    fails_after: int | None = None
    """It succeeded, and came back this much later."""
    in_dashboard: bool = False


@dataclass(frozen=True)
class Story:
    """The life of a payment. `weight` is its share in ten thousand one-off payments."""

    name: str
    weight: int
    status: str
    calls: tuple[Call, ...]
    changes: tuple[tuple[str, str, str, int], ...]
    """From, to, reason, and how many seconds after the payment."""
    completed: int | None = None
    hold: Hold = Hold.NO
    failure: Failure = Failure.NONE
    intent: bool = True
    refunds: tuple[Return, ...] = ()
    dispute: str = ""
    age: tuple[int, int] | None = None
    """Only of payments this old when the history ends: what is not decided cannot be older."""

    @property
    def span(self) -> int:
        """How long the story takes."""
        steps = [change[3] for change in self.changes] + [call.ended or 0 for call in self.calls]
        back = [step.after + (step.fails_after or 0) for step in self.refunds]
        return max(steps) + max(back, default=0) + (40 * DAY if self.dispute else 0) + 60


def stripe_charge(ended: int | None = 2, status: str = "succeeded", code: str = "") -> Call:
    """The call that a payment begins with."""
    return Call(Operation.CHARGE.value, AttemptStatus(status).value, 0, ended, code)


def _paid(name: str, weight: int, *refunds: Return, dispute: str = "", age: tuple[int, int] | None = None) -> Story:
    """A payment that went through at once, and what came after."""
    changes = (ASKED, (PENDING, COMPLETED, "charge", 2))
    return Story(name, weight, COMPLETED, (stripe_charge(),), changes, 2, refunds=refunds, dispute=dispute, age=age)


def _later(operation: Operation, after: int, status: str = "succeeded", code: str = "") -> Call:
    return Call(operation.value, AttemptStatus(status).value, after, after + 2, code)


_HELD = (ASKED, (PENDING, CAPTURE, "charge", 2))
_ASKED_BACK = (ASKED, (PENDING, ACTION, "charge", 2))
_LOST = (stripe_charge(20, "unknown", "APIConnectionError"),)
_DUPLICATE, _FRAUD = RefundReason.DUPLICATE.value, RefundReason.FRAUDULENT.value

PAID = _paid("paid", 7900)
DONE = [
    PAID,
    Story(
        "paid after the cardholder confirmed it",
        300,
        COMPLETED,
        (stripe_charge(),),
        (*_ASKED_BACK, (ACTION, COMPLETED, "webhook", 90)),
        90,
    ),
    Story(
        "captured",
        150,
        COMPLETED,
        (stripe_charge(), _later(Operation.CAPTURE, DAY)),
        (*_HELD, (CAPTURE, COMPLETED, "capture", DAY + 2)),
        DAY + 2,
        Hold.ALL_TAKEN,
    ),
    Story(
        "captured in part",
        80,
        COMPLETED,
        (stripe_charge(), _later(Operation.CAPTURE, 2 * HOUR)),
        (*_HELD, (CAPTURE, COMPLETED, "capture", 2 * HOUR + 2)),
        2 * HOUR + 2,
        Hold.PART_TAKEN,
    ),
    Story(
        "paid, the answer was lost",
        50,
        COMPLETED,
        (*_LOST, Call(Operation.CHARGE.value, AttemptStatus.SUCCEEDED.value, 60, 62)),
        (ASKED, (PENDING, COMPLETED, "reconcile", 62)),
        62,
    ),
    Story(
        "paid, though it had failed for us",
        20,
        COMPLETED,
        (stripe_charge(status="declined", code="processing_error"),),
        (ASKED, (PENDING, FAILED, "charge", 2), (FAILED, COMPLETED, "webhook", 300)),
        300,
    ),
    Story(
        "declined",
        600,
        FAILED,
        (stripe_charge(status="declined"),),
        (ASKED, (PENDING, FAILED, "charge", 2)),
        failure=Failure.DECLINED,
    ),
    Story(
        "card refused",
        40,
        FAILED,
        (stripe_charge(status="declined"),),
        (ASKED, (PENDING, FAILED, "charge", 2)),
        failure=Failure.REFUSED_CARD,
        intent=False,
    ),
    Story(
        "not processed",
        10,
        FAILED,
        _LOST,
        (ASKED, (PENDING, FAILED, "reconcile", 25 * HOUR + 60)),
        failure=Failure.NOT_PROCESSED,
        intent=False,
    ),
    Story(
        "held and let go",
        100,
        CANCELED,
        (stripe_charge(), _later(Operation.CANCEL, 2 * DAY)),
        (*_HELD, (CAPTURE, CANCELED, "cancel", 2 * DAY + 2)),
        hold=Hold.ALL_TAKEN,
    ),
    Story(
        "not confirmed",
        80,
        CANCELED,
        (stripe_charge(), _later(Operation.CANCEL, HOUR)),
        (*_ASKED_BACK, (ACTION, CANCELED, "cancel", HOUR + 2)),
    ),
    _paid("given back", 150, Return(100, 3 * DAY)),
    _paid("given back in two parts", 40, Return(40, 2 * DAY), Return(100, 9 * DAY)),
    _paid("given back in part", 180, Return(25, 4 * DAY)),
    _paid("charged twice", 50, Return(100, 600, reason=_DUPLICATE)),
    _paid("fraud", 30, Return(100, DAY, reason=_FRAUD)),
    _paid("refund refused", 20, Return(100, 5 * DAY, RefundStatus.FAILED.value, "")),
    _paid("refund came back", 20, Return(100, 5 * DAY, fails_after=6 * DAY)),
    _paid("given back in the dashboard", 20, Return(30, 7 * DAY, reason="", in_dashboard=True)),
    _paid("dispute lost", 40, dispute=DisputeStatus.LOST.value),
    _paid("dispute won", 40, dispute=DisputeStatus.WON.value),
    _paid("dispute won after a refund", 10, Return(50, 2 * DAY), dispute=DisputeStatus.WON.value),
    _paid("inquiry closed", 15, dispute=DisputeStatus.WARNING_CLOSED.value),
    _paid("dispute prevented", 15, dispute=DisputeStatus.PREVENTED.value),
]

# Not decided when the history ends.
OPEN = [
    Story("asked a moment ago", 0, PENDING, (stripe_charge(None, "started"),), (ASKED,), intent=False, age=(5, 20)),
    Story("answer lost", 0, PENDING, _LOST, (ASKED,), intent=False, age=(5 * 60, 20 * HOUR)),
    Story("to be confirmed", 0, ACTION, (stripe_charge(),), _ASKED_BACK, age=(5 * 60, 20 * HOUR)),
    Story("held", 0, CAPTURE, (stripe_charge(),), _HELD, hold=Hold.ALL_TAKEN, age=(HOUR, 6 * DAY)),
    Story(
        "capture lost",
        0,
        CAPTURE,
        (stripe_charge(), _later(Operation.CAPTURE, HOUR, "unknown", "APIConnectionError")),
        _HELD,
        hold=Hold.ALL_TAKEN,
        age=(2 * HOUR, 6 * DAY),
    ),
    _paid("refund asked for", 0, Return(50, HOUR, RefundStatus.PENDING.value), age=(2 * HOUR, 20 * HOUR)),
    _paid("disputed", 0, dispute=DisputeStatus.NEEDS_RESPONSE.value, age=(12 * DAY, 16 * DAY)),
    _paid("dispute answered", 0, dispute=DisputeStatus.UNDER_REVIEW.value, age=(17 * DAY, 29 * DAY)),
    _paid("inquiry", 0, dispute=DisputeStatus.WARNING_NEEDS_RESPONSE.value, age=(12 * DAY, 16 * DAY)),
    _paid("inquiry answered", 0, dispute=DisputeStatus.WARNING_UNDER_REVIEW.value, age=(17 * DAY, 29 * DAY)),
]


def deck() -> list[Story]:
    """As many of each finished story as its weight says, to draw from."""
    return [story for story in DONE for _ in range(story.weight // 5)]
