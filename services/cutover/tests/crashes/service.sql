-- What only the service does so: amounts in minor units, NULL, and no balance. See application.sql.

CREATE SCHEMA application;

CREATE FUNCTION application.money(minor bigint, in_currency text) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$ SELECT minor $$;

CREATE FUNCTION application.minor(worth numeric, in_currency text) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$ SELECT worth::bigint $$;

CREATE FUNCTION application.blank() RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT NULL::text $$;

CREATE FUNCTION application.invoice_number() RETURNS text LANGUAGE sql AS
$$ SELECT 'INV-' || nextval('invoice_number') $$;

CREATE FUNCTION application.keep_balances(gaining bigint, giving bigint, worth numeric) RETURNS void LANGUAGE sql AS $$ SELECT $$;
