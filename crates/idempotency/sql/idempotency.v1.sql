-- Idempotency keys, version 1. This file is the one source: crates/idempotency/sql/idempotency.v1.sql.
-- The copies in migrations/ are written by `cargo xtask generate`.
--
-- One row per key that a client sent with an operation: who works on it now, how far the work came, and the answer.
-- The functions are for statements that do more at once, such as claiming the key and writing what the request makes:
--
--   WITH claim AS MATERIALIZED (SELECT * FROM idempotency_claim($1, $2, $3, $4, $5, $6, $7)),
--        made AS (INSERT INTO thing (...) SELECT ... FROM claim WHERE claim_outcome = 'first' RETURNING ...)
--   SELECT claim.*, made.* FROM claim LEFT JOIN made ON true
--
-- PostgreSQL runs a CTE that only selects when something reads it and not otherwise, so the statement must read what
-- the function returns. The functions look at the row as it is now and not as it was when the statement began (a volatile
-- PL/pgSQL function has a snapshot per statement), which is what lets the loser of a race see the winner's row without a
-- second round trip. Isolation level READ COMMITTED; under a higher one the loser gets a serialization failure.
--
-- A call costs the server 20 to 40 µs more than the bare statement. idempotency_finish is a single UPDATE, which a
-- statement that counts them may write out as a CTE of its own.

CREATE TABLE idempotency_key (
  id uuid PRIMARY KEY,                         -- UUIDv7
  scope text NOT NULL,                         -- the operation, and the thing it is about where keys are per thing
  owner text NOT NULL,                         -- the id of the user who sent it
  key text NOT NULL,                           -- the Idempotency-Key
  fingerprint bytea NOT NULL,                  -- SHA-256 of the request in canonical form
  fence bigint NOT NULL DEFAULT 1,             -- grows with each claim; who holds an older one may change nothing more
  recovery_point text NOT NULL DEFAULT 'started', -- how far the work came; the next claimer goes on from there
  locked_until timestamptz,                    -- end of the lease; NULL when nobody works on it
  response_status smallint,
  response_headers jsonb,                      -- {"content-type": "...", "location": "..."}
  response_body bytea,
  created_at timestamptz NOT NULL,
  finished_at timestamptz,
  expires_at timestamptz NOT NULL,             -- from then on the key is free again, and the row may be deleted
  CONSTRAINT idempotency_key_once UNIQUE (scope, owner, key),
  CONSTRAINT idempotency_key_length CHECK (octet_length(key) BETWEEN 1 AND 255),
  CONSTRAINT idempotency_key_fingerprint_is_sha256 CHECK (octet_length(fingerprint) = 32),
  CONSTRAINT idempotency_key_status_is_http CHECK (response_status BETWEEN 100 AND 599),
  CONSTRAINT idempotency_key_finished_has_answer CHECK (
    (finished_at IS NULL) = (response_status IS NULL)
    AND (response_status IS NULL) = (response_headers IS NULL)
    AND (response_status IS NULL) = (response_body IS NULL)),
  CONSTRAINT idempotency_key_finished_is_free CHECK (finished_at IS NULL OR locked_until IS NULL)
)
-- Each row is updated once soon after it was written and deleted later: vacuum by count.
WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

CREATE INDEX idempotency_key_expires_at ON idempotency_key (expires_at);

-- Claims the key. claim_outcome is
--   first        nobody used the key: the caller holds it now and does the work
--   taken_over   its holder gave it up or let its lease run out: the caller holds it and goes on from claim_point
--   replayed     the work is done: answer_* is the answer
--   in_progress  another holds it
--   mismatch     it was used with another request
-- With the first two, claim_id and claim_fence are what the other functions ask for.
CREATE FUNCTION idempotency_claim(
  p_id uuid, p_scope text, p_owner text, p_key text, p_fingerprint bytea, p_lease_ms bigint, p_retention_ms bigint,
  OUT claim_outcome text, OUT claim_id uuid, OUT claim_fence bigint, OUT claim_point text,
  OUT answer_status smallint, OUT answer_headers jsonb, OUT answer_body bytea
) LANGUAGE plpgsql AS $$
DECLARE
  held idempotency_key;
  -- Not now(): the claim may have waited for another transaction, and its lease begins when it is granted.
  moment timestamptz;
BEGIN
  LOOP
    -- Looks before it inserts: an INSERT would wait for the holder's transaction where one is open.
    SELECT * INTO held FROM idempotency_key
    WHERE scope = p_scope AND owner = p_owner AND key = p_key;
    IF NOT FOUND THEN
      moment := clock_timestamp();
      INSERT INTO idempotency_key (id, scope, owner, key, fingerprint, locked_until, created_at, expires_at)
      VALUES (p_id, p_scope, p_owner, p_key, p_fingerprint, moment + p_lease_ms * interval '1 ms', moment,
              moment + p_retention_ms * interval '1 ms')
      ON CONFLICT (scope, owner, key) DO NOTHING;
      IF FOUND THEN
        claim_outcome := 'first'; claim_id := p_id; claim_fence := 1; claim_point := 'started';
        RETURN;
      END IF;
      -- Another was quicker, and by now has committed.
      CONTINUE;
    END IF;
    moment := clock_timestamp();
    IF held.expires_at <= moment AND coalesce(held.locked_until <= moment, true) THEN
      DELETE FROM idempotency_key
      WHERE id = held.id AND fence = held.fence AND expires_at <= moment
        AND coalesce(locked_until <= moment, true);
      CONTINUE;
    END IF;
    IF held.fingerprint <> p_fingerprint THEN
      claim_outcome := 'mismatch';
      RETURN;
    END IF;
    IF held.finished_at IS NOT NULL THEN
      claim_outcome := 'replayed';
      answer_status := held.response_status;
      answer_headers := held.response_headers;
      answer_body := held.response_body;
      RETURN;
    END IF;
    IF held.locked_until > moment THEN
      claim_outcome := 'in_progress';
      RETURN;
    END IF;
    -- Asks again under the row's lock: of many that would take it over, one does, and a holder that is late but
    -- quicker keeps it.
    UPDATE idempotency_key
    SET fence = fence + 1, locked_until = moment + p_lease_ms * interval '1 ms',
        expires_at = greatest(expires_at, moment + p_retention_ms * interval '1 ms')
    WHERE id = held.id AND fence = held.fence AND finished_at IS NULL AND coalesce(locked_until <= moment, true);
    IF FOUND THEN
      claim_outcome := 'taken_over'; claim_id := held.id; claim_fence := held.fence + 1;
      claim_point := held.recovery_point;
      RETURN;
    END IF;
  END LOOP;
END $$;

-- Notes how far the work came, and begins the lease anew. False: the claim is lost, and the transaction must roll back.
CREATE FUNCTION idempotency_advance(p_id uuid, p_fence bigint, p_point text, p_lease_ms bigint) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
  UPDATE idempotency_key
  SET recovery_point = p_point, locked_until = clock_timestamp() + p_lease_ms * interval '1 ms'
  WHERE id = p_id AND fence = p_fence AND finished_at IS NULL;
  RETURN FOUND;
END $$;

-- Stores the answer that every repetition gets. False: the claim is lost (or answered already), and nothing is stored.
CREATE FUNCTION idempotency_finish(p_id uuid, p_fence bigint, p_status smallint, p_headers jsonb, p_body bytea)
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  UPDATE idempotency_key
  SET response_status = p_status, response_headers = p_headers, response_body = p_body,
      finished_at = clock_timestamp(), locked_until = NULL, recovery_point = 'finished'
  WHERE id = p_id AND fence = p_fence AND finished_at IS NULL;
  RETURN FOUND;
END $$;

-- Ends the lease without an answer: the next request with the key takes over at the recovery point. With p_forget, and
-- when nothing was done, the key is as if it had never been used. False: the claim is lost, or answered already.
CREATE FUNCTION idempotency_release(p_id uuid, p_fence bigint, p_forget boolean) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
  -- A claim that was taken over found the work begun, whatever its recovery point says.
  IF p_forget AND p_fence = 1 THEN
    DELETE FROM idempotency_key
    WHERE id = p_id AND fence = p_fence AND finished_at IS NULL AND recovery_point = 'started';
    IF FOUND THEN
      RETURN true;
    END IF;
  END IF;
  UPDATE idempotency_key SET locked_until = NULL WHERE id = p_id AND fence = p_fence AND finished_at IS NULL;
  RETURN FOUND;
END $$;
