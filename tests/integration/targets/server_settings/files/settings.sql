-- What the server makes of texts for each of its settings, as one JSON document; changes nothing.
SELECT setseed(:seed) \g /dev/null
SET client_min_messages = error;

CREATE FUNCTION pg_temp.attempt(setting text, wanted text, OUT stored text, OUT shown text, OUT error text)
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config(setting, wanted, true);
  SELECT s.setting, current_setting(s.name) INTO stored, shown FROM pg_settings s WHERE s.name = attempt.setting;
  RAISE EXCEPTION USING ERRCODE = 'UNDO1';
EXCEPTION
  WHEN SQLSTATE 'UNDO1' THEN NULL;
  WHEN OTHERS THEN error := SQLERRM;
END $$;

-- The error of a statement that is taken back whether or not it works.
CREATE FUNCTION pg_temp.refusal(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE statement;
  RAISE EXCEPTION USING ERRCODE = 'UNDO1';
EXCEPTION
  WHEN SQLSTATE 'UNDO1' THEN RETURN NULL;
  WHEN OTHERS THEN RETURN SQLERRM;
END $$;

-- What a text of one element becomes; no row where the server refuses it.
CREATE FUNCTION pg_temp.element(setting text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
  shown text;
BEGIN
  EXECUTE format('SET LOCAL %s = %L', setting, 'A b');
  shown := current_setting(setting);
  RAISE EXCEPTION USING ERRCODE = 'UNDO1';
EXCEPTION
  WHEN SQLSTATE 'UNDO1' THEN RETURN NEXT shown;
  WHEN OTHERS THEN RETURN;
END $$;

CREATE TEMPORARY TABLE known AS
SELECT name, vartype, context, reset_val, setting, boot_val, source, unit, min_val, max_val, enumvals,
       current_setting(name) AS shown
FROM pg_settings WHERE context <> 'internal';

CREATE TEMPORARY TABLE attempts AS
SELECT name, number || suffix AS wanted
FROM known,
     LATERAL unnest(ARRAY['0', '1', '-1', '64', '2.5', '.5', '1e3', '0x1F', '010', '08', 'one', '', boot_val, min_val, max_val,
                          max_val || '1', (random() * 100)::int::text, (random() * 100000)::int::text,
                          round((random() * 1000)::numeric, 3)::text, (random() * 2147483647)::int::text]) AS number,
     LATERAL unnest(ARRAY['', ' ', 'B', 'kB', 'MB', ' GB', 'TB', 'us', 'ms', 's', ' min', 'h', 'd', 'Mb', 'M']) AS suffix
WHERE vartype IN ('integer', 'real') AND context IN ('user', 'superuser')
  -- Over a socket TCP's are always 0; that of temporary tables is fixed once there is one, as here.
  AND name !~ '^tcp_|^temp_buffers$|^transaction_timeout$'
  AND (suffix = '' OR random() < 0.25)
UNION
SELECT name, word FROM known,
     LATERAL unnest(ARRAY['on', 'OFF', 'true', 'fal', 'yes', 'N', '0', '1', 'o', 'of', 't', 'maybe', '', 'debug', 'pglz']
                    || enumvals || upper(enumvals::text)::text[]) AS word
WHERE vartype IN ('bool', 'enum') AND context IN ('user', 'superuser') AND name !~ '^transaction_|^exit_on_error$';

SELECT json_build_object(
  'settings', (SELECT json_agg(known) FROM known),
  'attempts', (SELECT json_agg(json_build_array(name, wanted, stored, shown, error))
               FROM attempts, pg_temp.attempt(name, wanted)),
  'one_argument', (SELECT json_object_agg(name, coalesce(error LIKE '%takes only one argument%', false))
                   FROM known, pg_temp.refusal(format('SET LOCAL %s = ''a'', ''b''', name)) AS error
                   WHERE vartype = 'string'),
  'quoted', (SELECT json_object_agg(name, element LIKE '"%')
             FROM known, pg_temp.element(name) AS element WHERE vartype = 'string'),
  'not_for_a_database', (SELECT json_object_agg(name, error)
                         FROM known, pg_temp.refusal(format('ALTER DATABASE postgres SET %s FROM CURRENT', name)) AS error
                         WHERE error LIKE 'parameter %cannot be %'));
