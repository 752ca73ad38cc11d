"""Fixtures: a clean outbox, the committed contracts, an OTLP collector."""

import json
import socket
from pathlib import Path

import pytest
from django.db import connections

CONTRACTS = Path(__file__).resolve().parents[3] / "crates"


@pytest.fixture
def outbox(transactional_db):
    """The rows of the outbox, read at each call; empty at first. Transactions are real."""

    def rows(using="default"):
        with connections[using].cursor() as cursor:
            cursor.execute("SELECT id, subject, type, payload, headers, sequence FROM outbox ORDER BY sequence")
            names = [column.name for column in cursor.description]
            # Django reads jsonb as text.
            return [
                dict(zip(names, row, strict=True)) | {"payload": json.loads(row[3]), "headers": json.loads(row[4])}
                for row in cursor.fetchall()
            ]

    with connections["default"].cursor() as cursor:
        cursor.execute("TRUNCATE outbox")
    return rows


def fixtures():
    """The committed envelopes by event type."""
    envelopes = (json.loads(path.read_text("utf-8")) for path in (CONTRACTS / "events/fixtures").glob("*.json"))
    return {envelope["type"]: envelope for envelope in envelopes}


def schema(name):
    """A committed JSON Schema."""
    return json.loads((CONTRACTS / "events/schemas" / f"{name}.json").read_text("utf-8"))


@pytest.fixture
def unused_port():
    """A port that nobody listens on while the test runs."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # Bound and not listening: a connection is refused.
        yield held.getsockname()[1]
