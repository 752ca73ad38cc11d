-- What is wanted of the domains' syncs, what was found by validating them, and who did what.

-- The order for a domain; the processes of the role `sync` see to it. How far the sync is, the databases themselves know
-- (schema `table_sync` of each written side).
CREATE TABLE domain_sync (
  domain text PRIMARY KEY,
  -- 'paused': nothing is carried, and the slots stay, so that it can go on where it was.
  wanted text NOT NULL,
  -- 'forward': from the monolith; 'back': to it; 'both'.
  ways text NOT NULL,
  ordered_at timestamptz NOT NULL DEFAULT now(),
  ordered_by text NOT NULL,
  -- What the process that sees to it said last; NULL before one did.
  runner text,
  state text,
  problem text,
  -- How long a change took that was made when this was reported, in milliseconds. NULL: not known, or longer than was waited.
  forward_lag_ms bigint,
  back_lag_ms bigint,
  reported_at timestamptz,
  CONSTRAINT domain_sync_wanted_known CHECK (wanted IN ('running', 'paused')),
  CONSTRAINT domain_sync_ways_known CHECK (ways IN ('forward', 'back', 'both')),
  CONSTRAINT domain_sync_state_known CHECK (state IN ('running', 'paused', 'failed'))
);

-- A comparison of both sides.
CREATE TABLE validation_run (
  id uuid PRIMARY KEY,                          -- UUIDv7
  domain text NOT NULL,
  kind text NOT NULL,
  asked_by text NOT NULL,                       -- an operator, or 'schedule'
  tables text[] NOT NULL,                       -- as they are called in the new database; empty: all
  sample_size integer,                          -- what was asked for
  started_at timestamptz NOT NULL DEFAULT now(),
  finished_at timestamptz,
  -- 'equal', 'different', 'undecided': something kept it from telling, `problem` says what.
  outcome text,
  problem text,
  rows_compared bigint NOT NULL DEFAULT 0,
  mismatches bigint NOT NULL DEFAULT 0,
  trace_id text,
  CONSTRAINT validation_run_kind_known CHECK (kind IN ('sample', 'full')),
  CONSTRAINT validation_run_sample_has_size CHECK ((kind = 'sample') = (sample_size IS NOT NULL)),
  CONSTRAINT validation_run_outcome_known CHECK (outcome IN ('equal', 'different', 'undecided')),
  CONSTRAINT validation_run_finished_has_outcome CHECK ((finished_at IS NULL) = (outcome IS NULL))
);
CREATE INDEX validation_run_of_domain ON validation_run (domain, started_at DESC);
CREATE INDEX validation_run_open ON validation_run (domain) WHERE finished_at IS NULL;

-- How far a run is with a table: enough to go on from after a kill.
CREATE TABLE validation_table (
  run_id uuid NOT NULL REFERENCES validation_run ON DELETE CASCADE,
  name text NOT NULL,                           -- as it is called in the new database
  rows_compared bigint NOT NULL,
  mismatches bigint NOT NULL DEFAULT 0,
  up_to jsonb,                                  -- all keys up to this one are compared
  suspects jsonb NOT NULL DEFAULT '[]',         -- keys that seemed to differ, to be looked at again when the table is done
  has_more boolean NOT NULL DEFAULT false,      -- more differences than were looked into
  finished_at timestamptz,
  PRIMARY KEY (run_id, name)
);

-- A row that is not the same on both sides. Which columns differ is kept, their values are not.
CREATE TABLE validation_difference (
  run_id uuid NOT NULL REFERENCES validation_run ON DELETE CASCADE,
  name text NOT NULL,
  key jsonb NOT NULL,
  kind text NOT NULL,
  columns text[] NOT NULL,
  -- A repair carried it again, and both sides have it alike since.
  repaired_at timestamptz,
  PRIMARY KEY (run_id, name, key),
  CONSTRAINT validation_difference_kind_known CHECK (kind IN ('missing', 'extra', 'changed'))
);

-- Who changed what: never updated, never deleted.
CREATE TABLE operator_action (
  id uuid PRIMARY KEY,                          -- UUIDv7
  at timestamptz NOT NULL DEFAULT now(),
  actor text NOT NULL,
  action text NOT NULL,                         -- sync.start, validation.repair ...
  domain text NOT NULL,
  detail jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX operator_action_of_domain ON operator_action (domain, at DESC);
