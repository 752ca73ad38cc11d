"""GET and PUT /api/notifications/preferences"""

from __future__ import annotations

from typing import Any

from django.http import JsonResponse

from common.bodies import Body, read_json
from common.problems import Problem
from notifications.models import Category
from notifications.serializers import preferences_json
from notifications.services.preferences import Choice, choices_of, replace_choices
from users.auth import AuthenticatedRequest, authenticated
from users.models import Channel, User


@authenticated
def get_preferences(request: AuthenticatedRequest) -> JsonResponse:
    """What the caller wants to get, for every category."""
    return JsonResponse(preferences_json(choices_of(request.caller.user_id)))


@authenticated
def put_preferences(request: AuthenticatedRequest) -> JsonResponse:
    """Replace the caller's choices; a category that is left out goes back to its default."""
    body = read_json(request)
    choices = _read(body)
    body.done()
    if not User.objects.filter(pk=request.caller.user_id, is_active=True).exists():
        raise Problem(403, "forbidden", "Forbidden", "This account is closed.")
    replace_choices(request.caller.user_id, choices)
    return JsonResponse(preferences_json(choices_of(request.caller.user_id)))


def _read(body: Body) -> dict[str, Choice]:
    body.only("categories")
    entries = body.raw("categories")
    if not isinstance(entries, list):
        body.fail("categories", "must be a list")
        return {}
    choices: dict[str, Choice] = {}
    for index, entry in enumerate(entries):
        where = f"categories[{index}]"
        if not isinstance(entry, dict):
            body.fail(where, "must be an object")
        elif entry.get("category") not in Category.values:
            body.fail(f"{where}.category", "must be one of " + ", ".join(Category.values))
        elif entry["category"] in choices:
            body.fail(f"{where}.category", "is there twice")
        else:
            choices[entry["category"]] = _choice(body, where, entry)
    return choices


def _choice(body: Body, where: str, entry: dict[str, Any]) -> Choice:
    enabled, digest, channel = entry.get("enabled", True), entry.get("digest", False), entry.get("channel")
    if not isinstance(enabled, bool):
        body.fail(f"{where}.enabled", "must be true or false")
    if not isinstance(digest, bool):
        body.fail(f"{where}.digest", "must be true or false")
    if channel is not None and channel not in Channel.values:
        body.fail(f"{where}.channel", "must be null or one of " + ", ".join(Channel.values))
    return Choice(enabled=bool(enabled), channel=channel, digest=bool(digest))
