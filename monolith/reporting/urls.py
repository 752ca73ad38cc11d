"""Paths below /api/reports/."""

from django.urls import path

from common.views import by_method

from .views.exports import get_export, post_export
from .views.revenue import get_revenue
from .views.users import get_users

urlpatterns = [
    path("revenue", by_method(GET=get_revenue)),
    path("users", by_method(GET=get_users)),
    path("exports", by_method(POST=post_export)),
    path("exports/<int:export_id>", by_method(GET=get_export)),
]
