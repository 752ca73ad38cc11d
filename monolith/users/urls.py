"""Paths below /api/users/."""

from django.urls import path

from common.views import by_method

from .views.login import login
from .views.me import delete_me, get_me, patch_me
from .views.password_reset import password_reset, password_reset_confirm
from .views.sessions import delete_session, list_sessions
from .views.signup import signup
from .views.tokens import logout, refresh_token
from .views.verify_email import verify_email

urlpatterns = [
    path("signup", by_method(POST=signup)),
    path("login", by_method(POST=login)),
    path("logout", by_method(POST=logout)),
    path("token/refresh", by_method(POST=refresh_token)),
    path("me", by_method(GET=get_me, PATCH=patch_me, DELETE=delete_me)),
    path("sessions", by_method(GET=list_sessions)),
    path("sessions/<int:session_id>", by_method(DELETE=delete_session)),
    path("password-reset", by_method(POST=password_reset)),
    path("password-reset/confirm", by_method(POST=password_reset_confirm)),
    path("verify-email", by_method(POST=verify_email)),
]
