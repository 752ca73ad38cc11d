SET LOCAL lock_timeout = '5s';

-- In its place are the indexes of 0006 and 0007.
ALTER TABLE notification_log DROP CONSTRAINT notification_log_event_id_user_id_channel_key;

-- As before (0003 says why it is one function), but for the audit row: one that says that the monolith mails is none of ours, and an event
-- of which the monolith's own row is here, by its id, is handled. It is never taken for an earlier try of ours.
CREATE OR REPLACE FUNCTION open_deliveries(
  given_up bigint[], wanted bigint[], consumer_name text, event_ids uuid[], user_ids bigint[], categories text[]
) RETURNS TABLE (
  locked boolean, seen boolean, notification_id bigint, attempts integer, known boolean, email text, display_name text,
  locale text, preferred_channel text, bounced boolean, deleted boolean, enabled boolean, channel text, digest boolean,
  devices jsonb, template_generation bigint
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  taken boolean[];
BEGIN
  PERFORM pg_advisory_unlock(key) FROM unnest(given_up) AS key;
  SELECT array_agg(pg_try_advisory_lock(key)) INTO taken FROM unnest(wanted) AS key;
  -- One look-up per table and delivery, each by a unique key: LIMIT 1 keeps the planner from reading a whole table to join it.
  RETURN QUERY
    SELECT taken[i.n], s.seen IS NOT NULL OR coalesce(l.id < 1099511627776, false),
      coalesce(l.id, nextval('notification_log_id_seq')), coalesce(l.attempts, 0),
      c.user_id IS NOT NULL, c.email, c.display_name, c.locale, c.preferred_channel, c.bounced_at IS NOT NULL,
      c.deleted_at IS NOT NULL, p.enabled, p.channel, p.digest,
      (SELECT jsonb_object_agg(kind, jsonb_build_object('address', address, 'secret', secret))
         FROM (SELECT DISTINCT ON (kind) kind, address, secret FROM device
               WHERE device.user_id = i.user_id AND active ORDER BY kind, id DESC) AS d),
      (SELECT generation FROM template_generation)
    FROM unnest(event_ids, user_ids, categories) WITH ORDINALITY AS i (event_id, user_id, category, n)
    LEFT JOIN LATERAL (SELECT true AS seen FROM inbox
      WHERE consumer = consumer_name AND inbox.event_id = i.event_id LIMIT 1) s ON true
    LEFT JOIN LATERAL (SELECT id, attempts FROM notification_log
      WHERE notification_log.event_id = i.event_id AND status <> 'skipped_legacy' LIMIT 1) l ON true
    LEFT JOIN contact c ON c.user_id = i.user_id
    LEFT JOIN preference p ON p.user_id = i.user_id AND p.category = i.category
    ORDER BY i.n;
END
$$;
