-- A payment for each number of {numbers}: nine of ten completed, in three currencies of two decimals, one of none and one of three.
INSERT INTO payments_payment (amount, amount_refunded, status, capture, amount_authorized, off_session, payout_due, description,
  idempotency_key, request_fingerprint, stripe_payment_intent_id, failure_code, failure_message, created_at, updated_at, completed_at,
  currency, customer_id, payment_method_id, user_id)
SELECT amount, CASE status WHEN 'refunded' THEN amount ELSE 0 END, status, n % 10 > 0, CASE WHEN n % 10 = 0 THEN amount END,
  n % 7 = 0, false, CASE WHEN n % 3 = 0 THEN '' ELSE 'Order ' || n || ' of the online shop' END,
  md5(n::text)::uuid::text, md5(n::text) || md5((n + 1)::text),
  CASE WHEN status <> 'pending' THEN 'pi_' || left(md5(n::text), 24) END,
  CASE status WHEN 'failed' THEN 'card_declined' ELSE '' END, CASE status WHEN 'failed' THEN 'Your card was declined.' ELSE '' END,
  at, at + interval '2 seconds', CASE WHEN status IN ('completed', 'refunded') THEN at + interval '2 seconds' END,
  currency, 1 + user_number, CASE WHEN n % 50 > 0 THEN 1 + user_number END, 1 + user_number
FROM (SELECT n, 104729::bigint * n % 50000 AS user_number, timestamptz '2024-01-01 00:00:00.123456Z' + n * interval '37.123457 seconds' AS at,
    (ARRAY['USD', 'USD', 'USD', 'EUR', 'EUR', 'GBP', 'JPY', 'KWD'])[1 + n % 8] AS currency,
    CASE n % 8 WHEN 6 THEN 100 + n % 90000 WHEN 7 THEN 1 + n % 90000 / 1000.0 ELSE 1 + n % 90000 / 100.0 END AS amount,
    CASE WHEN n % 97 < 3 THEN 'failed' WHEN n % 97 < 5 THEN 'refunded' WHEN n % 97 < 6 THEN 'canceled' WHEN n % 97 < 7 THEN 'pending'
      ELSE 'completed' END AS status
  FROM {numbers} AS numbers (n)) AS payment
