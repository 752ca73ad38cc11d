"""Celery application: `celery -A monolith worker --beat`."""

import logging
import os
from typing import Any

from celery import Celery
from celery.signals import setup_logging, worker_process_init

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "monolith.settings")

app = Celery("monolith")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@setup_logging.connect
def _keep_django_logging(**_: Any) -> None:
    """Connecting this signal stops Celery from replacing Django's logging configuration."""
    logging.getLogger("celery").setLevel(logging.INFO)


@worker_process_init.connect(weak=False)
def _start_telemetry(**_: Any) -> None:
    """Exporter threads do not survive a fork: each worker process starts its own."""
    from banyan.telemetry import setup

    setup("monolith-worker")
