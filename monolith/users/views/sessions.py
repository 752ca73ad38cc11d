"""GET /api/users/sessions and DELETE /api/users/sessions/{id}"""

from __future__ import annotations

from django.http import HttpResponse, JsonResponse

from common.pages import page
from common.problems import missing
from users.auth import AuthenticatedRequest, authenticated
from users.serializers import session_json
from users.services.sessions import close_session, open_sessions


@authenticated
def list_sessions(request: AuthenticatedRequest) -> JsonResponse:
    """Where the caller is logged in, newest first."""
    current = request.caller.session_id
    rows = open_sessions(request.caller.user_id)
    return page(request, rows, lambda session: session_json(session, current=session.pk == current))


@authenticated
def delete_session(request: AuthenticatedRequest, session_id: int) -> HttpResponse:
    """Log out elsewhere, or here; 204."""
    if not close_session(request.caller.user_id, session_id):
        raise missing("session")
    return HttpResponse(status=204)
