"""Creates the ownership rules from the SQL that every service shares."""

from importlib.resources import files

from django.db import migrations

from ._sql import RunPostgresSQL

REVERSE = """
DROP FUNCTION ownership_settle(text, bigint);
DROP FUNCTION ownership_decide(text, bigint, integer, bigint[], bigint[]);
DROP FUNCTION ownership_hold(text, text, bigint, integer);
DROP FUNCTION ownership_lock_key(text);
DROP FUNCTION ownership_look(text, text, bigint, integer);
DROP FUNCTION ownership_side(ownership_rule, bigint, integer);
DROP TABLE ownership_rule;
"""


class Migration(migrations.Migration):
    """The table of rules, and the functions that read and write it."""

    dependencies = [("banyan", "0001_outbox")]  # noqa: RUF012 - Django's own form
    operations = [  # noqa: RUF012 - Django's own form
        RunPostgresSQL((files("banyan.django") / "sql" / "ownership.v1.sql").read_text("utf-8"), REVERSE),
    ]
