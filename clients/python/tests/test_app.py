"""The Django app: migration and checks."""

from importlib.resources import files

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState

from banyan.django.checks import check_settings
from tests.conftest import CONTRACTS


def objects():
    with connection.cursor() as cursor:
        cursor.execute("SELECT relname FROM pg_class WHERE relname LIKE 'outbox%'")
        names = {name for (name,) in cursor.fetchall()}
        cursor.execute("SELECT proname FROM pg_proc WHERE proname LIKE 'outbox%'")
        return names | {name for (name,) in cursor.fetchall()}


def test_the_packaged_sql_is_the_services_sql():
    packaged = (files("banyan.django") / "sql" / "outbox.v1.sql").read_text("utf-8")
    assert packaged == (CONTRACTS / "messaging/sql/outbox.v1.sql").read_text("utf-8")


@pytest.mark.django_db(transaction=True)
def test_the_migration_goes_back_and_forth():
    before = objects()
    assert {"outbox", "outbox_unpublished", "outbox_sequence", "outbox_set_sequence"} <= before
    call_command("migrate", "banyan", "zero", verbosity=0)
    assert objects() == set()
    call_command("migrate", "banyan", verbosity=0)
    assert objects() == before


@pytest.mark.django_db
def test_there_is_no_migration_to_make():
    loader = MigrationLoader(connection)
    changes = MigrationAutodetector(loader.project_state(), ProjectState()).changes(graph=loader.graph)
    assert "banyan" not in changes


def test_right_settings_pass(settings):
    assert check_settings() == []
    del settings.BANYAN
    assert check_settings() == []


@pytest.mark.parametrize(
    ("options", "id", "message"),
    [
        (["SOURCE"], "banyan.E001", "must be a dictionary"),
        ({"ROLLOUT_FILE": "x"}, "banyan.E002", "unknown key 'ROLLOUT_FILE'"),
        ({"DATABASE": "elsewhere"}, "banyan.E003", "'elsewhere', which is not in DATABASES"),
    ],
)
def test_wrong_settings_are_told(settings, options, id, message):
    settings.BANYAN = options
    (error,) = check_settings()
    assert error.id == id
    assert message in error.msg


def test_a_database_that_is_not_postgresql_is_told(settings, monkeypatch):
    monkeypatch.setattr("banyan.django.checks.connections", {"default": type("Sqlite", (), {"vendor": "sqlite"})})
    (error,) = check_settings()
    assert error.id == "banyan.E004"
