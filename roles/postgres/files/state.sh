#!/bin/sh
# Prints what this host has of one PostgreSQL cluster as one JSON object, and changes nothing.
#
#   sh state.sh VERSION PORT        (the cluster is always "main", as Debian makes it)
#
# It runs as root and works on a host that has nothing at all, so that one question serves a bare host, a dead
# server and a live one. "server" is null unless the server answers on its own socket.
version=$1 port=$2
data=/var/lib/postgresql/$version/main
own=/etc/postgresql/$version/main/postgresql.conf
cd / || exit 1

truth() { if "$@" >/dev/null 2>&1; then printf true; else printf false; fi; }

# Objects that initdb makes have numbers below 16384: a higher one belongs to a user. A rewritten catalog has a
# high number too, so that the answer errs to the side that keeps the data.
used() {
  { find "$data/base" -mindepth 1 -name '[1-9]*' && find "$data/pg_tblspc" -mindepth 1; } 2>/dev/null |
    awk -F/ '{ sub(/[._].*/, "", $NF) } $NF + 0 >= 16384 { found = 1; exit } END { exit !found }'
}

# Other clusters that are configured for the port of ours.
others() {
  grep -El "^[[:space:]]*port[[:space:]]*=[[:space:]]*$port([^0-9]|\$)" /etc/postgresql/*/*/postgresql.conf \
    2>/dev/null |
    grep -Fxv "$own" | sed 's|^/etc/postgresql/||; s|/postgresql.conf$||' | paste -sd, -
}

query() {
  timeout 10 runuser -u postgres -- env PGCONNECT_TIMEOUT=5 PGOPTIONS=-cstatement_timeout=5s \
    psql --no-psqlrc --no-align --tuples-only --quiet --port "$port" --dbname postgres <<'SQL' 2>/dev/null
SELECT json_build_object(
  'version', current_setting('server_version_num')::int / 10000,
  'started', pg_postmaster_start_time(),
  'system', (SELECT system_identifier::text FROM pg_control_system()),
  'in_recovery', pg_is_in_recovery(),
  'lsn', CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END,
  'receiver', (SELECT status FROM pg_stat_wal_receiver),
  'active_slots', (SELECT coalesce(json_agg(slot_name), '[]') FROM pg_replication_slots WHERE active),
  'databases', (SELECT json_object_agg(datname, pg_get_userbyid(datdba)) FROM pg_database),
  'limits', json_build_object(
    'max_connections', current_setting('max_connections')::int,
    'max_locks_per_transaction', current_setting('max_locks_per_transaction')::int,
    'max_prepared_transactions', current_setting('max_prepared_transactions')::int,
    'max_wal_senders', current_setting('max_wal_senders')::int,
    'max_worker_processes', current_setting('max_worker_processes')::int),
  'restart_pending', EXISTS (SELECT FROM pg_settings WHERE pending_restart),
  'hba_unread', (pg_stat_file(current_setting('hba_file'))).modification > pg_conf_load_time(),
  'hba_errors', (SELECT coalesce(json_agg(format('line %s: %s', line_number, error)), '[]')
                 FROM pg_hba_file_rules WHERE error IS NOT NULL))
SQL
}

server=$(query)
printf '{"configured": %s, "initialised": %s, "standby_signal": %s, "ever_started": %s, "used": %s, ' \
  "$(truth test -e "$own")" "$(truth test -e "$data/PG_VERSION")" "$(truth test -e "$data/standby.signal")" \
  "$(truth test -e "$data/postmaster.opts")" "$(truth used)"
printf '"cloning": %s, "settings_saved": %s, "others": "%s", "server": %s}\n' \
  "$(truth test -e "$data.cloning")" "$(truth test -e "$data.settings")" "$(others)" "${server:-null}"
