-- The relay takes the oldest events of all users, whatever else waits. Made beside the writes of a live table, and so
-- outside a transaction (see migrate.py): one statement, and nothing else in this file.

CREATE INDEX CONCURRENTLY outbox_in_reading_order ON outbox (id);
