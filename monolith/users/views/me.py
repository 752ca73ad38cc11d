"""GET, PATCH and DELETE /api/users/me"""

from __future__ import annotations

from django.http import HttpResponse, JsonResponse

from common.bodies import Body, read_json
from common.problems import missing
from users.auth import AuthenticatedRequest, authenticated
from users.models import Channel, User
from users.serializers import user_json
from users.services.erasure import erase
from users.services.profile import Changes, change, confirm_password

from .fields import address, locale, password
from .requests import client_of

_FIELDS = ("displayName", "locale", "preferredChannel", "email", "marketingConsent")


@authenticated
def get_me(request: AuthenticatedRequest) -> JsonResponse:
    """The caller."""
    return JsonResponse(user_json(_caller(request)))


@authenticated
def patch_me(request: AuthenticatedRequest) -> JsonResponse:
    """Change what was sent, leave the rest."""
    body = read_json(request)
    changes = _read(body)
    # What is sent is well-formed, also where nothing needs it.
    sent = "email" in body or body.raw("currentPassword") is not None
    secret = password(body, "currentPassword") if sent else ""
    body.done()
    user = _caller(request)
    if changes.email is not None:
        confirm_password(user, secret, client_of(request))
    return JsonResponse(user_json(change(user.pk, changes)))


@authenticated
def delete_me(request: AuthenticatedRequest) -> HttpResponse:
    """Erase the caller's account; 204."""
    body = read_json(request)
    secret = password(body)
    body.done()
    user = _caller(request)
    confirm_password(user, secret, client_of(request))
    erase(user.pk)
    return HttpResponse(status=204)


def _caller(request: AuthenticatedRequest) -> User:
    user = User.objects.select_related("profile").filter(pk=request.caller.user_id).first()
    if user is None:
        raise missing("user")
    return user


def _read(body: Body) -> Changes:
    body.not_null(*_FIELDS, "currentPassword")
    sent = {name for name in _FIELDS if body.raw(name) is not None}
    return Changes(
        display_name=body.text("displayName", max_length=100) if "displayName" in sent else None,
        locale=locale(body) if "locale" in sent else None,
        preferred_channel=body.choice("preferredChannel", Channel.values, default=Channel.EMAIL)
        if "preferredChannel" in sent
        else None,
        email=address(body) if "email" in sent else None,
        marketing_consent=body.boolean("marketingConsent", default=False) if "marketingConsent" in sent else None,
    )
