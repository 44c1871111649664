-- Copyright (c) 2026, The scaleout.platform team
-- Simplified BSD License (https://opensource.org/licenses/BSD-2-Clause)
--
-- Test vectors for the bucket of a key, computed by PostgreSQL alone. Write them again with
--
--     psql --no-psqlrc --quiet --no-align --tuples-only --file buckets.sql > buckets.json
--
-- Keys and hashes are strings, because JSON numbers lose the low bits of 64-bit integers in many languages.
-- "hash" is the signed result of uuid_hash_extended, hashtextextended or hashint8extended with the seed.

\set ON_ERROR_STOP on
SET client_encoding = 'UTF8';

CREATE TEMP TABLE by_uuid (key uuid) PARTITION BY HASH (key);
CREATE TEMP TABLE by_text (key text) PARTITION BY HASH (key);
CREATE TEMP TABLE by_bigint (key bigint) PARTITION BY HASH (key);

CREATE TEMP TABLE vector (kind text, position int, key text, hash bigint, bucket int);

INSERT INTO vector (kind, position, key)
SELECT 'uuid', row_number() OVER (), key
FROM (
    SELECT unnest(ARRAY[
        '00000000-0000-0000-0000-000000000000',
        '00000000-0000-0000-0000-000000000001',
        '01000000-0000-0000-0000-000000000000',
        'ffffffff-ffff-ffff-ffff-ffffffffffff',
        '80000000-8000-8000-8000-800000000000',
        '6b1bbd04-8ee8-4f0a-b7d4-b1a8d4e1f5a7',
        '01890a5d-ac96-774b-bcce-b302099a8057'
    ])
    UNION ALL
    SELECT md5('uuid ' || i)::uuid::text FROM generate_series(1, 93) AS i
) AS keys (key);

INSERT INTO vector (kind, position, key)
SELECT 'text', row_number() OVER (), key
FROM (
    SELECT unnest(ARRAY[
        '', ' ', 'a', 'A', '0', '-1',
        'user@example.com',
        '''; DROP TABLE users; --',
        E'a "quoted" key\\with a backslash',
        E'tab\tand newline\n',
        'é', E'e\u0301', 'Straße', 'Ελλάδα', 'Привет', 'שלום', 'مرحبا', '漢字', '日本語のキー', '한국어',
        '🙂', '👩‍👩‍👧‍👦', E'\u0001', E'\u00a0', E'\u07ff', E'\u0800', E'\uffff', U&'\+010000', U&'\+10fffd'
    ])
    -- every length of the tail, and of the part before it, in bytes of one and of several
    UNION ALL
    SELECT left('abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz', i) FROM generate_series(2, 40) AS i
    UNION ALL
    SELECT repeat('ß', i) FROM generate_series(1, 13) AS i
    UNION ALL
    SELECT repeat('0123456789abcdef', 64)
    UNION ALL
    SELECT md5('text ' || i) FROM generate_series(1, 20) AS i
) AS keys (key);

INSERT INTO vector (kind, position, key)
SELECT 'bigint', row_number() OVER (), key
FROM (
    SELECT unnest(ARRAY[
        0, 1, -1, 2, -2, 42, 4095, 4096, -4096, 65535,
        2147483647, 2147483648, -2147483648, -2147483649,
        4294967295, 4294967296, -4294967295, -4294967296, -4294967297,
        9007199254740991, 9007199254740993, -9007199254740993,
        9223372036854775807, -9223372036854775808, -9223372036854775807
    ])::text
    UNION ALL
    SELECT ('x' || left(md5('bigint ' || i), 16))::bit(64)::bigint::text FROM generate_series(1, 75) AS i
) AS keys (key);

UPDATE vector SET hash = CASE kind
    WHEN 'uuid' THEN uuid_hash_extended(CASE WHEN kind = 'uuid' THEN key::uuid END, 8816678312871386365)
    WHEN 'text' THEN hashtextextended(key, 8816678312871386365)
    ELSE hashint8extended(CASE WHEN kind = 'bigint' THEN key::bigint END, 8816678312871386365)
END;
UPDATE vector SET bucket = ((hash & 4095) + 2275) & 4095;

-- The formula must agree with the server's own partitioning, or there are no vectors: a division by zero ends the script.
SELECT 1 / (count(*) = 0)::int AS all_agree FROM vector WHERE NOT CASE kind
    WHEN 'uuid' THEN satisfies_hash_partition(
        'by_uuid'::regclass, 4096, bucket, CASE WHEN kind = 'uuid' THEN key::uuid END)
    WHEN 'text' THEN satisfies_hash_partition('by_text'::regclass, 4096, bucket, key)
    ELSE satisfies_hash_partition(
        'by_bigint'::regclass, 4096, bucket, CASE WHEN kind = 'bigint' THEN key::bigint END)
END \g /dev/null

SELECT '{"seed": "8816678312871386365", "buckets": 4096, "vectors": [' || E'\n' || string_agg(
    format('  {"kind": %s, "key": %s, "hash": %s, "bucket": %s}', to_json(kind), to_json(key), to_json(hash::text), bucket),
    E',\n' ORDER BY kind DESC, position
) || E'\n]}'
FROM vector;
