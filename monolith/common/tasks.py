"""Starting Celery tasks from requests."""

from __future__ import annotations

import logging
from typing import Any

from celery import current_app
from kombu.exceptions import OperationalError

logger = logging.getLogger(__name__)


def start_task(name: str, *args: Any) -> None:
    """Start a task, to be called once the caller's transaction has committed.

    A broker that is away is no reason to fail a request: what is to be done stands in a row, and the
    task's periodic run finds it.
    """
    try:
        current_app.send_task(name, args=list(args))
    except (OperationalError, OSError):
        logger.warning("task not started, the broker is away", extra={"task": name})
