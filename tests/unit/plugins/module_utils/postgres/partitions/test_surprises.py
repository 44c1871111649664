# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What someone who is new to sets would not expect is said, and what was put away comes back, against a real server."""

from __future__ import annotations

import datetime
import re

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError
from tests.unit.docs.pages import blocks, text_of
from tests.unit.plugins.module_utils.postgres.partitions.visits import CHILDREN, CREATE_VISITS, VISITS, months, old

#: A statement of the page, by what it begins with.
SQL = {one.split("\n")[0]: one for one in blocks("docs/partitions.md", "sql")}


@pytest.mark.parametrize(("action", "schema"), [("detach", "public"), ("move", "attic")])
def test_much_that_is_put_away_is_said(keep, client, action, schema):
    client.run(CREATE_VISITS)
    client.run("CREATE SCHEMA attic")
    names = old(client, "visits", 6)
    wanted = {**VISITS, "retention": "1 day", "retention_action": action}
    wanted.update({"move_to": "attic"} if action == "move" else {})
    client.run("SELECT pg_stat_force_next_flush()")
    for check in (True, False):
        plan = keep(wanted, check=check)
        gone = [one["name"] for one in plan.result["sets"][0]["retired"]]
        assert gone == names[: len(gone)]
        (said,) = plan.warnings
        assert re.match(
            rf"public.visits: retention day takes {len(gone)} of 6 partitions( with some (83|100) % of the rows)? "
            rf"\({', '.join(names[:3])} …\) out of the table",
            said,
        )
        assert f"a table of its own in the schema {schema}" in said
    assert not keep(wanted).warnings


def test_few_that_are_put_away_are_not_said(keep, client):
    client.run(CREATE_VISITS)
    old(client, "visits", 10)
    client.run("ANALYZE")
    plan = keep({**VISITS, "retention": "9 months"})
    assert len(plan.result["sets"][0]["retired"]) == 1
    assert plan.warnings == ()
    client.run("INSERT INTO visits SELECT n, (SELECT min(seen_at) FROM visits) FROM generate_series(1, 200) n")
    client.run("ANALYZE")
    plan = keep({**VISITS, "retention": "8 months"})
    assert len(plan.result["sets"][0]["retired"]) == 1
    assert "with some 7" in plan.warnings[0] or "with some 6" in plan.warnings[0]


@pytest.mark.parametrize("action", ["detach", "move"])
def test_what_grows_old_each_night_is_said_once(keep, client, action):
    """With a short retention, what goes each night is more than a fifth of the rows."""
    client.run(CREATE_VISITS)
    client.run("CREATE SCHEMA attic")
    wanted = {**VISITS, "retention": "1 day", "retention_action": action}
    wanted.update({"move_to": "attic"} if action == "move" else {})
    keep(VISITS)
    names = old(client, "visits", 4)
    said = [len(keep(wanted, check=check).warnings) for check in (True, False)]
    assert said == [1, 1]
    for _night in range(2):
        for name in names:
            client.run(f"DROP TABLE {'attic.' if action == 'move' else ''}{name}")
        old(client, "visits", 4)
        assert not keep(wanted, check=True).warnings
        plan = keep(wanted)
        assert [one["name"] for one in plan.result["sets"][0]["retired"]] == names
        assert not plan.warnings
        # A run that has none does not make the next one the first.
        assert not keep(VISITS).changed
    for name in names:
        client.run(f"DROP TABLE {'attic.' if action == 'move' else ''}{name}")
    old(client, "visits", 4)
    assert len(keep({**wanted, "retention": "2 days"}).warnings) == 1


def test_what_a_new_retention_could_not_put_away_is_said_all_the_same(keep, client, server, database):
    client.run(CREATE_VISITS)
    names = old(client, "visits", 4)
    client.run("ANALYZE")
    with server.connect(database) as other:
        other.run(f"BEGIN; LOCK TABLE {names[0]} IN ACCESS SHARE MODE")
        with pytest.raises(ScaleoutError) as caught:
            keep({**VISITS, "retention": "1 day"})
    assert caught.value.code == "locked"
    assert "takes 4 of 4 partitions" in caught.value.facts["warnings"][0]
    plan = keep({**VISITS, "retention": "1 day"})
    assert (plan.changed, plan.warnings) == (True, ())


def uuid_of(moment):
    return f"rpad(lpad(to_hex((extract(epoch FROM {moment}) * 1000)::bigint), 12, '0'), 32, '0')::uuid"


def page_bound(client, kind, shown):
    """Return a bound as the page has it written, from what a result shows."""
    for first, query in SQL.items():
        if (
            first.startswith("SELECT")
            and kind in ("uuid", "bigint")
            and ":" in shown
            and ("uuid" in first) == (kind == "uuid")
        ):
            return client.one(query.replace("2024-01-01 00:00:00+00", shown))
    return shown


@pytest.mark.parametrize("action", ["detach", "move"])
@pytest.mark.parametrize(
    ("kind", "value", "options"),
    [
        ("timestamptz", "now() - interval '100 days'", {"retention": "2 months"}),
        ("bigint", "extract(epoch FROM now() - interval '100 days') * 1000", {"kind": "epoch_milliseconds"}),
        ("uuid", uuid_of("now() - interval '100 days'"), {"retention": "2 months"}),
        ("bigint", "0", {"interval": "1000", "retention": "2000"}),
    ],
)
def test_what_was_put_away_is_put_back_as_the_page_says(keep, client, kind, value, options, action):
    client.run(
        f"CREATE TABLE visits (id bigint, seen_at {kind}, PRIMARY KEY (id, seen_at)) PARTITION BY RANGE (seen_at)"
    )
    client.run("CREATE SCHEMA attic")
    kept = {**VISITS, **options, "retention": None, "premake": 1}
    keep({**kept, "past": 0 if "interval" in options else 5})
    client.run(f"INSERT INTO visits VALUES (1, {value})")
    before = client.rows(CHILDREN, ("visits",))
    if "interval" in options:
        client.run("CREATE TABLE visits_n5000 PARTITION OF visits FOR VALUES FROM (5000) TO (6000)")
        client.run("INSERT INTO visits VALUES (2, 5000)")
    wanted = {**kept, "retention": options.get("retention", "2 months"), "retention_action": action}
    wanted.update({"move_to": "attic"} if action == "move" else {})
    gone = keep(wanted).result["sets"][0]["retired"]
    assert gone
    assert client.one("SELECT count(*) FROM visits WHERE id = 1") == 0
    if action == "detach":
        # Whoever wants more of the past than is attached is told what is in the way.
        with pytest.raises(ScaleoutError) as refused:
            keep({**kept, "past": 6})
        assert refused.value.code == "name_taken"
        assert "It has the columns of this table" in refused.value.message
    for one in gone:
        if action == "move":
            client.run(
                SQL["ALTER TABLE attic.visits_y2024m01 SET SCHEMA public"].replace("visits_y2024m01", one["name"])
            )
        lower, upper = re.fullmatch("FROM (.*) TO (.*)", one["bounds"]).groups()
        statement = SQL["ALTER TABLE public.visits ATTACH PARTITION public.visits_y2024m01"]
        statement = statement.replace("visits_y2024m01", one["name"])
        statement = statement.replace("2024-01-01 00:00:00+00", "{lower}").replace("2024-02-01 00:00:00+00", "{upper}")
        edges = {"lower": page_bound(client, kind, lower), "upper": page_bound(client, kind, upper)}
        client.run(statement.format(**edges))
    assert set(before) <= set(client.rows(CHILDREN, ("visits",)))
    assert client.one("SELECT count(*) FROM visits WHERE id = 1") == 1
    assert not keep(kept).changed


def test_a_table_of_something_else_is_not_taken_for_one_that_was_put_away(keep, client):
    client.run(CREATE_VISITS)
    names = old(client, "visits", 2)
    client.run(f"ALTER TABLE visits DETACH PARTITION {names[0]}")
    client.run(f"ALTER TABLE {names[0]} ADD other int")
    with pytest.raises(ScaleoutError) as refused:
        keep({**VISITS, "past": 2})
    assert refused.value.code == "name_taken"
    assert "It has the columns" not in refused.value.message


@pytest.mark.parametrize(
    ("kind", "rows", "options", "when"),
    [
        (
            "timestamptz",
            "now() - n * interval '1 day'",
            {"retention": "2 months"},
            r"before \d{4}-\d\d-01 00:00:00\+00",
        ),
        ("date", "now() - n * interval '1 day'", {"retention": "30 days"}, r"before \d{4}-\d\d-\d\d\."),
        ("timestamptz", "now() - n * interval '1 day'", {"retention": "2000 years"}, r"before 40\d\d-"),
        ("timestamp", "CASE n WHEN 1 THEN '-infinity' ELSE now() END", {"retention": "year"}, "since -infinity as one"),
        ("bigint", "n", {"interval": "10", "retention": "1000"}, "before seen_at has reached 1130"),
        ("timestamptz", "now()", {"retention": "1 day"}, None),
        ("timestamptz", "now() - n * interval '1 day'", {"retention": "2 months", "convert_old": "split"}, None),
        ("timestamptz", "now() - n * interval '1 day'", {}, None),
    ],
)
def test_rows_that_retention_does_not_reach_are_said(keep, client, kind, rows, options, when):
    client.run(f"CREATE TABLE visits (id bigint, seen_at {kind} NOT NULL, PRIMARY KEY (id, seen_at))")
    client.run(f"INSERT INTO visits SELECT n, {rows} FROM generate_series(1, 100) n")
    wanted = {**VISITS, "convert": True, **options}
    for check in (True, False):
        said = [one for one in keep(wanted, check=check).warnings if "as one partition" in one]
        assert len(said) == (when is not None)
        assert all("public.visits: visits_converted holds all rows since" in one for one in said)
        assert all(re.search(when, one) for one in said)
    assert not keep(wanted, check=True).warnings


@pytest.mark.parametrize("more", [0, 90])
def test_another_interval_is_said_once(keep, client, more):
    client.run(CREATE_VISITS)
    keep(VISITS)
    edge = f"{months(4)[3]} 00:00:00+00"
    daily = {**VISITS, "interval": "day", "premake": more}
    for check in (True, False):
        plan = keep(daily, check=check)
        assert "public.visits: the interval was month and is day from now on" in plan.warnings[0]
        assert f"begins at {edge}." in plan.warnings[0]
    assert not keep(daily).warnings
    edges = [bound for _name, bound in client.rows(CHILDREN, ("visits",))]
    assert len(edges) == 3 or any(f"FROM ('{edge}')" in one for one in edges)


def test_a_longer_interval_begins_where_the_last_partition_ends(keep, client):
    client.run(CREATE_VISITS)
    third = months(3)[2]
    daily = {**VISITS, "interval": "day"}
    left = (third - datetime.datetime.now(datetime.UTC).date()).days - 1
    keep({**daily, "past": 31, "premake": left + 1})
    with pytest.raises(ScaleoutError) as refused:
        keep(VISITS)
    assert refused.value.code == "overlap"
    client.run(f"DROP TABLE visits_y{third.year}m{third.month:02d}d01")
    plan = keep(VISITS)
    assert f"begins at {third} 00:00:00+00." in plan.warnings[0]


#: What an application has, by the kind of its key.
MESSAGES = """CREATE TABLE messages (id {0}, sent_at timestamptz NOT NULL DEFAULT now(), note text CHECK (note <> ''),
    PRIMARY KEY (id, sent_at));
CREATE INDEX ON messages (note); COMMENT ON TABLE messages IS 'of ours';
INSERT INTO messages (sent_at, note) SELECT now() - n * interval '1 day', n FROM generate_series(1, 50) n"""


@pytest.mark.parametrize("kind", ["bigint GENERATED ALWAYS AS IDENTITY", "bigserial"])
def test_the_way_back_to_a_plain_table_is_as_the_page_says(keep, client, kind):
    client.run(MESSAGES.format(kind))
    keep({"table": "messages", "column": "sent_at", "interval": "month", "premake": 3, "convert": True})
    client.run("INSERT INTO messages (sent_at, note) VALUES (now() + interval '65 days', 'new')")
    rows = client.rows("SELECT * FROM messages ORDER BY id")
    client.run(SQL["BEGIN;"])
    page = text_of("docs/partitions.md")
    setval, owned = (re.search(f"`({begin}.*?)`", page)[1] for begin in ("SELECT setval", "ALTER SEQUENCE messages"))
    client.run(owned if kind == "bigserial" else setval)
    assert client.one("SELECT relkind::text FROM pg_class WHERE oid = 'messages'::regclass") == "r"
    assert client.rows("SELECT * FROM messages ORDER BY id") == rows
    client.run("INSERT INTO messages (note) VALUES ('newer')")
    assert client.one("SELECT max(id) FROM messages") == 52
    old_one = {"table": "messages_partitioned", "state": "absent", "confirm": "messages_partitioned"}
    client.run("CREATE VIEW v AS SELECT * FROM messages_partitioned")
    with pytest.raises(ScaleoutError) as refused:
        keep(old_one)
    assert refused.value.code == "depended_on"
    client.run("DROP VIEW v")
    keep(old_one)
    client.run("INSERT INTO messages (note) VALUES ('newest')")
    assert client.one("SELECT count(*) FROM messages") == 53
