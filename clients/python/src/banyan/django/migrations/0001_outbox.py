"""Creates the outbox from the SQL that every service shares."""

from importlib.resources import files
from typing import Any

from django.db import migrations

REVERSE = """
DROP TABLE outbox;
DROP FUNCTION outbox_set_sequence();
DROP FUNCTION outbox_wake_relay();
DROP SEQUENCE outbox_sequence;
"""


class RunPostgresSQL(migrations.RunSQL):
    """SQL for PostgreSQL; another database of the project (SQLite, say) is passed over."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        """Run the SQL."""
        if schema_editor.connection.vendor == "postgresql":
            super().database_forwards(app_label, schema_editor, from_state, to_state)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        """Run the reverse SQL."""
        if schema_editor.connection.vendor == "postgresql":
            super().database_backwards(app_label, schema_editor, from_state, to_state)


class Migration(migrations.Migration):
    """The outbox table, its indexes and triggers."""

    operations = [  # noqa: RUF012 - Django's own form
        RunPostgresSQL((files("banyan.django") / "sql" / "outbox.v1.sql").read_text("utf-8"), REVERSE),
    ]
