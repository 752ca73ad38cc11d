"""Settings of the tests and of the small project that they serve."""

import os
from typing import Any
from urllib.parse import unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

URL = "BANYAN_TEST_POSTGRES_URL"


def _database(name: str) -> dict[str, Any]:
    url = urlsplit(os.environ.get(URL, ""))
    if url.scheme not in {"postgres", "postgresql"} or not url.hostname:
        raise ImproperlyConfigured(
            f"{URL} is not the URL of a PostgreSQL whose role may create databases, "
            f"such as postgresql://admin@127.0.0.1:5432/postgres"
        )
    return {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": url.hostname,
        "PORT": url.port or 5432,
        "USER": unquote(url.username or ""),
        "PASSWORD": unquote(url.password or ""),
        # Served processes get the name of the database that the tests created.
        "NAME": os.environ.get("TESTS_DATABASE") or url.path.lstrip("/") or "postgres",
        "TEST": {"NAME": f"banyan_client_{name}_{os.getpid()}"},
    }


SECRET_KEY = "only for tests"
ALLOWED_HOSTS = ["*"]
DATABASES = {"default": _database("default"), "other": _database("other")}
INSTALLED_APPS = ["banyan.django"]
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]
ROOT_URLCONF = "tests.project"
USE_TZ = True
BANYAN = {
    "SOURCE": "/tests",
    "DOMAINS": {"payments": {"ROLLOUT": "payments", "HAND_OVER": "@new_payments"}},
}
