# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What people do by hand to a summary and to its tables: it is named, or made right by the next run."""

from __future__ import annotations

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.summaries import ddl

from .test_server import OBJECTS, OF_HABITS, OF_TASKS, TABLES, USER_STATS


def test_what_comes_to_depend_on_the_view_while_it_changes_leaves_no_second_half(database, monkeypatch):
    database.sql(TABLES)
    database.summary("user_stats", **USER_STATS)
    before = database.rows(OBJECTS)
    install = ddl.install

    def meanwhile(kept):
        database.sql("CREATE FUNCTION f() RETURNS SETOF user_stats BEGIN ATOMIC SELECT * FROM user_stats; END")
        return install(kept)

    with monkeypatch.context() as patch:
        patch.setattr(ddl, "install", meanwhile)
        with pytest.raises(ScaleoutError) as caught:
            database.summary("user_stats", tables=[OF_TASKS])
    assert (caught.value.code, "CASCADE" in caught.value.message) == ("depended_on", False)
    with pytest.raises(ScaleoutError, match=r"function public.f\(\)"):
        database.summary("user_stats", tables=[OF_TASKS], check_mode=True)
    database.sql("DROP FUNCTION f")
    assert database.rows(OBJECTS) == before
    assert not database.summary("user_stats", **USER_STATS)[0]


def test_a_view_under_another_name_is_named(database):
    database.sql(TABLES)
    database.summary("user_stats", **USER_STATS)
    database.sql("CREATE SCHEMA away; ALTER VIEW user_stats RENAME TO stats; ALTER VIEW stats SET SCHEMA away")
    before = database.rows(OBJECTS)
    for options in ({**USER_STATS}, {"state": "absent"}):
        for check_mode in (True, False):
            with pytest.raises(ScaleoutError, match=r"The view away\.stats is the view of the summary") as caught:
                database.summary("user_stats", check_mode=check_mode, **options)
            assert caught.value.code == "depended_on"
    assert database.rows(OBJECTS) == before
    database.sql("ALTER VIEW away.stats SET SCHEMA public; ALTER VIEW stats RENAME TO user_stats")
    assert not database.summary("user_stats", **USER_STATS)[0]
    database.sql("CREATE TABLE keeps (one user_stats__tasks)")
    with pytest.raises(ScaleoutError, match=r"column one of table public\.keeps"):
        database.summary("user_stats", state="absent", check_mode=True)
    database.sql("DROP TABLE keeps; ALTER VIEW user_stats__defining RENAME TO mine")
    with pytest.raises(ScaleoutError, match=r"view public\.mine"):
        database.summary("user_stats", tables=[OF_HABITS])
    database.sql("DROP VIEW mine")
    assert database.summary("user_stats", tables=[OF_HABITS])[1]["outcome"] == "changed"
