"""POST /api/users/token/refresh and /api/users/logout"""

from django.http import HttpRequest, HttpResponse, JsonResponse

from common.bodies import read_json
from users.auth import AuthenticatedRequest, authenticated
from users.serializers import tokens_json
from users.services.sessions import close_session, refresh


def refresh_token(request: HttpRequest) -> JsonResponse:
    """New tokens for a refresh token, which is used up."""
    body = read_json(request)
    token = body.text("refreshToken", max_length=200)
    body.done()
    return JsonResponse(tokens_json(refresh(token)))


@authenticated
def logout(request: AuthenticatedRequest) -> HttpResponse:
    """End the session of the access token."""
    close_session(request.caller.user_id, request.caller.session_id)
    return HttpResponse(status=204)
