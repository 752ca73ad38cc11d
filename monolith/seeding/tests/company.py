"""A small company, and what the tests look at of it."""

import hashlib
import json
from io import StringIO
from typing import Any

from django.core.management import call_command
from django.db import connection

from seeding.run import domain_models

USERS, PAYMENTS = 60, 400


def seed(users: int = USERS, payments: int = PAYMENTS, **options: Any) -> dict[str, Any]:
    """Run the command; its summary."""
    out = StringIO()
    call_command("seed", users=users, payments=payments, json=True, stdout=out, stderr=StringIO(), **options)
    return json.loads(out.getvalue())


def query(sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters or None)
        return cursor.fetchall()


def checksums() -> dict[str, str]:
    """Of every row of every table of the domains, in the order of their ids."""
    found = {}
    for model in domain_models():
        table = model._meta.db_table
        rows = query(f"SELECT t::text FROM {table} AS t ORDER BY id")
        found[table] = hashlib.md5("\n".join(row for (row,) in rows).encode()).hexdigest()
    return found


def schema() -> list[tuple[Any, ...]]:
    """Every constraint, index and trigger of the database, as PostgreSQL describes it."""
    return query(
        """
        SELECT 'constraint', conrelid::regclass::text, conname::text, pg_get_constraintdef(oid), convalidated::text
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace
        UNION ALL
        SELECT 'index', tablename, indexname, indexdef, '' FROM pg_indexes WHERE schemaname = 'public'
        UNION ALL
        SELECT 'trigger', tgrelid::regclass::text, tgname, pg_get_triggerdef(oid), tgenabled::text
        FROM pg_trigger WHERE NOT tgisinternal
        ORDER BY 1, 2, 3
        """
    )
