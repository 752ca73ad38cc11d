-- Whose tokens are to be refused is asked each second.
CREATE INDEX contact_deleted ON contact (deleted_at) WHERE deleted_at IS NOT NULL;
