"""gunicorn's configuration where each worker turns tracing on."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")


def post_fork(server, worker):
    from banyan.telemetry import setup

    setup("tests")
