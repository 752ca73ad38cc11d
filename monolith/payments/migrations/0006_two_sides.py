"""What the ledger needs while another system books as well, and a sync carries the entries.

A sync writes as a replica, under which the ledger's other triggers sleep: what they judge was judged
where it was booked. The balance of an account, though, is this side's own sum, so entries that are
carried are added to it here.
"""

import django.db.models.deletion
from django.db import migrations, models
from django.db.models import Q

# Unique indexes that a reversal, which may be about the same refund, has no part in.
ONCE = {
    "refund": "payments_ledger_refund_once",
    "dispute": "payments_ledger_dispute_once",
    "payout": "payments_ledger_payout_once",
}
KINDS = [
    "charge",
    "fee",
    "refund",
    "refund_failed",
    "dispute_opened",
    "dispute_won",
    "dispute_lost",
    "payout",
    "payout_failed",
    "reversal",
]

# One for each kind of the house and currency. Made on both sides at once they would be two.
HOUSE_ACCOUNTS = """
INSERT INTO payments_ledger_account (kind, currency, balance, created_at)
SELECT kind, code, 0, now()
FROM payments_currency AS currency, unnest(ARRAY['stripe', 'bank', 'disputes', 'fees']) AS kind
WHERE NOT EXISTS (
    SELECT FROM payments_ledger_account AS account
    WHERE account.kind = kind AND account.currency = code AND account.customer_id IS NULL
)
ORDER BY currency.id, kind
"""

# An account that comes after its entries takes up what is there.
CARRIED = """
CREATE FUNCTION payments_ledger_add_carried() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- In the order of the ids, as the bookings do it.
    IF TG_OP <> 'INSERT' THEN
        PERFORM FROM payments_ledger_account
            WHERE id IN (SELECT account_id FROM gone) ORDER BY id FOR NO KEY UPDATE;
        UPDATE payments_ledger_account AS account SET balance = balance - moved.amount
            FROM (SELECT account_id, sum(amount) AS amount FROM gone GROUP BY account_id) AS moved
            WHERE account.id = moved.account_id;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        PERFORM FROM payments_ledger_account
            WHERE id IN (SELECT account_id FROM written) ORDER BY id FOR NO KEY UPDATE;
        UPDATE payments_ledger_account AS account SET balance = balance + moved.amount
            FROM (SELECT account_id, sum(amount) AS amount FROM written GROUP BY account_id) AS moved
            WHERE account.id = moved.account_id;
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION payments_ledger_sum_carried() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE payments_ledger_account
        SET balance = (SELECT coalesce(sum(amount), 0) FROM payments_ledger_entry WHERE account_id = NEW.id)
        WHERE id = NEW.id;
    RETURN NULL;
END $$;

CREATE TRIGGER payments_ledger_carried_insert AFTER INSERT ON payments_ledger_entry
    REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION payments_ledger_add_carried();
CREATE TRIGGER payments_ledger_carried_update AFTER UPDATE ON payments_ledger_entry
    REFERENCING OLD TABLE AS gone NEW TABLE AS written
    FOR EACH STATEMENT EXECUTE FUNCTION payments_ledger_add_carried();
CREATE TRIGGER payments_ledger_carried_delete AFTER DELETE ON payments_ledger_entry
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION payments_ledger_add_carried();
CREATE TRIGGER payments_ledger_carried_account AFTER INSERT ON payments_ledger_account
    FOR EACH ROW EXECUTE FUNCTION payments_ledger_sum_carried();

ALTER TABLE payments_ledger_entry
    ENABLE REPLICA TRIGGER payments_ledger_carried_insert,
    ENABLE REPLICA TRIGGER payments_ledger_carried_update,
    ENABLE REPLICA TRIGGER payments_ledger_carried_delete;
ALTER TABLE payments_ledger_account ENABLE REPLICA TRIGGER payments_ledger_carried_account;
"""
NOT_CARRIED = """
DROP TRIGGER payments_ledger_carried_account ON payments_ledger_account;
DROP TRIGGER payments_ledger_carried_delete ON payments_ledger_entry;
DROP TRIGGER payments_ledger_carried_update ON payments_ledger_entry;
DROP TRIGGER payments_ledger_carried_insert ON payments_ledger_entry;
DROP FUNCTION payments_ledger_sum_carried();
DROP FUNCTION payments_ledger_add_carried();
"""


class Migration(migrations.Migration):
    dependencies = [("payments", "0005_price_list")]

    operations = [
        migrations.AlterField(
            model_name="ledgeraccount",
            name="balance",
            field=models.DecimalField(db_default=0, decimal_places=3, default=0, max_digits=18),
        ),
        migrations.AlterField(
            model_name="ledgertransaction",
            name="kind",
            field=models.CharField(choices=[(kind, kind.replace("_", " ").title()) for kind in KINDS], max_length=20),
        ),
        migrations.AddField(
            model_name="ledgertransaction",
            name="reverses",
            field=models.OneToOneField(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="reversed_by",
                to="payments.ledgertransaction",
            ),
        ),
        migrations.RemoveConstraint("ledgertransaction", "payments_ledger_transaction_kind"),
        migrations.AddConstraint(
            "ledgertransaction",
            models.CheckConstraint(condition=Q(kind__in=KINDS), name="payments_ledger_transaction_kind"),
        ),
        migrations.AddConstraint(
            "ledgertransaction",
            models.CheckConstraint(
                condition=Q(kind="reversal", reverses__isnull=False) | (~Q(kind="reversal") & Q(reverses=None)),
                name="payments_ledger_transaction_reverses",
            ),
        ),
        *(
            operation
            for what, name in ONCE.items()
            for operation in (
                migrations.RemoveConstraint("ledgertransaction", name),
                migrations.AddConstraint(
                    "ledgertransaction",
                    models.UniqueConstraint(
                        fields=[what, "kind"],
                        condition=Q(**{f"{what}__isnull": False}) & ~Q(kind="reversal"),
                        name=name,
                    ),
                ),
            )
        ),
        migrations.RunSQL(CARRIED, NOT_CARRIED),
        # Last: a table whose new rows still wait for their foreign keys' checks cannot be altered.
        migrations.RunSQL(HOUSE_ACCOUNTS, migrations.RunSQL.noop),
    ]
