"""POST /api/users/password-reset and /api/users/password-reset/confirm"""

from django.http import HttpRequest, HttpResponse, JsonResponse

from common.bodies import read_json
from users.services.password_reset import confirm_reset, request_reset

from .fields import password


def password_reset(request: HttpRequest) -> JsonResponse:
    """Ask for a reset link; 202 whether or not the account exists."""
    body = read_json(request)
    email = body.email("email")
    body.done()
    request_reset(email)
    return JsonResponse({"status": "accepted"}, status=202)


def password_reset_confirm(request: HttpRequest) -> HttpResponse:
    """Set a new password with the token of a reset link; 204."""
    body = read_json(request)
    token, secret = body.text("token", max_length=200), password(body)
    body.done()
    confirm_reset(token, secret)
    return HttpResponse(status=204)
