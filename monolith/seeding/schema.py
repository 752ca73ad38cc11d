"""What slows a bulk load down is put away for its time, and put back as it was: foreign keys, indexes, two triggers.

No check is left out: to put a foreign key or a unique constraint back is to check it for all rows at once. It takes the
tables' owner only. All of it is part of the transaction, so a crash leaves the schema as it was.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.backends.utils import CursorWrapper

# Their rules are checked once for all rows, in `checks`.
LEDGER_TRIGGERS = [
    ("payments_ledger_entry", "payments_ledger_balanced"),
    ("payments_ledger_transaction", "payments_ledger_not_empty"),
]

_CONSTRAINTS = """
SELECT conrelid::regclass::text, quote_ident(conname), pg_get_constraintdef(oid), contype = 'f'
FROM pg_constraint
WHERE conrelid = ANY (%s::regclass[]) AND contype IN ('f', 'u')
ORDER BY contype = 'f' DESC, conrelid::regclass::text, conname
"""
_INDEXES = """
SELECT index.indexrelid::regclass::text, pg_get_indexdef(index.indexrelid)
FROM pg_index AS index
LEFT JOIN pg_constraint AS own ON own.conindid = index.indexrelid AND own.contype IN ('p', 'u', 'x')
WHERE index.indrelid = ANY (%s::regclass[]) AND own.oid IS NULL AND NOT index.indisprimary
ORDER BY index.indrelid::regclass::text, index.indexrelid::regclass::text
"""


@dataclass
class PutAway:
    """What has to be put back, in this order: indexes, unique constraints, foreign keys."""

    indexes: list[str]
    constraints: list[str]


def put_away(cursor: CursorWrapper, tables: Iterable[str]) -> PutAway:
    """Drop what slows a load down."""
    wanted = [list(tables)]
    cursor.execute(_CONSTRAINTS, wanted)
    constraints = cursor.fetchall()
    cursor.execute(_INDEXES, wanted)
    indexes = cursor.fetchall()
    # Foreign keys come first: they stand on unique constraints.
    for table, name, _, _ in constraints:
        cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
    for name, _ in indexes:
        cursor.execute(f"DROP INDEX {name}")
    for table, trigger in LEDGER_TRIGGERS:
        cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER {trigger}")
    return PutAway(
        [definition for _, definition in indexes],
        [
            f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}"
            for is_foreign in (False, True)
            for table, name, definition, foreign in constraints
            if foreign == is_foreign
        ],
    )


def put_back(cursor: CursorWrapper, away: PutAway) -> None:
    """Make it all again."""
    for statement in away.indexes + away.constraints:
        cursor.execute(statement)
    for table, trigger in LEDGER_TRIGGERS:
        cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER {trigger}")
