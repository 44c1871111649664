# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A table with a summary whose partitions the module partition_set makes, fills from a default one, and retires."""

from __future__ import annotations

import pytest

from .conftest import column, table

VISITS = """
CREATE TABLE visits (who int NOT NULL, n bigint NOT NULL, mark int, {key}) PARTITION BY RANGE (n);
CREATE TABLE visits_old PARTITION OF visits FOR VALUES FROM (0) TO (100);
CREATE TABLE visits_rest PARTITION OF visits DEFAULT;
CREATE INDEX ON visits (who);
INSERT INTO visits SELECT n % 7, n, n % 10 FROM generate_series(0, 999) n
"""
VISITED = {"table": "visits", "column": "n", "interval": "100"}
OF_VISITS = table("visits", ["who"], column("seen", "count"), column("most", "max", "mark"), column("all", "sum", "n"))
REAL = "SELECT who, count(*), max(mark), sum(n) FROM visits GROUP BY who ORDER BY who"


@pytest.mark.parametrize("key", ["PRIMARY KEY (who, n)", "CHECK (n >= 0)"])
def test_what_partition_set_does_leaves_the_summary_right(database, key):
    database.sql(VISITS.format(key=key))
    database.summary("visitors", tables=[OF_VISITS])

    def right():
        assert database.rows("SELECT * FROM visitors ORDER BY who") == database.rows(REAL)
        assert database.drift() == []

    right()
    # The rows of the default partition get partitions of their own.
    made = database.partitions(**VISITED, premake=1, fill_gaps=True)
    assert made["moved"], made
    right()
    names = [
        name
        for (name,) in database.rows(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'visits'::regclass"
        )
    ]
    assert len(names) > 9
    for name in names:
        database.sql(f"UPDATE {name} SET mark = mark + 1, who = (who + 1) % 7 WHERE n % 3 = 0")
        right()
    database.sql("INSERT INTO visits SELECT 1, n, 50 FROM generate_series(1000, 1100) n")
    right()
    # None of the partitions lacks a trigger.
    assert not database.summary("visitors", tables=[OF_VISITS])[0]
    before = database.rows("SELECT sum(seen) FROM visitors")
    gone = database.partitions(**VISITED, premake=1, retention="500", retention_action="detach", confirm="visits")
    assert gone["retired"], gone
    assert database.rows("SELECT sum(seen) FROM visitors") < before
    right()
    # What is detached no longer counts.
    database.sql("DELETE FROM visits_old; TRUNCATE visits_old")
    right()
    assert not database.summary("visitors", tables=[OF_VISITS])[0]
    database.summary("visitors", state="folded")
    right()
