"""POST /api/users/signup"""

from django.http import HttpRequest, JsonResponse

from common.bodies import read_json
from users.models import Channel
from users.serializers import account_json
from users.services.signup import SignUp, sign_up

from .fields import address, locale, password
from .requests import client_of


def signup(request: HttpRequest) -> JsonResponse:
    """Open an account; 201 with the user and tokens."""
    body = read_json(request)
    wanted = SignUp(
        email=address(body),
        password=password(body),
        display_name=body.text("displayName", max_length=100),
        locale=locale(body),
        preferred_channel=body.choice("preferredChannel", Channel.values, default=Channel.EMAIL),
    )
    body.done()
    user, tokens = sign_up(wanted, client_of(request))
    return JsonResponse(account_json(user, tokens), status=201)
