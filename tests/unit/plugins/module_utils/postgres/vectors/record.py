# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Asks a server how it reads numbers and how it shows settings, and prints the answers as JSON.

For a scratch server: it changes settings on its way, and resets them. As its superuser:

    python3 record.py > server_15.json
"""

from __future__ import annotations

import json
import sys
import time

import psycopg2

SETTINGS = """
SELECT name, vartype, context, reset_val, boot_val, source, unit, min_val, max_val, coalesce(enumvals, '{}'),
       current_setting(name)
FROM pg_settings WHERE context <> 'internal' AND name !~ '^(transaction_|config_file|data_directory|.*_file$)'
ORDER BY name
"""

# A setting for each base unit; those that a session may not set go by way of a reload.
NUMBERS = {
    "log_parameter_max_length": "B",
    "work_mem": "kB",
    "effective_cache_size": "8kB",
    "max_slot_wal_keep_size": "MB",
    "wal_sender_timeout": "ms",
    "authentication_timeout": "s",
    "log_rotation_age": "min",
    "vacuum_cost_delay": "ms",
    "cursor_tuple_fraction": None,
    "default_statistics_target": None,
}
TEXTS = """
0|-1|+5|1|7.4|7.5|8.5|.5|5.|1e2|2.5e1|010|08|0x40|0X1f|1_000|1,5|nan|inf|one|-|.|1e|0x|010.5|0x1p3
64|64kB|64 kB|64kb|65536B|0.5MB|1.5kB|1MB|1.0001MB|2.5GB|0.001TB|1TB|1e3kB|64KB|1024M|4G
90|90s|90 s|1.5min|90000ms|90000000us|1h|0.5d|2.5h|2.51min|0.001s|0.0005s|500us|1min30s|90sec|1m|9000000000000|1e10d
""".replace("\n", "|").strip("|")


def reload(cursor) -> None:
    """Have the new values in our session."""
    cursor.execute("SELECT pg_conf_load_time(), pg_reload_conf()")
    before = after = cursor.fetchone()[0]
    while after == before:
        time.sleep(0.005)
        cursor.execute("SELECT pg_conf_load_time()")
        after = cursor.fetchone()[0]


def answers(cursor, name: str, context: str):
    """Yield each text with the value that the server makes of it; None when it refuses."""
    for text in sorted(set(TEXTS.split("|"))):
        try:
            if context in ("user", "superuser"):
                cursor.execute("SELECT set_config(%s, %s, false)", (name, text))
            else:
                cursor.execute(f"ALTER SYSTEM SET {name} = %s", (text,))
                reload(cursor)
            cursor.execute("SELECT setting, current_setting(name) FROM pg_settings WHERE name = %s", (name,))
            yield text, cursor.fetchone()
        except psycopg2.Error:
            yield text, None


def main() -> None:
    """Print one line for each setting and each number, so that a diff of two recordings can be read."""
    connection = psycopg2.connect(dbname="postgres")
    connection.autocommit = True
    cursor = connection.cursor()
    cursor.execute(SETTINGS)
    settings = cursor.fetchall()
    contexts = {row[0]: row[2] for row in settings}
    numbers = [
        (name, text, *(answer or (None, None)))
        for name in NUMBERS
        for text, answer in answers(cursor, name, contexts[name])
    ]
    for name in NUMBERS:
        cursor.execute(f"ALTER SYSTEM RESET {name}")
    reload(cursor)
    out = sys.stdout
    for key, rows in (("settings", settings), ("numbers", numbers)):
        out.write("{" if key == "settings" else ",")
        out.write(f'"{key}": [\n' + ",\n".join(json.dumps(row) for row in rows) + "\n]")
    out.write("}\n")


if __name__ == "__main__":
    main()
