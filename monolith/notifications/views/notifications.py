"""GET /api/notifications/"""

from __future__ import annotations

from django.http import JsonResponse

from common.pages import page
from notifications.models import NotificationLog
from notifications.serializers import notification_json
from users.auth import AuthenticatedRequest, authenticated


@authenticated
def list_notifications(request: AuthenticatedRequest) -> JsonResponse:
    """The caller's notifications, newest first."""
    return page(request, NotificationLog.objects.filter(user_id=request.caller.user_id), notification_json)
