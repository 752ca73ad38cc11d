-- What both applications do with these tables, as far as the tables show it: each function is a transaction of monolith/payments/services and
-- of services/payments/src/use_cases. What the two sides call otherwise is filled in (load.rs): `{t}` begins the name of a table, `{m}` ends
-- that of an amount, whose type is `{money}`; `{own}` is true of an id that this side gave.
--
-- `who` is a user whom this side serves, one of the caller's quarter, so that no two callers write the same user's rows. `word` is another
-- one each time, and the dice are thrown with it.

CREATE FUNCTION application.dice(word text, sides integer) RETURNS integer LANGUAGE sql IMMUTABLE AS
$$ SELECT abs(hashtext(word) % sides) $$;

CREATE FUNCTION application.currency_of(word text) RETURNS text LANGUAGE sql IMMUTABLE AS
$$ SELECT (ARRAY['USD', 'EUR', 'JPY', 'KWD'])[1 + application.dice(word || 'currency', 4)] $$;

CREATE FUNCTION application.print_of(word text) RETURNS text LANGUAGE sql IMMUTABLE AS
$$ SELECT encode(sha256(convert_to(word, 'UTF8')), 'hex') $$;

-- ------------------------------------------------------------------------------------------------------------------- the ledger

CREATE FUNCTION application.account(what text, in_currency text, owner bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  account bigint;
BEGIN
  IF what = 'customer' THEN
    SELECT id INTO account FROM {t}ledger_account WHERE customer_id = owner AND currency = in_currency;
  ELSE
    SELECT id INTO account FROM {t}ledger_account WHERE customer_id IS NULL AND kind = what AND currency = in_currency;
  END IF;
  IF account IS NULL THEN
    INSERT INTO {t}ledger_account (kind, currency, customer_id, created_at)
      VALUES (what, in_currency, CASE what WHEN 'customer' THEN owner END, clock_timestamp()) RETURNING id INTO account;
  END IF;
  RETURN account;
END $$;

CREATE FUNCTION application.book(what text, gainer text, giver text, worth {money}, in_currency text, owner bigint,
  of_payment bigint, of_refund bigint = NULL, of_dispute bigint = NULL, of_payout bigint = NULL) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  gaining bigint := application.account(gainer, in_currency, owner);
  giving bigint := application.account(giver, in_currency, owner);
  booked bigint;
BEGIN
  INSERT INTO {t}ledger_transaction (kind, payment_id, refund_id, dispute_id, payout_id, created_at)
    VALUES (what, of_payment, of_refund, of_dispute, of_payout, clock_timestamp()) RETURNING id INTO booked;
  INSERT INTO {t}ledger_entry (transaction_id, account_id, amount{m}, currency, created_at) VALUES
    (booked, gaining, worth, in_currency, clock_timestamp()), (booked, giving, -worth, in_currency, clock_timestamp());
  PERFORM application.keep_balances(gaining, giving, worth);
END $$;

-- ------------------------------------------------------------------------------------------------------------ charges

CREATE FUNCTION application.show_status(payment bigint, before text, after text, why text) RETURNS void LANGUAGE sql AS $$
  INSERT INTO {t}payment_status_change (payment_id, from_status, to_status, reason, created_at)
    SELECT payment, before, after, why, clock_timestamp() WHERE before <> after OR before IS NULL $$;

-- Up to the call to Stripe.
CREATE FUNCTION application.begin_payment(who bigint, owner bigint, card bigint, worth {money}, in_currency text, takes boolean,
  renews boolean, told text, idempotent text, print text, why text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  made bigint;
BEGIN
  INSERT INTO {t}payment (user_id, customer_id, payment_method_id, currency, amount{m}, amount_refunded{m}, status, capture, off_session,
      payout_due, description, idempotency_key, request_fingerprint, failure_code, failure_message, created_at, updated_at)
    VALUES (who, owner, card, in_currency, worth, 0, 'pending', takes, renews,
      false, told, idempotent, print, application.blank(), application.blank(), clock_timestamp(), clock_timestamp())
    RETURNING id INTO made;
  INSERT INTO {t}payment_attempt (payment_id, number, operation, stripe_idempotency_key, status, error_code, started_at)
    VALUES (made, 1, 'charge', 'charge:' || who || ':' || idempotent, 'started', application.blank(), clock_timestamp());
  PERFORM application.show_status(made, application.blank(), 'pending', why);
  RETURN made;
END $$;

CREATE FUNCTION application.charge(who bigint, word text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  owner bigint;
  card bigint;
  told text := (ARRAY[application.blank(), 'Order ' || word, 'ü "quoted" ''\ {x}'])[1 + application.dice(word || 'told', 3)];
BEGIN
  SELECT customer_id, m.id INTO owner, card FROM {t}customer c JOIN {t}payment_method m ON m.customer_id = c.id AND is_default
    WHERE c.user_id = who;
  IF card IS NOT NULL THEN
    PERFORM application.begin_payment(who, owner, card,
      application.money(100 + application.dice(word || 'minor', 99900), application.currency_of(word)), application.currency_of(word),
      application.dice(word || 'holds', 8) > 0, false, told, word, application.print_of(word), 'charge');
  END IF;
END $$;

-- Stripe's answer to one that waits for it: a charge, a capture, or a bank's confirmation.
CREATE FUNCTION application.settle(who bigint, word text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  p {t}payment;
  answer text := (ARRAY['failed', 'canceled', 'requires_action'])[1 + application.dice(word, 12)];
  before text;
  next text;
BEGIN
  SELECT * INTO p FROM {t}payment WHERE user_id = who AND status IN ('pending', 'requires_action', 'requires_capture')
    ORDER BY id DESC LIMIT 1 FOR UPDATE;
  next := CASE
    WHEN p.status = 'requires_capture' THEN CASE WHEN answer IS NULL THEN 'completed' ELSE 'canceled' END
    WHEN answer IS NULL AND NOT p.capture THEN 'requires_capture'
    ELSE coalesce(answer, 'completed') END;
  IF p.id IS NULL OR next = p.status THEN
    RETURN;
  END IF;
  IF p.status = 'requires_capture' THEN
    INSERT INTO {t}payment_attempt (payment_id, number, operation, amount{m}, stripe_idempotency_key, status, error_code,
        started_at, finished_at)
      SELECT p.id, max(number) + 1, CASE next WHEN 'completed' THEN 'capture' ELSE 'cancel' END,
        CASE next WHEN 'completed' THEN p.amount{m} END, next || ':' || p.id, 'succeeded', application.blank(),
        clock_timestamp(), clock_timestamp()
      FROM {t}payment_attempt WHERE payment_id = p.id;
  ELSE
    UPDATE {t}payment_attempt SET status = CASE next WHEN 'failed' THEN 'declined' ELSE 'succeeded' END,
        error_code = CASE next WHEN 'failed' THEN 'card_declined' ELSE error_code END, finished_at = clock_timestamp()
      WHERE payment_id = p.id AND status IN ('started', 'unknown');
  END IF;
  before := p.status;
  UPDATE {t}payment SET status = next, payout_due = (next = 'completed'), updated_at = clock_timestamp(),
      stripe_payment_intent_id = coalesce(stripe_payment_intent_id, 'pi_' || md5(who || word)),
      amount_authorized{m} = CASE next WHEN 'requires_capture' THEN amount{m} ELSE amount_authorized{m} END,
      failure_code = CASE next WHEN 'failed' THEN 'card_declined' ELSE failure_code END,
      failure_message = CASE next WHEN 'failed' THEN 'Your card was declined.' ELSE failure_message END,
      completed_at = CASE next WHEN 'completed' THEN clock_timestamp() END
    WHERE id = p.id RETURNING * INTO p;
  PERFORM application.show_status(p.id, before, next, 'charge');
  IF next = 'completed' THEN
    PERFORM application.book('charge', 'stripe', 'customer', p.amount{m}, p.currency, p.customer_id, p.id);
    PERFORM application.take_fee(p);
    INSERT INTO outbox (id, subject, type, payload)
      VALUES (gen_random_uuid(), 'payment/' || p.id, 'payment.completed', jsonb_build_object('paymentId', p.id));
    PERFORM application.invoice_paid(p);
  ELSIF next IN ('failed', 'canceled') THEN
    PERFORM application.invoice_failed(p);
  END IF;
END $$;

CREATE FUNCTION application.take_fee(p {t}payment) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  schedule {t}fee_schedule;
  worth {money};
BEGIN
  SELECT * INTO schedule FROM {t}fee_schedule WHERE currency = p.currency AND valid_from <= now() ORDER BY valid_from DESC LIMIT 1;
  worth := application.money((application.minor(p.amount{m}, p.currency) * schedule.percent_bp + 5000) / 10000, p.currency)
    + schedule.fixed{m};
  IF worth > 0 THEN
    INSERT INTO {t}fee (payment_id, schedule_id, amount{m}, currency, created_at)
      VALUES (p.id, schedule.id, worth, p.currency, clock_timestamp());
    PERFORM application.book('fee', 'fees', 'stripe', worth, p.currency, p.customer_id, p.id);
  END IF;
END $$;

-- One that did not go through is struck out by support.
CREATE FUNCTION application.strike(who bigint, word text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  struck bigint;
BEGIN
  SELECT p.id INTO struck FROM {t}payment p WHERE p.user_id = who AND p.status IN ('failed', 'canceled')
    AND NOT EXISTS (SELECT FROM {t}invoice WHERE payment_id = p.id) ORDER BY hashtext(p.id || word) LIMIT 1 FOR UPDATE;
  DELETE FROM {t}payment_status_change WHERE payment_id = struck;
  DELETE FROM {t}payment_attempt WHERE payment_id = struck;
  DELETE FROM {t}payment WHERE id = struck;
END $$;

-- --------------------------------------------------------------------------------------------------- refunds and disputes

CREATE FUNCTION application.refund(who bigint, word text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  p {t}payment;
  rest bigint;
BEGIN
  SELECT * INTO p FROM {t}payment WHERE user_id = who AND status IN ('completed', 'partially_refunded')
    ORDER BY hashtext(id || word) LIMIT 1 FOR UPDATE;
  SELECT application.minor(p.amount{m} - p.amount_refunded{m} - coalesce(sum(amount{m}), 0), p.currency) INTO rest
    FROM {t}refund WHERE payment_id = p.id AND status = 'pending';
  IF rest > 0 THEN
    INSERT INTO {t}refund (payment_id, amount{m}, currency, status, reason, idempotency_key, request_fingerprint, failure_code,
        started_at, created_at, updated_at)
      VALUES (p.id, application.money(1 + application.dice(word, 2) * (rest - 1), p.currency), p.currency, 'pending',
        (ARRAY[application.blank(), 'duplicate'])[1 + application.dice(word || 'why', 2)], word, application.print_of(word),
        application.blank(), clock_timestamp(), clock_timestamp(), clock_timestamp());
  END IF;
END $$;

-- What the refunds and disputes make of a payment.
CREATE FUNCTION application.show(p {t}payment, given {money}, is_disputed boolean, why text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  next text := CASE WHEN is_disputed THEN 'disputed' WHEN given = p.amount{m} THEN 'refunded' WHEN given > 0 THEN 'partially_refunded'
    ELSE 'completed' END;
BEGIN
  UPDATE {t}payment SET amount_refunded{m} = given, status = next, payout_due = true, updated_at = clock_timestamp() WHERE id = p.id;
  PERFORM application.show_status(p.id, p.status, next, why);
END $$;

-- Stripe's answer to a refund, or the news that one came back.
CREATE FUNCTION application.settle_refund(who bigint, word text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  r {t}refund;
  p {t}payment;
BEGIN
  SELECT * INTO p FROM {t}payment x WHERE user_id = who
    AND EXISTS (SELECT FROM {t}refund WHERE payment_id = x.id AND status <> 'failed')
    ORDER BY hashtext(id || word) LIMIT 1 FOR UPDATE;
  SELECT * INTO r FROM {t}refund WHERE payment_id = p.id AND status <> 'failed' ORDER BY status, id DESC LIMIT 1 FOR UPDATE;
  IF application.dice(word, 4) = 0 THEN
    UPDATE {t}refund SET status = 'failed', failure_code = 'lost_or_stolen_card', finished_at = clock_timestamp(),
      updated_at = clock_timestamp() WHERE id = r.id;
    IF r.status = 'succeeded' THEN
      PERFORM application.show(p, p.amount_refunded{m} - r.amount{m}, p.status = 'disputed', 'refund');
      PERFORM application.book('refund_failed', 'stripe', 'customer', r.amount{m}, r.currency, p.customer_id, p.id, r.id);
    END IF;
  ELSIF r.status = 'pending' THEN
    UPDATE {t}refund SET status = 'succeeded', stripe_refund_id = coalesce(stripe_refund_id, 're_' || md5(word)),
      completed_at = clock_timestamp(), finished_at = clock_timestamp(), updated_at = clock_timestamp() WHERE id = r.id;
    PERFORM application.show(p, p.amount_refunded{m} + r.amount{m}, p.status = 'disputed', 'refund');
    PERFORM application.book('refund', 'customer', 'stripe', r.amount{m}, r.currency, p.customer_id, p.id, r.id);
  END IF;
END $$;

-- A dispute is opened, or goes one step on.
CREATE FUNCTION application.dispute(who bigint, word text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  p {t}payment;
  d {t}dispute;
BEGIN
  SELECT x.* INTO d FROM {t}dispute x JOIN {t}payment of ON of.id = payment_id
    WHERE user_id = who AND x.status IN ('needs_response', 'under_review') LIMIT 1 FOR UPDATE OF x;
  SELECT * INTO p FROM {t}payment
    WHERE user_id = who AND (id = d.payment_id OR d.id IS NULL AND status IN ('completed', 'partially_refunded'))
    ORDER BY hashtext(id || word) LIMIT 1 FOR UPDATE;
  IF p.id IS NULL THEN
    RETURN;
  ELSIF d.id IS NULL THEN
    INSERT INTO {t}dispute (payment_id, stripe_dispute_id, amount{m}, currency, reason, status, is_withdrawn, due_by, stripe_event_at,
        created_at, updated_at)
      VALUES (p.id, 'dp_' || md5(word), p.amount{m}, p.currency, 'fraudulent', 'needs_response', true, now() + interval '7 days',
        clock_timestamp(), clock_timestamp(), clock_timestamp()) RETURNING * INTO d;
    INSERT INTO {t}dispute_evidence (dispute_id, kind, content, created_at) VALUES
      (d.id, 'receipt', E'Payment\n' || p.id, clock_timestamp()), (d.id, 'uncategorized_text', word, clock_timestamp());
    PERFORM application.book('dispute_opened', 'disputes', 'stripe', d.amount{m}, d.currency, p.customer_id, p.id, NULL, d.id);
    PERFORM application.show(p, p.amount_refunded{m}, true, 'dispute');
  ELSIF d.status = 'needs_response' THEN
    UPDATE {t}dispute_evidence SET submitted_at = clock_timestamp() WHERE dispute_id = d.id AND kind = 'receipt';
    DELETE FROM {t}dispute_evidence WHERE dispute_id = d.id AND kind = 'uncategorized_text';
    UPDATE {t}dispute SET status = 'under_review', stripe_event_at = clock_timestamp(), updated_at = clock_timestamp() WHERE id = d.id;
  ELSIF application.dice(word, 2) = 0 THEN
    UPDATE {t}dispute SET status = 'lost', closed_at = clock_timestamp(), updated_at = clock_timestamp() WHERE id = d.id;
    PERFORM application.book('dispute_lost', 'customer', 'disputes', d.amount{m}, d.currency, p.customer_id, p.id, NULL, d.id);
  ELSE
    UPDATE {t}dispute SET status = 'won', is_withdrawn = false, closed_at = clock_timestamp(), updated_at = clock_timestamp()
      WHERE id = d.id;
    PERFORM application.book('dispute_won', 'stripe', 'disputes', d.amount{m}, d.currency, p.customer_id, p.id, NULL, d.id);
    PERFORM application.show(p, p.amount_refunded{m},
      EXISTS (SELECT FROM {t}dispute WHERE payment_id = p.id AND status NOT IN ('won', 'warning_closed', 'prevented')), 'dispute');
  END IF;
END $$;

-- -------------------------------------------------------------------------------------------- payouts, Stripe's events

-- What payments still add to a payout.
CREATE FUNCTION application.owed(due bigint[]) RETURNS TABLE (payment bigint, worth {money}) LANGUAGE sql AS $$
  SELECT id, (amount{m} - amount_refunded{m} - coalesce((SELECT sum(amount{m}) FROM {t}fee WHERE payment_id = p.id), 0)
    - coalesce((SELECT sum(amount{m}) FROM {t}dispute WHERE payment_id = p.id AND is_withdrawn), 0)
    - coalesce((SELECT sum(amount{m}) FROM {t}payout_item WHERE payment_id = p.id AND NOT is_released), 0))::{money}
  FROM {t}payment p WHERE id = ANY (due) $$;

-- Up to the call to Stripe, of the payments that this side began.
CREATE FUNCTION application.pay_out(who bigint, word text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  due bigint[] := ARRAY(SELECT id FROM {t}payment WHERE payout_due AND currency = application.currency_of(word) AND {own}
    AND user_id % 4 = who % 4 ORDER BY completed_at, id LIMIT 20 FOR NO KEY UPDATE);
  made bigint;
BEGIN
  INSERT INTO {t}payout (currency, amount{m}, payment_count, status, stripe_payout_id, failure_code, started_at, created_at, updated_at)
    SELECT application.currency_of(word), sum(worth), count(*), 'in_transit', 'po_' || word, application.blank(), clock_timestamp(),
      clock_timestamp(), clock_timestamp()
    FROM application.owed(due) WHERE worth <> 0 HAVING sum(worth) > 0 RETURNING id INTO made;
  IF made IS NOT NULL THEN
    INSERT INTO {t}payout_item (payout_id, payment_id, amount{m}, is_released, created_at)
      SELECT made, payment, worth, false, clock_timestamp() FROM application.owed(due) WHERE worth <> 0;
    UPDATE {t}payment SET payout_due = false, updated_at = clock_timestamp() WHERE id = ANY (due);
  END IF;
END $$;

-- The bank's answer to one of the caller's payouts.
CREATE FUNCTION application.settle_payout(who bigint, word text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  paid {t}payout;
BEGIN
  SELECT * INTO paid FROM {t}payout WHERE status = 'in_transit'
    AND starts_with(stripe_payout_id, 'po_' || regexp_replace(word, '[^-]*$', '')) ORDER BY id LIMIT 1 FOR UPDATE;
  IF application.dice(word, 4) > 0 THEN
    UPDATE {t}payout SET status = 'paid', paid_at = clock_timestamp(), updated_at = clock_timestamp() WHERE id = paid.id;
    PERFORM application.book('payout', 'bank', 'stripe', paid.amount{m}, paid.currency, NULL, NULL, NULL, NULL, paid.id)
      WHERE paid.id IS NOT NULL;
  ELSE
    UPDATE {t}payout SET status = 'failed', failure_code = 'account_closed', updated_at = clock_timestamp() WHERE id = paid.id;
    UPDATE {t}payout_item SET is_released = true WHERE payout_id = paid.id;
    UPDATE {t}payment SET payout_due = true, updated_at = clock_timestamp()
      WHERE id IN (SELECT payment_id FROM {t}payout_item WHERE payout_id = paid.id);
  END IF;
END $$;

CREATE FUNCTION application.hear(who bigint, word text) RETURNS void LANGUAGE sql AS $$
  INSERT INTO {t}stripe_webhook_event (stripe_event_id, type, object_id, status, stripe_created_at, created_at)
    SELECT 'evt_' || word || '-' || n, 'charge.updated', (ARRAY[application.blank(), 'ch_' || n])[1 + n % 2], 'received', now(),
      clock_timestamp()
    FROM generate_series(1, 3) n $$;

-- What was heard last is handled, what was heard first is not kept any longer.
CREATE FUNCTION application.handle(who bigint, word text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  UPDATE {t}stripe_webhook_event SET status = 'processed', processed_at = clock_timestamp()
    WHERE id = (SELECT max(id) FROM {t}stripe_webhook_event WHERE {own}) AND status = 'received';
  DELETE FROM {t}stripe_webhook_event
    WHERE id IN (SELECT id FROM {t}stripe_webhook_event WHERE {own} ORDER BY id LIMIT 2 FOR UPDATE SKIP LOCKED);
END $$;
