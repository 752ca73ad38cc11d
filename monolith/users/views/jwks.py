"""GET /.well-known/jwks.json"""

from django.http import HttpRequest, JsonResponse

from users import jwt


def jwks(_: HttpRequest) -> JsonResponse:
    """The public signing keys."""
    return JsonResponse(jwt.jwks(), headers={"Cache-Control": "public, max-age=300"})
