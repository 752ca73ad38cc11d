-- What only the monolith does so: amounts in major units, empty texts, a balance on each account. See application.sql.

CREATE SCHEMA application;

CREATE FUNCTION application.money(minor bigint, in_currency text) RETURNS numeric LANGUAGE sql STABLE AS
$$ SELECT minor / 10::numeric ^ decimals FROM payments_currency WHERE code = in_currency $$;

CREATE FUNCTION application.minor(worth numeric, in_currency text) RETURNS bigint LANGUAGE sql STABLE AS
$$ SELECT (worth * 10::numeric ^ decimals)::bigint FROM payments_currency WHERE code = in_currency $$;

CREATE FUNCTION application.blank() RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT '' $$;

CREATE FUNCTION application.invoice_number() RETURNS text LANGUAGE sql AS
$$ SELECT 'INV-' || lpad(nextval('payments_invoice_number')::text, 8, '0') $$;

-- In the order of the ids, as in payments/services/ledger.py.
CREATE FUNCTION application.keep_balances(gaining bigint, giving bigint, worth numeric) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF gaining < giving THEN
    UPDATE payments_ledger_account SET balance = balance + worth WHERE id = gaining;
  END IF;
  UPDATE payments_ledger_account SET balance = balance - worth WHERE id = giving;
  IF gaining > giving THEN
    UPDATE payments_ledger_account SET balance = balance + worth WHERE id = gaining;
  END IF;
END $$;
