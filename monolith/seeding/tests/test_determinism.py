"""The same arguments give the same data, in another database and another process too."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from django.conf import settings

from seeding.run import domain_models

from .company import PAYMENTS, USERS

SERVER = os.environ["BANYAN_TEST_POSTGRES_URL"]


def url_of(database: str) -> str:
    return urlunsplit(urlsplit(SERVER)._replace(path=f"/{database}"))


def manage(database: str, *arguments: str) -> None:
    env = {
        **os.environ,
        "BANYAN_TEST_POSTGRES_URL": url_of(database),
        "DJANGO_SETTINGS_MODULE": "monolith.settings_test",
    }
    # Each process orders its sets in its own way.
    env.pop("PYTHONHASHSEED", None)
    subprocess.run(
        [sys.executable, "manage.py", *arguments], cwd=settings.BASE_DIR, env=env, check=True, capture_output=True
    )


@pytest.fixture
def databases() -> Iterator[list[str]]:
    """Two databases that were migrated one after the other, and a third one."""
    names = [f"seeding_{os.getpid()}_{place}" for place in range(3)]
    with psycopg.connect(SERVER, autocommit=True) as server:
        for name in names:
            server.execute(f"CREATE DATABASE {name}")
        yield names
        for name in names:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def contents(database: str) -> dict[str, str]:
    found = {}
    with psycopg.connect(url_of(database)) as db:
        for model in domain_models():
            rows = db.execute(f"SELECT t::text FROM {model._meta.db_table} AS t ORDER BY id").fetchall()
            found[model._meta.db_table] = hashlib.md5("\n".join(row for (row,) in rows).encode()).hexdigest()
        numbers = db.execute("SELECT sequencename::text, last_value FROM pg_sequences ORDER BY 1").fetchall()
        found |= {name: str(value) for name, value in numbers if not name.startswith(("django_", "auth_"))}
    return found


def test_two_seeds_are_the_same_byte_for_byte(databases):
    for database in databases:
        manage(database, "migrate")
        number = 1 if database != databases[2] else 2
        manage(database, "seed", f"--users={USERS}", f"--payments={PAYMENTS}", f"--seed={number}")
    first, second, other = (contents(database) for database in databases)
    assert first == second
    assert first["payments_payment"] != other["payments_payment"]
