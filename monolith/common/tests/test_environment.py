"""Settings from the environment."""

import json
import logging
import os
import subprocess
import sys

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from monolith.env import Environment
from monolith.logs import JsonFormatter


def failures(read, **values):
    env = Environment(values)
    read(env)
    with pytest.raises(ImproperlyConfigured) as error:
        env.check()
    return str(error.value)


def test_a_word_that_is_none_of_the_choices_is_named():
    message = failures(lambda env: env.choice("PHASE", ("legacy", "new")), PHASE="New")
    assert "PHASE must be one of legacy, new, not 'New'" in message
    assert Environment({}).choice("PHASE", ("legacy", "new")) == "legacy"
    assert Environment({"PHASE": "new"}).choice("PHASE", ("legacy", "new")) == "new"


def test_a_start_without_settings_names_everything_that_is_missing():
    keep = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    run = subprocess.run(
        [sys.executable, "manage.py", "check"], cwd=settings.BASE_DIR, env=keep, capture_output=True, text=True
    )
    assert run.returncode != 0
    for name in (
        "DATABASE_URL",
        "CELERY_BROKER_URL",
        "STRIPE_API_KEY",
        "EMAIL_HOST",
        "JWT_PRIVATE_KEY_FILE",
        "DJANGO_SECRET_KEY",
    ):
        assert f"{name} is not set" in run.stderr


def test_bad_values_are_named_with_the_mend():
    assert "EMAIL_PORT must be a whole number" in failures(lambda e: e.integer("EMAIL_PORT", 25), EMAIL_PORT="x")
    assert "DEBUG must be true or false" in failures(lambda e: e.boolean("DEBUG", False), DEBUG="maybe")
    assert "T must be a number of seconds" in failures(lambda e: e.seconds("T", 1), T="-1")
    assert "cannot be read" in failures(lambda e: e.file("KEY", hint="PEM"), KEY="/nowhere/key.pem")


def test_a_bad_database_url_does_not_show_its_password():
    for url in ("mysql://u:secret@h/d", "postgres://u:secret@h:x/d", "postgres://u:secret@h"):
        message = failures(lambda e: e.database("DATABASE_URL"), DATABASE_URL=url)
        assert "DATABASE_URL must look like" in message
        assert "secret" not in message


def test_a_database_url_may_be_percent_encoded():
    env = Environment({"DATABASE_URL": "postgres://u:p%40ss%2F@127.0.0.1:5433/db?sslmode=disable"})
    assert env.database("DATABASE_URL") == {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "db",
        "USER": "u",
        "PASSWORD": "p@ss/",
        "HOST": "127.0.0.1",
        "PORT": "5433",
        "OPTIONS": {"sslmode": "disable"},
    }


def test_a_log_line_is_one_json_object():
    record = logging.makeLogRecord({"name": "x", "levelname": "INFO", "msg": "a\n%s", "args": ("b",), "payment_id": 7})
    line = JsonFormatter().format(record)
    assert "\n" not in line
    parsed = json.loads(line)
    assert (parsed["message"], parsed["payment_id"], parsed["level"]) == ("a\nb", 7, "INFO")
