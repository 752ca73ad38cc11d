"""Paths below /api/users/."""

from django.urls import path

from common.views import by_method

from .views.login import login
from .views.password_reset import password_reset, password_reset_confirm
from .views.signup import signup
from .views.tokens import logout, refresh_token
from .views.verify_email import verify_email

urlpatterns = [
    path("signup", by_method(POST=signup)),
    path("login", by_method(POST=login)),
    path("logout", by_method(POST=logout)),
    path("token/refresh", by_method(POST=refresh_token)),
    path("password-reset", by_method(POST=password_reset)),
    path("password-reset/confirm", by_method(POST=password_reset_confirm)),
    path("verify-email", by_method(POST=verify_email)),
]
