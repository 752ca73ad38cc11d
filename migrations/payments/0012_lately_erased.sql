-- Whose tokens are to be refused is asked each second.
CREATE INDEX erased_user_lately ON erased_user (erased_at);
