"""POST /api/users/login"""

from django.http import HttpRequest, JsonResponse

from common.bodies import read_json
from users.serializers import account_json
from users.services.login import log_in

from .fields import password
from .requests import client_of


def login(request: HttpRequest) -> JsonResponse:
    """Open a session; 200 with the user and tokens."""
    body = read_json(request)
    email, secret = body.email("email"), password(body)
    body.done()
    user, tokens = log_in(email, secret, client_of(request))
    return JsonResponse(account_json(user, tokens))
