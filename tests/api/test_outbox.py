# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Events are written with the row that they tell of, or not at all."""

from __future__ import annotations

import typing as t
import uuid

import psycopg
import pytest
from api_lab.lab import Lab
from psycopg.rows import dict_row
from reference_api.outbox import Event, parameters_of, with_events
from reference_api.worker import relay


@pytest.fixture
def columns(lab: Lab) -> t.Iterator[t.Any]:
    """A transaction that is rolled back."""
    with lab.pg1.connect("shard_0") as connection:
        connection.row_factory = dict_row
        connection.cursor_factory = psycopg.ClientCursor
        with connection.transaction(force_rollback=True):
            yield connection


def test_a_row_brings_its_events(columns: t.Any) -> None:
    user_id = uuid.uuid4()
    events = [Event("user.created", ("name",)), Event("user.renamed", when="name = 'Bob'")]
    statement = "INSERT INTO users (id, name, email) VALUES (%(id)s, %(name)s, 'e') RETURNING id, name"
    for name, kinds in (("Ann", ["user.created"]), ("Bob", ["user.created", "user.renamed"])):
        user_id = uuid.uuid4()
        ids = iter([uuid.UUID(int=1), uuid.UUID(int=2)])
        parameters = {"id": user_id, "name": name, **parameters_of(events, user_id, lambda ids=ids: next(ids))}
        assert columns.execute(with_events(statement, events), parameters).fetchall() == [{"id": user_id, "name": name}]
        written = columns.execute("SELECT * FROM outbox WHERE user_id = %s ORDER BY id", [user_id]).fetchall()
        assert [row["kind"] for row in written] == kinds
        assert written[0]["payload"] == {"id": str(user_id), "name": name}


def test_no_row_brings_none(columns: t.Any) -> None:
    user_id = uuid.uuid4()
    events = [Event("user.deleted")]
    parameters = {"id": user_id, **parameters_of(events, user_id, uuid.uuid4)}
    statement = with_events("DELETE FROM users WHERE id = %(id)s RETURNING id", events)
    assert columns.execute(statement, parameters).fetchall() == []
    assert columns.execute("SELECT * FROM outbox WHERE user_id = %s", [user_id]).fetchall() == []


def test_c1_a_round_of_the_relay_does_not_read_the_backlog(columns: t.Any) -> None:
    columns.execute(
        "INSERT INTO outbox (user_id, id, kind, payload) SELECT gen_random_uuid(), gen_random_uuid(), 'a.b',"
        " jsonb_build_object('text', repeat('x', 200)) FROM generate_series(1, 100000)"
    )
    ids = columns.execute(relay.SELECT, {"limit": relay.ROUND}).fetchall()
    sent = {"user_ids": [row["user_id"] for row in ids], "ids": [row["id"] for row in ids]}
    for statement, parameters in ((relay.SELECT, {"limit": relay.ROUND}), (relay.DELETE, sent)):
        (row,) = columns.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", parameters).fetchall()
        plan = row["QUERY PLAN"][0]["Plan"]
        assert "outbox" not in {node.get("Relation Name") for node in nodes(plan) if node["Node Type"] == "Seq Scan"}
        # The table has 5,000 blocks and more.
        assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < 2_500, statement


def nodes(plan: dict[str, t.Any]) -> t.Iterator[dict[str, t.Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)
