"""POST /api/users/verify-email"""

from django.http import HttpRequest, HttpResponse

from common.bodies import read_json
from users.services.email_verification import verify_email as verify


def verify_email(request: HttpRequest) -> HttpResponse:
    """Prove an address with the token of the mailed link; 204."""
    body = read_json(request)
    token = body.text("token", max_length=200)
    body.done()
    verify(token)
    return HttpResponse(status=204)
