-- Copyright (c) 2026, The scaleout.platform team
-- Simplified BSD License (https://opensource.org/licenses/BSD-2-Clause)
--
-- The bucket of a key as a function, for psql:
--
--     psql --no-psqlrc --quiet --set apply=true --file bucket_of.sql
--
-- It prints "changed" where the function is missing, and creates it where apply is true. What the function computes
-- is what PARTITION BY HASH computes, so it never changes: one that exists is the right one.

\set ON_ERROR_STOP on
SELECT num_nulls(
    to_regprocedure('scaleout.bucket_of(uuid)'),
    to_regprocedure('scaleout.bucket_of(text)'),
    to_regprocedure('scaleout.bucket_of(bigint)')
) > 0 AS missing \gset

\if :missing
\echo changed
\if :apply
SET client_min_messages = warning;
BEGIN;
CREATE SCHEMA IF NOT EXISTS scaleout;
GRANT USAGE ON SCHEMA scaleout TO PUBLIC;

CREATE OR REPLACE FUNCTION scaleout.bucket_of(key uuid) RETURNS integer
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT (((uuid_hash_extended(key, 8816678312871386365) & 4095) + 2275) & 4095)::integer
$$;
CREATE OR REPLACE FUNCTION scaleout.bucket_of(key text) RETURNS integer
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT (((hashtextextended(key COLLATE "C", 8816678312871386365) & 4095) + 2275) & 4095)::integer
$$;
CREATE OR REPLACE FUNCTION scaleout.bucket_of(key bigint) RETURNS integer
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT (((hashint8extended(key, 8816678312871386365) & 4095) + 2275) & 4095)::integer
$$;

COMMIT;
\endif
\endif
