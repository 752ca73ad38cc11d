-- Which side acts for whom, version 1. This file is the one source: crates/ownership/sql/ownership.v1.sql.
-- The copies in migrations/ and in the Python package are written by `cargo xtask generate`.
--
-- A domain that moves by user has two databases, and each holds these tables: what it says there is what its side goes by.
-- A domain without rows does not move: whoever asks may act.

-- Who the new side acts for, by the last decision and by those before it that this side may still have to wait for.
CREATE TABLE ownership_rule (
  domain text NOT NULL,
  generation bigint NOT NULL,              -- of the decision; grows with each
  basis_points integer NOT NULL,           -- users at a position up to this one
  new_users bigint[] NOT NULL,             -- and these, wherever they are
  legacy_users bigint[] NOT NULL,          -- and never these
  decided_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (domain, generation),
  CONSTRAINT ownership_rule_share_is_basis_points CHECK (basis_points BETWEEN 0 AND 10000),
  CONSTRAINT ownership_rule_nobody_on_both CHECK (NOT new_users && legacy_users)
);

-- A position is the lowest share, in basis points, at which a user is in the domain's rollout; NULL for nobody's.
CREATE FUNCTION ownership_side(p_rule ownership_rule, p_user bigint, p_position integer) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE
    WHEN p_user = ANY (p_rule.legacy_users) THEN 'legacy'
    WHEN p_user = ANY (p_rule.new_users) OR p_position <= p_rule.basis_points THEN 'new'
    ELSE 'legacy' END
$$;

-- Whether this side may act for a user:
--   ours      it may: by every rule that is here
--   settling  it will: by the last rule, once what the other side wrote under an earlier one has come over
--   theirs    the other side does
CREATE FUNCTION ownership_look(p_domain text, p_side text, p_user bigint, p_position integer) RETURNS text
LANGUAGE sql STABLE AS $$
  SELECT CASE
    WHEN count(*) = 0 THEN 'ours'
    WHEN (array_agg(side ORDER BY generation DESC))[1] <> p_side THEN 'theirs'
    WHEN bool_or(side <> p_side) THEN 'settling'
    ELSE 'ours' END
  FROM (
    SELECT generation, ownership_side(rule, p_user, p_position) AS side FROM ownership_rule AS rule WHERE domain = p_domain
  ) rules
$$;

CREATE FUNCTION ownership_lock_key(p_domain text) RETURNS bigint
LANGUAGE sql IMMUTABLE AS $$ SELECT hashtextextended('ownership:' || p_domain, 0) $$;

-- Refuses where this side does not act for a user: BN421 where the other one does, BN503 where it is to settle first. Otherwise it stays
-- so until the caller's transaction ends: a decision waits for it. In PL/pgSQL, so that it looks with a snapshot of after the lock and
-- not of when the caller's statement began.
CREATE FUNCTION ownership_hold(p_domain text, p_side text, p_user bigint, p_position integer) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  answer text;
BEGIN
  PERFORM pg_advisory_xact_lock_shared(ownership_lock_key(p_domain));
  answer := ownership_look(p_domain, p_side, p_user, p_position);
  IF answer = 'theirs' THEN
    RAISE EXCEPTION 'the other side acts for user % in %', p_user, p_domain USING ERRCODE = 'BN421';
  ELSIF answer = 'settling' THEN
    RAISE EXCEPTION 'user % of % is being moved', p_user, p_domain USING ERRCODE = 'BN503';
  END IF;
END $$;

-- Writes a decision down, once all that was held under the last one has ended. Whom this side gains by it waits for ownership_settle,
-- and so does whom it lost by an earlier one and gains again. Repeated it does nothing; one that is older than the last is refused.
CREATE FUNCTION ownership_decide(
  p_domain text, p_generation bigint, p_basis_points integer, p_new_users bigint[], p_legacy_users bigint[]
) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  known bigint;
BEGIN
  PERFORM pg_advisory_xact_lock(ownership_lock_key(p_domain));
  SELECT max(generation) INTO known FROM ownership_rule WHERE domain = p_domain;
  IF known > p_generation THEN
    RAISE EXCEPTION 'decision % for % is older than %', p_generation, p_domain, known
      USING ERRCODE = 'object_not_in_prerequisite_state';
  ELSIF known = p_generation THEN
    RETURN;
  ELSIF known IS NULL THEN
    -- Before the first decision everybody is the legacy side's.
    INSERT INTO ownership_rule (domain, generation, basis_points, new_users, legacy_users)
    VALUES (p_domain, p_generation - 1, 0, '{}', '{}');
  END IF;
  INSERT INTO ownership_rule (domain, generation, basis_points, new_users, legacy_users)
  VALUES (p_domain, p_generation, p_basis_points, p_new_users, p_legacy_users);
END $$;

-- What the other side wrote before this decision has come over: no earlier one need be waited for. False where there is no such decision here.
CREATE FUNCTION ownership_settle(p_domain text, p_generation bigint) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM ownership_rule WHERE domain = p_domain AND generation = p_generation) THEN
    RETURN false;
  END IF;
  DELETE FROM ownership_rule WHERE domain = p_domain AND generation < p_generation;
  RETURN true;
END $$;
