"""Every path of the monolith."""

from django.urls import include, path

from common.views import bad_request, not_found, server_error
from monolith.health import healthz, readyz
from users.views.jwks import jwks

urlpatterns = [
    path("healthz", healthz),
    path("readyz", readyz),
    path(".well-known/jwks.json", jwks),
    path("api/users/", include("users.urls")),
    path("api/payments/", include("payments.urls")),
    path("api/notifications/", include("notifications.urls")),
    path("api/reports/", include("reporting.urls")),
]

handler400 = bad_request
handler404 = not_found
handler500 = server_error
