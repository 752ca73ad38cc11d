-- What a direction of the sync keeps in the database that it writes, in that database's own transactions.
CREATE SCHEMA IF NOT EXISTS table_sync;

-- One direction of one domain.
CREATE TABLE IF NOT EXISTS table_sync.stream (
  name text PRIMARY KEY,                  -- also of the slot and the publication
  system text NOT NULL,                   -- of the read server: its system identifier, and the database
  applied pg_lsn NOT NULL,                -- all that was committed before it there is here
  applied_at timestamptz NOT NULL,        -- when what was applied last was committed there
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE IF NOT EXISTS table_sync.stream_table (
  stream text NOT NULL REFERENCES table_sync.stream ON DELETE CASCADE,
  name text NOT NULL,                     -- as it is called in the target, whichever way
  columns jsonb NOT NULL,                 -- of the read table, by number and type: as they were when all of its rows were as here
  estimated_rows bigint NOT NULL,         -- when the copy began
  merge boolean NOT NULL,                 -- there were rows here before, so chunks are merged into them
  stopped text,                           -- why its rows are held back; NULL while it runs
  PRIMARY KEY (stream, name)
);

-- The copy's plan, and what is done of it.
CREATE TABLE IF NOT EXISTS table_sync.chunk (
  stream text NOT NULL,
  name text NOT NULL,
  number integer NOT NULL,
  above jsonb,                            -- keys greater than this; NULL: from the first
  up_to jsonb,                            -- and up to this; NULL: to the last
  rows bigint,                            -- how many were copied
  done_at timestamptz,
  PRIMARY KEY (stream, name, number),
  FOREIGN KEY (stream, name) REFERENCES table_sync.stream_table ON DELETE CASCADE
);
CREATE INDEX IF NOT EXISTS chunk_open ON table_sync.chunk (stream, name, number) WHERE done_at IS NULL;

-- Rows that changed there and are not carried until something is mended.
CREATE TABLE IF NOT EXISTS table_sync.held (
  stream text NOT NULL REFERENCES table_sync.stream ON DELETE CASCADE,
  name text NOT NULL,
  key jsonb NOT NULL,
  reason text NOT NULL,                   -- stopped: the table is; refused: this database does not take the row; conflict: both sides wrote it
  problem text NOT NULL,
  since timestamptz NOT NULL DEFAULT clock_timestamp(),
  tried_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (stream, name, key),
  CONSTRAINT held_reason_known CHECK (reason IN ('stopped', 'refused', 'conflict'))
);
CREATE INDEX IF NOT EXISTS held_tried_at ON table_sync.held (stream, name, tried_at);

-- A row that both sides wrote before either knew of the other's change: both versions, neither carried.
CREATE TABLE IF NOT EXISTS table_sync.conflict (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  stream text NOT NULL,
  name text NOT NULL,
  key jsonb NOT NULL,
  there jsonb,                            -- the read side's row as it would have been written here; NULL: it is deleted
  here jsonb,                             -- this side's row; NULL: it is deleted
  found_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  resolved_at timestamptz
);
CREATE UNIQUE INDEX IF NOT EXISTS conflict_open ON table_sync.conflict (stream, name, key) WHERE resolved_at IS NULL;
