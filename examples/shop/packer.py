# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The worker: packs what was ordered. Several may run, since each locks the orders that it takes."""

from __future__ import annotations

import sys
import time

import psycopg2

PACK = """
    UPDATE orders SET packed = true WHERE id IN (
        SELECT id FROM orders WHERE NOT packed ORDER BY id LIMIT 100 FOR UPDATE SKIP LOCKED)
"""
PAUSE_SECONDS = 1.0


def main() -> None:
    """Pack forever, also when the database is away for a while."""
    while True:
        try:
            connection = psycopg2.connect("", connect_timeout=5)
            try:
                with connection, connection.cursor() as cursor:
                    cursor.execute(PACK)
            finally:
                connection.close()
        except psycopg2.Error as error:
            print(error, file=sys.stderr, flush=True)
        time.sleep(PAUSE_SECONDS)


if __name__ == "__main__":
    main()
