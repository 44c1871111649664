# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Several tasks at one summary, as two controllers run them: they take turns, and leave nothing behind."""

from __future__ import annotations

import random
import threading

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.operations import keep_summary
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.summaries import ddl

from .test_server import FIRST, LOW, OBJECTS, OF_HABITS, OF_TASKS, TABLES, USER_STATS

FEWER = {"tables": [OF_TASKS], "every": None}
OTHER = {"tables": [OF_HABITS], "every": None}
ABSENT = {"state": "absent"}


@pytest.fixture
def objects(database):
    """How many objects there are without a summary, and with each declaration."""
    database.sql(TABLES)
    found = {"absent": database.rows(OBJECTS)}
    for name, options in (("whole", USER_STATS), ("fewer", FEWER), ("other", OTHER)):
        database.summary("user_stats", **options)
        found[name] = database.rows(OBJECTS)
        database.summary("user_stats", **ABSENT)
    return found


def once(monkeypatch, step, work):
    """Have another task do something when this one comes to a step, once."""
    plain, waiting = getattr(ddl, step), [work]

    def meanwhile(*given):
        if waiting:
            waiting.pop()()
        return plain(*given)

    monkeypatch.setattr(ddl, step, meanwhile)


@pytest.mark.parametrize(
    ("there", "step"),
    [(None, "install"), (None, "open_view"), (FEWER, "install"), (FEWER, "open_view"), (FEWER, "drop_parts")],
)
@pytest.mark.parametrize("of_other", [USER_STATS, OTHER, ABSENT])
def test_another_task_comes_between(database, monkeypatch, objects, there, step, of_other):
    if there:
        database.summary("user_stats", **there)
    once(monkeypatch, step, lambda: database.summary("user_stats", **of_other))
    database.sql("INSERT INTO habits VALUES (md5('1')::uuid, md5('x')::uuid, 50)")
    _changed, result = database.summary("user_stats", **USER_STATS)
    assert result["summary"]["every"]
    assert database.rows(OBJECTS) == objects["whole"]
    assert database.drift() == []
    assert not database.summary("user_stats", **USER_STATS)[0]


@pytest.mark.parametrize("of_other", [USER_STATS, ABSENT])
def test_who_is_outrun_each_time_says_so(database, monkeypatch, objects, of_other):
    monkeypatch.setattr(keep_summary, "RACES", 1)
    once(monkeypatch, "open_view", lambda: database.summary("user_stats", **of_other))
    with pytest.raises(
        ScaleoutError, match=r"^Another task changes the same summary, so this one did not make"
    ) as caught:
        database.summary("user_stats", **USER_STATS)
    assert caught.value.code == "conflict"
    assert database.rows(OBJECTS) == objects["absent" if of_other is ABSENT else "whole"]


def test_who_is_in_the_way_is_named(database):
    database.sql(TABLES)
    with database.connect() as other:
        other.run("BEGIN; SELECT pg_advisory_xact_lock(hashtextextended('the summary public.user_stats', 0))")
        with pytest.raises(ScaleoutError) as caught:
            database.summary("user_stats", **USER_STATS, lock_timeout=50, lock_patience=0.2)
    assert caught.value.code == "locked"
    assert [one["relation"] for one in caught.value.facts["holders"]] == ["the summary public.user_stats"]


def run(database, codes, options, start):
    """One controller: the task, again and again."""
    start.wait()
    for one in options:
        try:
            database.summary("user_stats", **one, lock_patience=60.0)
            codes.append("")
        except ScaleoutError as error:
            codes.append(error.code)


@pytest.mark.parametrize("choice", [[USER_STATS], [USER_STATS, FEWER, OTHER, ABSENT, {**USER_STATS, "reseed": True}]])
def test_tasks_at_once_take_turns(database, objects, choice):
    dice = random.Random(7)
    codes: list[str] = []
    start = threading.Barrier(4)
    plans = [[dice.choice(choice) for _round in range(3)] for _task in range(3)]
    tasks = [threading.Thread(target=run, args=(database, codes, plan, start)) for plan in plans]
    for task in tasks:
        task.start()
    start.wait()
    with database.connect() as writer:
        while any(task.is_alive() for task in tasks):
            writer.run(f"INSERT INTO tasks VALUES ({FIRST}, '{LOW}1', 'x'); DELETE FROM tasks WHERE id = '{LOW}1'")
            writer.run("UPDATE habits SET best_streak = best_streak + 1")
    for task in tasks:
        task.join()
    assert len(codes) == sum(map(len, plans))
    assert set(codes) <= {"", "conflict", "locked"}
    assert codes.count("") >= len(plans)
    database.summary("user_stats", **USER_STATS)
    assert database.rows(OBJECTS) == objects["whole"]
    assert database.drift() == []
    assert not database.summary("user_stats", **USER_STATS)[0]
