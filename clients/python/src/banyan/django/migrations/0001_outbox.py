"""Creates the outbox from the SQL that every service shares."""

from importlib.resources import files

from django.db import migrations

from ._sql import RunPostgresSQL

REVERSE = """
DROP TABLE outbox;
DROP FUNCTION outbox_set_sequence();
DROP FUNCTION outbox_wake_relay();
DROP SEQUENCE outbox_sequence;
"""


class Migration(migrations.Migration):
    """The outbox table, its indexes and triggers."""

    operations = [  # noqa: RUF012 - Django's own form
        RunPostgresSQL((files("banyan.django") / "sql" / "outbox.v1.sql").read_text("utf-8"), REVERSE),
    ]
