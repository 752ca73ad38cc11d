-- The inbox of a service's consumers, version 1. This file is the one source: crates/messaging/sql/inbox.v1.sql.
-- The copies in migrations/ are written by `cargo xtask generate`.
--
-- A handler inserts (consumer, event id) in the transaction of its effect; where the row is there already, the event was
-- handled before and a redelivery changes nothing.

CREATE TABLE inbox (
  consumer text NOT NULL,                 -- notifications.events ...: the queue, or a name of the handler's own
  event_id uuid NOT NULL,                 -- the CloudEvents id
  subject text NOT NULL,
  sequence bigint NOT NULL,
  processed_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (consumer, event_id)
);

CREATE INDEX inbox_processed_at ON inbox (processed_at);
