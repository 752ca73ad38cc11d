-- The transactional outbox, version 1. This file is the one source: crates/messaging/sql/outbox.v1.sql.
-- The copies in migrations/ and clients/python/ are written by `cargo xtask generate`.
--
-- A writer inserts (id, subject, type, payload, headers) in the transaction of the state the event tells of;
-- the relay publishes the row and sets published_at after the broker's confirm.

CREATE SEQUENCE outbox_sequence;

CREATE TABLE outbox (
  id uuid PRIMARY KEY,                    -- UUIDv7 made by the writer; the CloudEvents id
  subject text NOT NULL,                  -- user/42, payment/7: events of one subject keep their order
  sequence bigint NOT NULL,               -- set by the trigger, grows with every event of a subject
  type text NOT NULL,                     -- payment.completed ...: the routing key
  payload jsonb NOT NULL,                 -- the CloudEvents data
  headers jsonb NOT NULL DEFAULT '{}',    -- traceparent, tracestate, effectowner, dataschema where present
  created_at timestamptz NOT NULL DEFAULT now(),
  published_at timestamptz,
  -- What the relay could never publish is refused where it is written.
  CONSTRAINT outbox_subject_not_empty CHECK (subject <> ''),
  CONSTRAINT outbox_type_is_routing_key CHECK (octet_length(type) BETWEEN 1 AND 255),
  CONSTRAINT outbox_payload_is_object CHECK (jsonb_typeof(payload) = 'object'),
  CONSTRAINT outbox_headers_is_object CHECK (jsonb_typeof(headers) = 'object')
)
-- Each row is updated once soon after it was written, so dead rows gather as fast as live ones: vacuum by count.
WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

CREATE INDEX outbox_unpublished ON outbox (sequence) WHERE published_at IS NULL;
CREATE INDEX outbox_published ON outbox (published_at) WHERE published_at IS NOT NULL;

-- The lock on the subject is held to the end of the transaction, so the order of one subject's sequence numbers is the
-- order of the commits, and the relay can never see event 6 of a subject before event 5. Transactions that write events
-- of several subjects should do so in one order (say, sorted), or run again after a deadlock.
CREATE FUNCTION outbox_set_sequence() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(1650552441, hashtext(NEW.subject));
  NEW.sequence := nextval('outbox_sequence');
  RETURN NEW;
END
$$;

CREATE TRIGGER outbox_set_sequence BEFORE INSERT ON outbox
  FOR EACH ROW EXECUTE FUNCTION outbox_set_sequence();

-- A NOTIFY takes a lock on the whole cluster's queue through the commit and so serialises all commits. Therefore only a
-- sleeping relay is woken: it holds lock 2 exclusively while it sleeps. A writer that gets the shared lock holds it to the
-- end of its transaction, so the relay cannot fall asleep before that transaction's rows can be seen.
CREATE FUNCTION outbox_wake_relay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT pg_try_advisory_xact_lock_shared(1650552442, 2) THEN
    PERFORM pg_notify('outbox', '');
  END IF;
  RETURN NULL;
END
$$;

CREATE TRIGGER outbox_wake_relay AFTER INSERT ON outbox
  FOR EACH STATEMENT EXECUTE FUNCTION outbox_wake_relay();

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
