-- What the role of a sync may do in one database. Run in that database by a superuser, once the owner's tables are there:
--   psql -d legacy -v role=legacy_sync -v owner=legacy -f deploy/postgres/sync-role.sql
-- The server needs wal_level = logical; set max_slot_wal_keep_size, so that a sync that stands still cannot fill the disk.

-- To read the changes.
ALTER ROLE :"role" REPLICATION;
-- To read and write the tables, publish them, and keep its books in a schema beside them.
GRANT :"owner" TO :"role";
-- To write without waking foreign keys and triggers, which judged the rows on the other side.
GRANT SET ON PARAMETER session_replication_role TO :"role";
-- To mark what it wrote, so that it does not go back where it came from.
GRANT EXECUTE ON FUNCTION
  pg_replication_origin_create(text), pg_replication_origin_drop(text), pg_replication_origin_oid(text),
  pg_replication_origin_session_setup(text), pg_replication_origin_session_reset()
  TO :"role";
