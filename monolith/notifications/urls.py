"""Paths below /api/notifications/."""

from django.urls import path

from common.views import by_method

from .views.notifications import list_notifications
from .views.preferences import get_preferences, put_preferences

urlpatterns = [
    path("", by_method(GET=list_notifications)),
    path("preferences", by_method(GET=get_preferences, PUT=put_preferences)),
]
