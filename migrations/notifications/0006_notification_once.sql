-- no-transaction
-- Of an event that the monolith mails about there are two rows: its own, which a sync brings, and ours, which says that it was left to it.
CREATE UNIQUE INDEX CONCURRENTLY notification_log_once ON notification_log (event_id, user_id, channel) WHERE status <> 'skipped_legacy';
