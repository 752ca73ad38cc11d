-- The second part of what both applications do: customers and their cards, subscriptions, what they can be had for, and much at once.
-- See application.sql.

CREATE FUNCTION application.sign_up(who bigint, word text) RETURNS void LANGUAGE sql AS $$
  INSERT INTO {t}customer (user_id, stripe_customer_id, created_at) VALUES (who, 'cus_' || word, clock_timestamp())
    ON CONFLICT (user_id) DO NOTHING $$;

-- Who never paid is forgotten, and may join again.
CREATE FUNCTION application.leave(who bigint, word text) RETURNS void LANGUAGE sql AS $$
  DELETE FROM {t}customer c WHERE user_id = who AND NOT EXISTS (SELECT FROM {t}payment_method WHERE customer_id = c.id) $$;

-- The first one becomes the default.
CREATE FUNCTION application.add_card(who bigint, word text) RETURNS void LANGUAGE sql AS $$
  INSERT INTO {t}payment_method (customer_id, stripe_payment_method_id, brand, last4, exp_month, exp_year, fingerprint, is_default, created_at)
    SELECT id, 'pm_' || word, 'visa', '4242', 1 + application.dice(word, 12), 2030,
      (ARRAY[application.blank(), md5(word)])[1 + application.dice(word, 2)],
      NOT EXISTS (SELECT FROM {t}payment_method m WHERE m.customer_id = c.id AND is_default), clock_timestamp()
    FROM {t}customer c WHERE user_id = who $$;

-- Another card of the user, if there is one.
CREATE FUNCTION application.another_card(who bigint, word text) RETURNS {t}payment_method LANGUAGE sql AS $$
  SELECT m FROM {t}payment_method m JOIN {t}customer c ON c.id = customer_id WHERE user_id = who AND detached_at IS NULL AND NOT is_default
    ORDER BY hashtext(m.id || word) LIMIT 1 $$;

CREATE FUNCTION application.choose_card(who bigint, word text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  chosen {t}payment_method := application.another_card(who, word);
BEGIN
  UPDATE {t}payment_method SET is_default = false WHERE customer_id = chosen.customer_id AND is_default;
  UPDATE {t}payment_method SET is_default = true WHERE id = chosen.id;
END $$;

-- The default is detached, and the next one takes its place; or a card that nothing needs is taken out for good.
CREATE FUNCTION application.remove_card(who bigint, word text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  next {t}payment_method := application.another_card(who, word);
BEGIN
  IF next.id IS NULL OR EXISTS (SELECT FROM {t}subscription WHERE user_id = who) THEN
    RETURN;
  ELSIF application.dice(word, 2) = 0 THEN
    UPDATE {t}payment_method SET is_default = false, detached_at = clock_timestamp() WHERE customer_id = next.customer_id AND is_default;
    UPDATE {t}payment_method SET is_default = true WHERE id = next.id;
  ELSE
    UPDATE {t}payment SET payment_method_id = NULL WHERE user_id = who AND payment_method_id = next.id;
    DELETE FROM {t}payment_method WHERE id = next.id;
  END IF;
END $$;

-- ---------------------------------------------------------------------------------------------------------- subscriptions

-- An open invoice of a period, and its payment up to the call to Stripe.
CREATE FUNCTION application.bill(s {t}subscription, since timestamptz, until timestamptz, word text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  p {t}plan;
  old {t}subscription;
  price bigint;
  credit bigint := 0;
  discount bigint;
  made {t}invoice;
BEGIN
  SELECT * INTO p FROM {t}plan WHERE id = s.plan_id;
  SELECT * INTO old FROM {t}subscription WHERE id = s.replaces_id AND s.status = 'incomplete';
  price := application.minor(p.amount{m}, p.currency);
  IF old.id IS NOT NULL THEN
    credit := -price / 4;
  END IF;
  discount := coalesce((SELECT price * percent_off / 100 FROM {t}coupon WHERE id = s.coupon_id AND percent_off < 50), 0);
  INSERT INTO {t}invoice (number, user_id, subscription_id, status, currency, subtotal{m}, discount{m}, total{m}, period_start, period_end,
      created_at, updated_at)
    VALUES (application.invoice_number(), s.user_id, s.id, 'open', s.currency, application.money(price + credit, s.currency),
      application.money(discount, s.currency), application.money(price + credit - discount, s.currency), since, until,
      clock_timestamp(), clock_timestamp()) RETURNING * INTO made;
  INSERT INTO {t}invoice_line (invoice_id, plan_id, description, amount{m}, period_start, period_end, proration)
    SELECT made.id, s.plan_id, p.name, p.amount{m}, since, until, false
    UNION ALL SELECT made.id, old.plan_id, 'Unused time', application.money(credit, s.currency), since, until, true WHERE credit < 0;
  PERFORM application.pay_invoice(made, s, word);
END $$;

CREATE FUNCTION application.pay_invoice(i {t}invoice, s {t}subscription, word text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  made bigint := application.begin_payment(s.user_id, s.customer_id, s.payment_method_id, i.total{m}, s.currency, true,
    s.status <> 'incomplete', 'Invoice ' || i.number, 'invoice:' || i.id || ':' || word, application.blank(), 'invoice');
BEGIN
  UPDATE {t}invoice SET payment_id = made, updated_at = clock_timestamp() WHERE id = i.id;
END $$;

CREATE FUNCTION application.subscribe(who bigint, word text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  card {t}payment_method;
  p {t}plan;
  running {t}subscription;
  s {t}subscription;
BEGIN
  SELECT m.* INTO card FROM {t}customer c JOIN {t}payment_method m ON m.customer_id = c.id AND is_default WHERE user_id = who
    FOR NO KEY UPDATE OF c;
  SELECT * INTO p FROM {t}plan WHERE is_active ORDER BY hashtext(id || word) LIMIT 1;
  SELECT * INTO running FROM {t}subscription WHERE user_id = who AND currency = p.currency
    AND status IN ('incomplete', 'past_due', 'active') ORDER BY status DESC LIMIT 1 FOR UPDATE;
  IF card.id IS NULL OR running.plan_id = p.id OR running.status <> 'active' THEN
    RETURN;
  END IF;
  INSERT INTO {t}subscription (user_id, customer_id, plan_id, payment_method_id, coupon_id, replaces_id, currency, status, idempotency_key,
      request_fingerprint, billing_anchor, current_period_start, current_period_end, cancel_at_period_end, next_billing_at,
      failed_attempts, created_at, updated_at)
    VALUES (who, card.customer_id, p.id, card.id,
      (SELECT id FROM {t}coupon WHERE is_active AND percent_off IS NOT NULL AND application.dice(word, 2) = 0
        ORDER BY hashtext(id || word) LIMIT 1),
      running.id, p.currency, 'incomplete', word, application.print_of(word), now(), now(), now() + ('1 ' || p.interval)::interval,
      false, now() + ('1 ' || p.interval)::interval, 0, clock_timestamp(), clock_timestamp()) RETURNING * INTO s;
  PERFORM application.bill(s, s.current_period_start, s.current_period_end, word);
END $$;

-- The job that renews: the next period is billed, or its open invoice asked for again.
CREATE FUNCTION application.renew(who bigint, word text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  s {t}subscription;
  i {t}invoice;
BEGIN
  SELECT * INTO s FROM {t}subscription x WHERE user_id = who AND status IN ('active', 'past_due')
    AND NOT EXISTS (SELECT FROM {t}subscription WHERE replaces_id = x.id AND status = 'incomplete')
    ORDER BY hashtext(id || word) LIMIT 1 FOR UPDATE;
  IF s.cancel_at_period_end THEN
    PERFORM application.end_subscription(s);
    RETURN;
  END IF;
  SELECT * INTO i FROM {t}invoice WHERE subscription_id = s.id AND period_start = s.current_period_end FOR UPDATE;
  IF s.id IS NULL OR i.status <> 'open'
    OR EXISTS (SELECT FROM {t}payment WHERE id = i.payment_id AND status NOT IN ('failed', 'canceled')) THEN
    RETURN;
  END IF;
  UPDATE {t}subscription SET next_billing_at = now() + interval '1 hour', updated_at = clock_timestamp() WHERE id = s.id;
  IF i.id IS NULL THEN
    PERFORM application.bill(s, s.current_period_end, s.current_period_end + interval '1 month', word);
  ELSIF i.total{m} > 0 THEN
    PERFORM application.pay_invoice(i, s, word);
  END IF;
END $$;

CREATE FUNCTION application.cancel(who bigint, word text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  s {t}subscription;
BEGIN
  SELECT * INTO s FROM {t}subscription WHERE user_id = who AND status IN ('incomplete', 'active', 'past_due')
    ORDER BY hashtext(id || word) LIMIT 1 FOR UPDATE;
  IF s.status = 'active' AND application.dice(word, 2) = 0 THEN
    UPDATE {t}subscription SET cancel_at_period_end = true, updated_at = clock_timestamp() WHERE id = s.id;
  ELSE
    PERFORM application.end_subscription(s);
  END IF;
END $$;

CREATE FUNCTION application.end_subscription(s {t}subscription) RETURNS void LANGUAGE sql AS $$
  UPDATE {t}subscription SET status = 'canceled', canceled_at = clock_timestamp(), updated_at = clock_timestamp() WHERE id = s.id;
  UPDATE {t}invoice SET status = 'void', updated_at = clock_timestamp() WHERE subscription_id = s.id AND status = 'open' $$;

-- The payment went through: if it was for an invoice, the subscription runs.
CREATE FUNCTION application.invoice_paid(p {t}payment) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  i {t}invoice;
  s {t}subscription;
BEGIN
  SELECT * INTO i FROM {t}invoice WHERE payment_id = p.id FOR UPDATE;
  SELECT * INTO s FROM {t}subscription WHERE id = i.subscription_id FOR UPDATE;
  IF s.status IN ('incomplete_expired', 'canceled') THEN
    -- It ended meanwhile: the money is given back.
    INSERT INTO {t}refund (payment_id, amount{m}, currency, status, reason, idempotency_key, request_fingerprint, failure_code, created_at,
        updated_at)
      VALUES (p.id, p.amount{m}, p.currency, 'pending', application.blank(), 'unwanted:' || gen_random_uuid(), application.blank(),
        application.blank(), clock_timestamp(), clock_timestamp());
    RETURN;
  ELSIF s.status = 'incomplete' THEN
    UPDATE {t}subscription SET status = 'canceled', canceled_at = clock_timestamp(), updated_at = clock_timestamp()
      WHERE id = s.replaces_id AND status IN ('active', 'past_due');
  END IF;
  UPDATE {t}invoice SET status = 'paid', paid_at = clock_timestamp(), updated_at = clock_timestamp() WHERE id = i.id;
  UPDATE {t}subscription SET status = 'active', failed_attempts = 0, current_period_start = i.period_start,
    current_period_end = i.period_end, next_billing_at = i.period_end, updated_at = clock_timestamp() WHERE id = s.id;
END $$;

CREATE FUNCTION application.invoice_failed(p {t}payment) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  i {t}invoice;
  s {t}subscription;
BEGIN
  SELECT * INTO i FROM {t}invoice WHERE payment_id = p.id FOR UPDATE;
  SELECT * INTO s FROM {t}subscription WHERE id = i.subscription_id FOR UPDATE;
  IF s.status = 'incomplete' THEN
    UPDATE {t}subscription SET status = 'incomplete_expired', updated_at = clock_timestamp() WHERE id = s.id;
    UPDATE {t}invoice SET status = 'void', updated_at = clock_timestamp() WHERE id = i.id;
  ELSIF s.failed_attempts >= 3 AND s.status = 'past_due' THEN
    UPDATE {t}subscription SET status = 'canceled', canceled_at = clock_timestamp(), updated_at = clock_timestamp() WHERE id = s.id;
    UPDATE {t}invoice SET status = 'uncollectible', updated_at = clock_timestamp() WHERE id = i.id;
  ELSIF s.status IN ('active', 'past_due') THEN
    UPDATE {t}subscription SET status = 'past_due', failed_attempts = failed_attempts + 1, next_billing_at = now() + interval '1 day',
      updated_at = clock_timestamp() WHERE id = s.id;
  END IF;
END $$;

-- ------------------------------------------------------------------------------------- what belongs to no user, and much

-- What staff keeps: of each something is added, changed and, where nothing points to it, taken away.
CREATE FUNCTION application.keep_catalogue(who bigint, word text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  day integer := application.dice(word || 'day', 30000);
BEGIN
  IF who % 4 > 1 THEN
    -- One of the callers does it for all.
    RETURN;
  END IF;
  INSERT INTO {t}currency (code, name, {exponent}, is_active)
    VALUES ('{letter}' || chr(65 + day % 26) || chr(65 + day / 26 % 26), word, 2, false) ON CONFLICT (code) DO NOTHING;
  UPDATE {t}currency SET name = word WHERE code = '{base}';
  DELETE FROM {t}currency WHERE id IN (SELECT id FROM {t}currency WHERE code LIKE '{letter}__' AND {own} ORDER BY id DESC OFFSET 3);
  INSERT INTO {t}exchange_rate (base, quote, rate, valid_on, created_at)
    VALUES ('{base}', 'JPY', 150.00000001, '2030-01-01'::date + day, clock_timestamp())
    ON CONFLICT (base, quote, valid_on) DO UPDATE SET rate = {t}exchange_rate.rate + 0.00000001;
  DELETE FROM {t}exchange_rate
    WHERE id IN (SELECT id FROM {t}exchange_rate WHERE base = '{base}' AND valid_on >= '2030-01-01' ORDER BY id DESC OFFSET 3);
  INSERT INTO {t}plan (code, name, amount{m}, currency, interval, is_active, created_at)
    VALUES ('plan-' || word, 'Ünï', application.money(1234, 'USD'), 'USD', 'month', false, clock_timestamp());
  UPDATE {t}plan SET amount{m} = application.money(day + 1, 'USD') WHERE code LIKE 'plan-%' AND {own};
  DELETE FROM {t}plan WHERE id IN (SELECT id FROM {t}plan WHERE code LIKE 'plan-%' AND {own} ORDER BY id DESC OFFSET 3);
  INSERT INTO {t}coupon (code, percent_off, duration, is_active, created_at)
    SELECT 'C-' || word, 10, 'once', true, clock_timestamp() WHERE (SELECT count(*) FROM {t}coupon WHERE {own}) < 12;
  INSERT INTO {t}coupon (code, amount_off{m}, currency, duration, is_active, created_at)
    VALUES ('D-' || word, application.money(day + 1, 'KWD'), 'KWD', 'forever', false, clock_timestamp());
  UPDATE {t}coupon SET max_redemptions = day, valid_until = clock_timestamp() WHERE code LIKE 'C-%' AND {own};
  DELETE FROM {t}coupon WHERE id IN (SELECT id FROM {t}coupon WHERE code LIKE 'D-%' AND {own} ORDER BY id DESC OFFSET 3);
  INSERT INTO {t}fee_schedule (currency, percent_bp, fixed{m}, valid_from, created_at)
    VALUES ('{base}', 300, application.money(30, '{base}'), '2100-01-01Z'::timestamptz + day * interval '1 day', clock_timestamp())
    ON CONFLICT (currency, valid_from) DO UPDATE SET percent_bp = 1 + {t}fee_schedule.percent_bp;
  DELETE FROM {t}fee_schedule
    WHERE id IN (SELECT id FROM {t}fee_schedule WHERE currency = '{base}' AND valid_from > '2100-01-01' ORDER BY id DESC OFFSET 3);
END $$;

CREATE FUNCTION application.large(who bigint, word text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  UPDATE {t}payment SET description = word, updated_at = now()
    WHERE id IN (SELECT id FROM {t}payment WHERE user_id % 4 = who % 4 LIMIT {large});
  WITH made AS (
    INSERT INTO {t}payment (user_id, customer_id, payment_method_id, currency, amount{m}, amount_refunded{m}, status, capture, off_session,
        payout_due, description, idempotency_key, request_fingerprint, failure_code, failure_message, created_at, updated_at)
      SELECT user_id, customer_id, m.id, 'KWD', application.money(n, 'KWD'), 0, 'pending', true, false,
        false, application.blank(), word || '-' || row_number() OVER (), application.print_of(word), application.blank(),
        application.blank(), clock_timestamp(), clock_timestamp()
      FROM {t}customer c JOIN {t}payment_method m ON customer_id = c.id AND is_default, generate_series(1, 10) n
      WHERE user_id % 4 = who % 4 LIMIT {large} / 10 RETURNING id),
    attempt AS (
      INSERT INTO {t}payment_attempt (payment_id, number, operation, stripe_idempotency_key, status, error_code, started_at)
      SELECT id, 1, 'charge', word || '-' || id, 'started', application.blank(), clock_timestamp() FROM made)
  INSERT INTO {t}payment_status_change (payment_id, from_status, to_status, reason, created_at)
    SELECT id, application.blank(), 'pending', 'charge', clock_timestamp() FROM made;
  DELETE FROM {t}stripe_webhook_event WHERE id IN
    (SELECT id FROM {t}stripe_webhook_event WHERE {own} ORDER BY id LIMIT {large} / 10 FOR UPDATE SKIP LOCKED);
  INSERT INTO {t}stripe_webhook_event (stripe_event_id, type, object_id, status, stripe_created_at, created_at)
    SELECT 'evt_' || word || '-' || n, 'charge.updated', 'ch_' || n, 'received', now(), clock_timestamp()
    FROM generate_series(1, {large} / 10) n;
END $$;

-- ------------------------------------------------------------------------------------------------------ for the caller

-- Calls one of the above, and tells what it wrote.
CREATE FUNCTION application.run(what text, OUT inserted bigint, OUT updated bigint, OUT deleted bigint, OUT tables text[])
LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE what;
  -- With the commit, or the next call would be told of these once more.
  PERFORM pg_stat_force_next_flush();
  SELECT coalesce(sum(n_tup_ins), 0), coalesce(sum(n_tup_upd), 0), coalesce(sum(n_tup_del), 0), coalesce(array_agg(relname::text), '{}')
    INTO inserted, updated, deleted, tables
    FROM pg_stat_xact_user_tables WHERE schemaname = 'public' AND starts_with(relname, '{t}') AND relname <> 'outbox'
      AND n_tup_ins + n_tup_upd + n_tup_del > 0;
END $$;
