"""A small Django project, served by gunicorn and worked for by Celery in the telemetry tests."""

import os
from datetime import UTC, datetime

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

from banyan.telemetry import setup

if os.environ.get("TESTS_SETUP") == "import":
    setup("tests")

from celery import Celery
from celery.signals import worker_process_init
from django.db import transaction
from django.http import HttpRequest, JsonResponse
from django.urls import path

from banyan import publish_event

celery = Celery("tests")
celery.conf.task_ignore_result = True
if folder := os.environ.get("TESTS_BROKER"):
    celery.conf.broker_url = "filesystem://"
    celery.conf.broker_transport_options = {
        "data_folder_in": folder,
        "data_folder_out": folder,
        "control_folder": folder,
    }


@worker_process_init.connect(weak=False)
def _in_worker_process(**_):
    if os.environ.get("TESTS_SETUP") == "fork":
        setup("tests")


def delete_user(user_id):
    with transaction.atomic():
        publish_event("user.deleted", {"userId": user_id, "deletedAt": datetime.now(UTC)}, subject=f"user/{user_id}")


@celery.task(name="delete_user")
def delete_user_later(user_id):
    delete_user(user_id)


def delete(request: HttpRequest, user_id: int) -> JsonResponse:
    delete_user(user_id)
    return JsonResponse({"pid": os.getpid()})


def delete_later(request: HttpRequest, user_id: int) -> JsonResponse:
    delete_user_later.delay(user_id)
    return JsonResponse({"pid": os.getpid()})


def healthz(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"pid": os.getpid()})


urlpatterns = [
    path("users/<int:user_id>/delete", delete),
    path("users/<int:user_id>/delete-later", delete_later),
    path("healthz", healthz),
]
