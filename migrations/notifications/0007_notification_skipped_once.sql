-- no-transaction
CREATE UNIQUE INDEX CONCURRENTLY notification_log_skipped_once ON notification_log (event_id, user_id, channel) WHERE status = 'skipped_legacy';
