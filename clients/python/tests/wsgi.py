"""The WSGI entry point, as a Django project has it."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

if os.environ.get("TESTS_SETUP") == "import":
    from banyan.telemetry import setup

    setup("tests")

from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()
