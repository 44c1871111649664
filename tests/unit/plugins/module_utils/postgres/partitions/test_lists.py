# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Values of a list are compared as the server compares them, however they are written, against a real server."""

from __future__ import annotations

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError
from tests.unit.plugins.module_utils.postgres.partitions.visits import CHILDREN

#: A type, values of it as a person writes them, and the same in other words.
SPELLINGS = [
    ("boolean", {"done": "yes", "open": ["no", None]}, {"done": True, "open": [None, "off"]}),
    (
        "timestamptz",
        {"a": "2024-01-01 00:00", "b": "2024-02-01"},
        {"a": "2024-01-01T00:00Z", "b": "2024-02-01 01:00+01"},
    ),
    ("date", {"a": "1 January 2024", "b": "20240201"}, {"a": "2024-01-01", "b": "2024-02-01"}),
    ("numeric", {"a": ["1.50", 2], "b": 3}, {"a": ["2.0", "1.5"], "b": "3e0"}),
    ("numeric(6,2)", {"a": "1.5"}, {"a": "1.50"}),
    ("int", {"a": [1, "02"], "b": " 3 "}, {"a": ["2", "1"], "b": 3}),
    ("char(3)", {"a": "D", "b": "FR"}, {"a": "D  ", "b": "FR "}),
    ("varchar(20)", {"a": "it's", "b": "a\\\\b", "c": "%(s)s"}, {"a": "it's", "b": "a\\\\b", "c": "%(s)s"}),
    ("uuid", {"a": "018CC251F40000000000000000000000"}, {"a": "018cc251-f400-0000-0000-000000000000"}),
    ('"Odd %type"', {"a": "sad", "b": "it's"}, {"a": "sad", "b": "it's"}),
    ("interval", {"a": "24 hours", "b": "2 days"}, {"a": "1 day", "b": "48:00"}),
]


def without_null(values):
    """Return values as a primary key may have them."""
    listed = {word: one if isinstance(one, list) else [one] for word, one in values.items()}
    return {word: [one for one in texts if one is not None] for word, texts in listed.items()}


@pytest.mark.parametrize("made", ["plain", "by hand", "by us"])
@pytest.mark.parametrize(("kind", "first", "second"), SPELLINGS)
def test_another_spelling_is_no_change(keep, client, database, kind, first, second, made):
    client.run("""CREATE TYPE "Odd %type" AS ENUM ('sad', 'it''s')""")
    client.run(f"ALTER DATABASE {database} SET TimeZone = 'America/New_York'")
    client.run(f"ALTER DATABASE {database} SET DateStyle = 'SQL, DMY'")
    wanted = {"table": "tasks", "column": "of", "by": "list", "values": first}
    if made == "plain":
        if "Odd" in kind:
            pytest.skip("a table with a key of such a type is not split")
        first, second = without_null(first), without_null(second)
        wanted = {**wanted, "convert": True, "convert_old": "split", "values": first}
        client.run(f"CREATE TABLE tasks (id int, of {kind}, PRIMARY KEY (id, of))")
    else:
        client.run(f"CREATE TABLE tasks (id int, of {kind}) PARTITION BY LIST (of)")
    if made == "by hand":
        for word, values in first.items():
            texts = [None if one is None else str(one) for one in (values if isinstance(values, list) else [values])]
            parts = ", ".join(["%s"] * len(texts))
            client.run(f"CREATE TABLE tasks_{word} PARTITION OF tasks FOR VALUES IN ({parts})", texts)
    else:
        assert keep(wanted).changed
    there = client.rows(CHILDREN, ("tasks",))
    assert len(there) == len(first)
    assert not keep(wanted).changed
    assert not keep({**wanted, "values": second}).changed
    assert client.rows(CHILDREN, ("tasks",)) == there


def test_values_that_are_none_or_the_same(keep, client):
    client.run("CREATE TABLE tasks (id int, of boolean) PARTITION BY LIST (of)")
    client.run("CREATE TABLE other (id int, of int) PARTITION BY LIST (of)")
    listed = {"table": "tasks", "column": "of", "by": "list"}
    good = {**listed, "table": "other", "values": {"a": [1, "01"]}}
    for values, said in (
        ({"a": "perhaps"}, "invalid input syntax for type boolean"),
        ({"a": "no", "b": "off"}, "is in a and in b"),
    ):
        for check in (True, False):
            with pytest.raises(ScaleoutError) as failed:
                keep({**listed, "values": values}, good, check=check)
            assert failed.value.code == "invalid_input"
            assert "public.tasks: values: " in failed.value.message
            assert said in failed.value.message
    assert len(client.rows(CHILDREN, ("other",))) == 1
    assert client.rows(CHILDREN, ("tasks",)) == []


def test_rows_of_a_default_partition_go_to_their_value(keep, client):
    client.run("CREATE TABLE tasks (id int, of boolean NOT NULL, PRIMARY KEY (id, of)) PARTITION BY LIST (of)")
    client.run("CREATE TABLE tasks_default PARTITION OF tasks DEFAULT")
    client.run("INSERT INTO tasks VALUES (1, true), (2, false)")
    listed = {"table": "tasks", "column": "of", "by": "list", "values": {"done": "yes", "open": "no"}}
    assert keep(listed).result["sets"][0]["moved"] == 2
    assert client.rows("SELECT tableoid::regclass::text, id FROM tasks ORDER BY id") == [
        ("tasks_done", 1),
        ("tasks_open", 2),
    ]
    assert not keep(listed).changed
