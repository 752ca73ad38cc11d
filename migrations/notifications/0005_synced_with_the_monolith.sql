-- What a sync with the monolith's tables needs (docs/adr/0010-who-works-off-a-synced-notification.md).
SET LOCAL lock_timeout = '5s';

-- The row that the event is about: the monolith composes its mails from it. NULL in rows that were born here.
ALTER TABLE notification_log ADD COLUMN object_id bigint;

-- The monolith's column takes 300 characters.
UPDATE notification_log SET error = left(error, 299) || '…' WHERE char_length(error) > 300;

-- 'legacy': a version of the monolith's, kept to know what was sent. It is in Django's template language, so it is never in use here, and
-- its numbers are not ours. The table has a few dozen rows.
ALTER TABLE template
  DROP CONSTRAINT template_origin_check,
  DROP CONSTRAINT template_name_locale_version_key,
  ADD CONSTRAINT template_origin_check CHECK (origin IN ('release', 'operator', 'legacy')),
  ADD CONSTRAINT template_legacy_is_not_in_use CHECK (origin <> 'legacy' OR NOT active);
CREATE UNIQUE INDEX template_version ON template (name, locale, version) WHERE origin <> 'legacy';
CREATE UNIQUE INDEX template_legacy_version ON template (name, locale, version) WHERE origin = 'legacy';
