# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What maintenance makes of a shard, in plain SQL: the table of tasks by month, and the view ``user_stats``.

The view counts what there is. The one that ``summary_table`` makes shows the same, sooner.
"""

from __future__ import annotations

import typing as t
from datetime import UTC, datetime

from reference_api.uuid7 import first_of

from .postgres import APPLICATION, Postgres

_PARTITIONED = """
    ALTER TABLE tasks RENAME TO tasks_plain;
    CREATE TABLE tasks (LIKE tasks_plain INCLUDING ALL, FOREIGN KEY (user_id) REFERENCES users ON DELETE CASCADE)
        PARTITION BY RANGE (id);
    DROP TABLE tasks_plain;
"""
_SUMMED = """
    CREATE VIEW user_stats AS
    SELECT users.id,
           (SELECT count(*) FROM tasks WHERE user_id = users.id) AS total_tasks,
           (SELECT count(*) FROM tasks WHERE user_id = users.id AND status = 'completed') AS completed_tasks,
           (SELECT count(*) FROM habits WHERE user_id = users.id) AS total_habits,
           (SELECT max(best_streak) FROM habits WHERE user_id = users.id) AS best_streak
    FROM users
"""

#: A month: the year and its number in the year.
Month = tuple[int, int]


def partition(server: Postgres, database: str, first: Month, last: Month) -> None:
    """Make the empty table of tasks one with a partition for each of these months."""
    statements = [f"SET ROLE {APPLICATION}", _PARTITIONED]
    month = first
    while month <= last:
        after = following(month)
        statements.append(
            f"CREATE TABLE {name_of(month)} PARTITION OF tasks FOR VALUES FROM ('{start(month)}') TO ('{start(after)}')"
        )
        month = after
    with server.connect(database) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def summarize(server: Postgres, database: str) -> None:
    with server.connect(database) as connection:
        connection.execute(f"SET ROLE {APPLICATION}".encode())
        connection.execute(_SUMMED)


def name_of(month: Month) -> str:
    return f"tasks_y{month[0]:04}m{month[1]:02}"


def start(month: Month) -> t.Any:
    """The least id of a month."""
    return first_of(int(datetime(*month, 1, tzinfo=UTC).timestamp()) * 1000)


def following(month: Month, months: int = 1) -> Month:
    number = month[0] * 12 + month[1] - 1 + months
    return number // 12, number % 12 + 1


def this_month() -> Month:
    now = datetime.now(UTC)
    return now.year, now.month
