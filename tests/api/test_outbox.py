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
