"""What the database itself guards: entries sum to zero, the ledger only grows, invoices are numbered."""

from django.db import migrations

# Deferred: entries are inserted one by one, and judged together when the transaction commits.
BALANCED = """
CREATE FUNCTION payments_ledger_check_entry() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM payments_ledger_entry
        WHERE transaction_id = NEW.transaction_id
        GROUP BY currency
        HAVING sum(amount) <> 0
    ) THEN
        RAISE EXCEPTION 'ledger transaction % does not sum to zero', NEW.transaction_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'payments_ledger_balanced';
    END IF;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER payments_ledger_balanced
    AFTER INSERT ON payments_ledger_entry
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION payments_ledger_check_entry();

CREATE FUNCTION payments_ledger_check_transaction() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM payments_ledger_entry WHERE transaction_id = NEW.id) THEN
        RAISE EXCEPTION 'ledger transaction % has no entries', NEW.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'payments_ledger_not_empty';
    END IF;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER payments_ledger_not_empty
    AFTER INSERT ON payments_ledger_transaction
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION payments_ledger_check_transaction();
"""
NOT_BALANCED = """
DROP TRIGGER payments_ledger_not_empty ON payments_ledger_transaction;
DROP FUNCTION payments_ledger_check_transaction();
DROP TRIGGER payments_ledger_balanced ON payments_ledger_entry;
DROP FUNCTION payments_ledger_check_entry();
"""

# A mistake is mended by another transaction, never by a change.
IMMUTABLE = """
CREATE FUNCTION payments_ledger_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append only', TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation', CONSTRAINT = 'payments_ledger_append_only';
END $$;

CREATE TRIGGER payments_ledger_append_only
    BEFORE UPDATE OR DELETE ON payments_ledger_entry
    FOR EACH ROW EXECUTE FUNCTION payments_ledger_refuse_change();

CREATE TRIGGER payments_ledger_append_only
    BEFORE UPDATE OR DELETE ON payments_ledger_transaction
    FOR EACH ROW EXECUTE FUNCTION payments_ledger_refuse_change();
"""
NOT_IMMUTABLE = """
DROP TRIGGER payments_ledger_append_only ON payments_ledger_transaction;
DROP TRIGGER payments_ledger_append_only ON payments_ledger_entry;
DROP FUNCTION payments_ledger_refuse_change();
"""

# An entry is in its account's currency.
SAME_CURRENCY = """
ALTER TABLE payments_ledger_account ADD CONSTRAINT payments_ledger_account_currency UNIQUE (id, currency);
ALTER TABLE payments_ledger_entry ADD CONSTRAINT payments_ledger_entry_currency
    FOREIGN KEY (account_id, currency) REFERENCES payments_ledger_account (id, currency) DEFERRABLE INITIALLY DEFERRED;
"""
ANY_CURRENCY = """
ALTER TABLE payments_ledger_entry DROP CONSTRAINT payments_ledger_entry_currency;
ALTER TABLE payments_ledger_account DROP CONSTRAINT payments_ledger_account_currency;
"""


class Migration(migrations.Migration):
    dependencies = [("payments", "0003_domain_tables")]

    operations = [
        migrations.RunSQL(BALANCED, NOT_BALANCED),
        migrations.RunSQL(IMMUTABLE, NOT_IMMUTABLE),
        migrations.RunSQL(SAME_CURRENCY, ANY_CURRENCY),
        migrations.RunSQL(
            "CREATE SEQUENCE payments_invoice_number AS bigint;", "DROP SEQUENCE payments_invoice_number;"
        ),
    ]
