"""Which of the two sides of a migration acts for a user: this one, or the service.

A domain that moves by user is served by two systems with a database each, kept in step with a lag. Each database says
for whom its own side acts. A view asks before it does anything (`moving`), and each transaction that begins something
asks again and holds the answer until it ends (`hold`). What has begun here goes on to its end here, whoever serves
the user by then.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import wraps
from typing import Any, NoReturn

from django.db import DatabaseError, ProgrammingError, connections, transaction
from django.http import HttpRequest, HttpResponse, JsonResponse

from banyan import _settings
from banyan.cohort import position
from banyan.errors import OwnershipMissing

PATIENCE_SECONDS = 5.0
"""How long a request waits for its user to settle."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.002, 0.05
_LOOK = "SELECT ownership_look(%s, 'legacy', %s, %s)"
_HOLD = "SELECT ownership_hold(%s, 'legacy', %s, %s)"
_UNDEFINED_FUNCTION = "42883"

View = Callable[..., HttpResponse]


class NotOurs(Exception):
    """The other side acts for the user: 421, and the gateway hands the request over to the service."""

    status = 421

    def __init__(self, domain: str) -> None:
        """Look up where the gateway goes on."""
        super().__init__(f"the service serves this user's {domain} now")
        self.headers = {"X-Accel-Redirect": _settings.domain(domain)["HAND_OVER"]}
        self.slug, self.title = "misdirected", "Misdirected request"
        self.detail = "Another system serves this user now. Send the request again."


class Settling(NotOurs):
    """The user is about to be served here, once what the service wrote has come over: 503."""

    status = 503

    def __init__(self, domain: str) -> None:
        """Remember that it passes."""
        Exception.__init__(self, f"the user's {domain} is being moved")
        self.headers = {"Retry-After": "1"}
        self.slug, self.title = "unavailable", "Service unavailable"
        self.detail = "This user is being moved. Nothing was done; send the request again."


def hold(domain: str, user_id: int, *, using: str | None = None) -> None:
    """Make sure that this side acts for the user until the transaction ends.

    To be called in each transaction that begins something of the domain's, before it writes.

    Raises:
        NotOurs: the service acts for the user, or the user is being moved; the transaction rolls back.
        TransactionManagementError: no transaction is open.

    """
    alias = using or _settings.database()
    if not connections[alias].in_atomic_block:
        raise transaction.TransactionManagementError(
            f"hold({domain!r}) outside a transaction on database {alias!r}: it would hold nothing"
        )
    try:
        _ask(_HOLD, domain, user_id, alias)
    except DatabaseError as error:
        _raise_from(domain, error)


def await_ours(domain: str, user_id: int, *, using: str | None = None) -> None:
    """Make sure that this side acts for the user, and wait until it does where it is about to.

    Nothing keeps it from changing after that: enough for a read, and before work that ends in `hold`.

    Raises:
        NotOurs: the service acts for the user, or the user took longer than `PATIENCE_SECONDS` to settle.

    """
    alias = using or _settings.database()
    until, pause = time.monotonic() + PATIENCE_SECONDS, _FIRST_PAUSE
    while (answer := _ask(_LOOK, domain, user_id, alias)) == "settling" and time.monotonic() < until:
        time.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)
    if answer == "settling":
        raise Settling(domain)
    if answer == "theirs":
        raise NotOurs(domain)


def moving(domain: str, *, user: Callable[[Any], int]) -> Callable[[View], View]:
    """Serve a view's users only while this side acts for them in the domain; others are handed over.

    Args:
        domain: As in `BANYAN["DOMAINS"]`.
        user: Tells the id of the user who sent the request.

    """

    def decorate(view: View) -> View:
        @wraps(view)
        def served(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            try:
                # The service reads here what has not come over to it.
                if request.headers.get("X-Migration-Fallback") != "1":
                    await_ours(domain, user(request))
                return view(request, *args, **kwargs)
            except NotOurs as error:
                # Whoever still sends the body when the connection ends may lose the answer.
                request.read()
                return problem(error)

        return served

    return decorate


def problem(error: NotOurs) -> HttpResponse:
    """Return the answer, as RFC 9457 has it."""
    body = {
        "type": f"urn:banyan:problem:{error.slug}",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
    }
    return JsonResponse(body, status=error.status, headers=error.headers, content_type="application/problem+json")


def _raise_from(domain: str, error: DatabaseError) -> NoReturn:
    sqlstate = getattr(error.__cause__, "sqlstate", None)
    if sqlstate == "BN421":
        raise NotOurs(domain) from error
    if sqlstate == "BN503":
        raise Settling(domain) from error
    raise error


def _ask(sql: str, domain: str, user_id: int, alias: str) -> Any:
    rollout = _settings.domain(domain)["ROLLOUT"]
    try:
        with connections[alias].cursor() as cursor:
            cursor.execute(sql, [domain, user_id, position(rollout, user_id)])
            return cursor.fetchone()[0]
    except ProgrammingError as error:
        if getattr(error.__cause__, "sqlstate", None) == _UNDEFINED_FUNCTION:
            raise OwnershipMissing(
                f"database {alias!r} does not say who acts for whom: add 'banyan.django' to INSTALLED_APPS and run "
                f"`manage.py migrate banyan --database {alias}`"
            ) from error
        raise


__all__ = ["NotOurs", "Settling", "await_ours", "hold", "moving", "problem"]
