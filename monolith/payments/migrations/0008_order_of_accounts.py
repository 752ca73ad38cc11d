"""Carried entries take the accounts in the order in which our own bookings do.

Within a booking that is the order of the ids; but the booking of a fee follows that of its charge, so it comes to
the account `fees` last, whatever that account's id is. In the order of the ids alone, a charge and the sync waited
for each other, and PostgreSQL ended one of them.
"""

from django.db import migrations

ADD_CARRIED = """
CREATE OR REPLACE FUNCTION payments_ledger_add_carried() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        PERFORM FROM payments_ledger_account
            WHERE id IN (SELECT account_id FROM gone) ORDER BY {order} FOR NO KEY UPDATE;
        UPDATE payments_ledger_account AS account SET balance = balance - moved.amount
            FROM (SELECT account_id, sum(amount) AS amount FROM gone GROUP BY account_id) AS moved
            WHERE account.id = moved.account_id;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        PERFORM FROM payments_ledger_account
            WHERE id IN (SELECT account_id FROM written) ORDER BY {order} FOR NO KEY UPDATE;
        UPDATE payments_ledger_account AS account SET balance = balance + moved.amount
            FROM (SELECT account_id, sum(amount) AS amount FROM written GROUP BY account_id) AS moved
            WHERE account.id = moved.account_id;
    END IF;
    RETURN NULL;
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("payments", "0007_coupon_uses_are_counted")]

    operations = [
        migrations.RunSQL(ADD_CARRIED.format(order="kind = 'fees', id"), ADD_CARRIED.format(order="id")),
    ]
