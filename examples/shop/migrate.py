# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Makes the schema, and may run again. It runs on one host before a new release is switched to anywhere."""

from __future__ import annotations

import psycopg2

SCHEMA = """
    CREATE TABLE IF NOT EXISTS orders (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        item text NOT NULL,
        packed boolean NOT NULL DEFAULT false
    );
    CREATE INDEX IF NOT EXISTS orders_to_pack ON orders (id) WHERE NOT packed;
"""


def main() -> None:
    """Make what is missing."""
    connection = psycopg2.connect("")
    with connection, connection.cursor() as cursor:
        cursor.execute(SCHEMA)
    connection.close()


if __name__ == "__main__":
    main()
