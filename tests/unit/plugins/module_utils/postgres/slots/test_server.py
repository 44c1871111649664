# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an apply that stops half way says, and whose disk the guard looks at."""

from __future__ import annotations

import os
import time

import pytest
from psycopg2 import sql

from ansible_collections.scaleout.platform.plugins.module_utils.errors import (
    Denied,
    PartlyApplied,
    Refused,
    ScaleoutError,
    Unreachable,
)
from ansible_collections.scaleout.platform.plugins.module_utils.postgres import connection, volume
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.slots import server
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.slots.plan import (
    Alter,
    Checkpoint,
    Create,
    Drop,
    Register,
)
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.slots.registry import Entry

RESTART = Unreachable("PostgreSQL", "pg1", 5432, "terminating connection due to administrator command")
LOST_RIGHTS = Refused("PostgreSQL at pg1:5432 refused: permission denied to use replication slots.", sqlstate="42501")
IN_USE = Refused("PostgreSQL at pg1:5432 refused: replication slot is active.", sqlstate="55006")


class Session:
    """Stands for a connection; it fails when a statement on one of the slots comes."""

    def __init__(self, version=150004, fails=None, rows=()):
        self.version = version
        self.fails = fails or {}
        self.endpoint = connection.Endpoint()
        self.answers = list(rows)
        self.ran = []
        self.timeouts = []

    def run(self, statement, parameters=(), timeout=None):
        self.ran.append((statement, parameters))
        self.timeouts.append(timeout)
        error = self.fails.get(parameters[0] if parameters else statement)
        if error:
            raise error

    def rows(self, statement, parameters=None):
        self.ran.append((statement, parameters))
        return self.answers


@pytest.mark.parametrize(
    ("actions", "error", "says", "done"),
    [
        (
            [Create("a"), Create("b"), Create("c")],
            LOST_RIGHTS,
            ["permission denied", "Done before: create a. Not done: create b, create c."],
            1,
        ),
        ([Drop("a"), Create("b"), Create("c")], RESTART, ["Whether it did create b cannot be known"], 1),
        ([Drop("b"), Create("b")], LOST_RIGHTS, ["permission denied"], 0),
    ],
)
def test_an_apply_that_stops_half_way(actions, error, says, done):
    session = Session(fails={"b": error})
    with pytest.raises(ScaleoutError) as stopped:
        server.apply(session, actions, 60)
    assert len(stopped.value.facts.get("done", [])) == done
    for text in says:
        assert text in stopped.value.message


def test_a_slot_that_is_missing_after_a_failed_recreation_is_named():
    class OnlyDrops(Session):
        def run(self, statement, parameters=(), timeout=None):
            if "create" in statement:
                raise LOST_RIGHTS
            super().run(statement, parameters)

    with pytest.raises(PartlyApplied, match="The slot a was dropped to recreate it and is missing now"):
        server.apply(OnlyDrops(), [Drop("a"), Create("a")], 60)


def test_no_slot_is_dropped_for_one_in_a_database_that_refuses_connections(monkeypatch):
    def refuse(endpoint):
        raise Unreachable("PostgreSQL", endpoint.place, endpoint.port, f"no way into {endpoint.database}")

    monkeypatch.setattr(server, "Session", refuse)
    session = Session()
    with pytest.raises(ScaleoutError, match="no way into shard_0") as stopped:
        server.apply(session, [Drop("a"), Create("a", "pgoutput", "shard_0")], 60)
    assert not [statement for statement, parameters in session.ran if "drop" in statement]
    assert "cannot be known" not in stopped.value.message


def test_slots_of_any_database_are_altered_over_one_connection(monkeypatch):
    opened = []

    class Walsender:
        sql = sql

        def __init__(self, endpoint):
            opened.append(endpoint)
            self.ran = []

        def run(self, statement):
            self.ran.append(statement)

        def close(self):
            opened.append("closed")
            assert len(self.ran) == 2

    monkeypatch.setattr(server, "Session", Walsender)
    server.apply(Session(170002), [Alter("a", True), Alter("b", False)], 60)
    assert [getattr(one, "parameters", one) for one in opened] == [{"replication": "database"}, "closed"]


def test_a_way_for_replication_that_is_closed_is_no_doubt_about_the_slot(monkeypatch):
    def refuse(endpoint):
        raise Unreachable("PostgreSQL", endpoint.place, endpoint.port, "no entry in pg_hba.conf")

    monkeypatch.setattr(server, "Session", refuse)
    with pytest.raises(ScaleoutError, match="no entry") as stopped:
        server.apply(Session(170002), [Alter("a", True)], 60)
    assert "cannot be known" not in stopped.value.message


def test_the_guard_spares_whoever_came_back_and_creates_nothing_in_its_place():
    session = Session(fails={"a": IN_USE})
    server.apply(session, [Drop("a", spare=True), Create("a"), Drop("b", spare=True), Checkpoint()], 60)
    assert [parameters for statement, parameters in session.ran if "drop" in statement] == [("a",), ("b",)]
    assert not [statement for statement, parameters in session.ran if "create" in statement]


GONE = Refused("PostgreSQL at pg1:5432 refused: replication slot does not exist.", sqlstate="42704")


class Rivals(Session):
    """Another task drops the slot as well: it holds it for two tries, and then it is gone."""

    def run(self, statement, parameters=(), timeout=None):
        super().run(statement, parameters, timeout)
        if "drop" in statement:
            raise IN_USE if sum("drop" in ran for ran, _parameters in self.ran) < 3 else GONE


def test_m6_another_task_that_drops_the_slot_too_is_waited_for():
    session = Rivals()
    server.apply(session, [Drop("a")], 60)
    assert len(session.ran) == 3


def test_m6_a_slot_that_stays_in_use_is_not_dropped(monkeypatch):
    monkeypatch.setattr(server, "RIVAL_TIMEOUT", 0.1)
    with pytest.raises(ScaleoutError) as refusal:
        server.apply(Session(fails={"a": IN_USE}), [Drop("a")], 60)
    assert refusal.value.facts["sqlstate"] == "55006"


def test_no_right_to_a_checkpoint_is_no_failure():
    server.apply(Session(fails={"CHECKPOINT": LOST_RIGHTS}), [Drop("a", spare=True), Checkpoint()], 60)
    with pytest.raises(PartlyApplied):
        server.apply(Session(fails={"CHECKPOINT": RESTART}), [Drop("a", spare=True), Checkpoint()], 60)


@pytest.mark.parametrize(
    ("version", "parameters"),
    [(150004, ("a", "pgoutput", False, True)), (170002, ("a", "pgoutput", False, True, True))],
)
def test_only_version_17_is_told_of_failover(version, parameters):
    session = Session(version)
    server.apply(session, [Create("a", "pgoutput", "postgres", two_phase=True, failover=True)], 60)
    statement, given = session.ran[-1]
    assert given == parameters
    assert statement.count("%s") == len(parameters)


@pytest.mark.parametrize(("version", "has"), [(150004, []), (160001, ["conflicting"]), (170001, ["inactive_since"])])
def test_the_columns_of_each_version(version, has):
    session = Session(version)
    server.read_slots(session)
    statement = session.ran[0][0]
    assert [name for name in ("conflicting", "inactive_since") if name in statement] == has


def test_m4_the_time_limit_is_of_each_statement_and_not_of_the_session():
    session = Session()
    server.apply(session, [Drop("a", force=True), Create("b"), Create("c", "pgoutput", "postgres"), Checkpoint()], 7)
    assert [statement for statement, _parameters in session.ran if "timeout" in statement or "SET" in statement] == []
    assert session.timeouts == [7] * 5


def test_m6_what_is_gone_already_need_not_be_dropped():
    session = Session(fails={"a": Refused("replication slot does not exist", sqlstate="42704")})
    server.apply(session, [Drop("a"), Drop("a", spare=True), Drop("b")], 60)
    assert [parameters for statement, parameters in session.ran if "drop" in statement][-1] == ("b",)


@pytest.mark.parametrize(
    ("slot", "done"),
    [
        ({}, True),
        ({"plugin": "test_decoding"}, False),
        ({"database": "other"}, False),
        ({"slot_type": "physical", "plugin": None, "database": None}, False),
        ({"two_phase": True}, False),
        ({"temporary": True}, False),
        (None, False),
    ],
)
def test_m6_what_is_there_already_need_not_be_created(slot, done):
    row = {"name": "a", "slot_type": "logical", "plugin": "pgoutput", "database": "postgres"}
    row["confirmed_flush_lsn"] = "0/1"
    exists = Refused("replication slot already exists", code="refused", sqlstate="42710")
    session = Session(fails={"a": exists}, rows=[] if slot is None else [{**row, **slot}])
    if done:
        server.apply(session, [Create("a", "pgoutput", "postgres")], 60)
        return
    with pytest.raises(ScaleoutError, match="already exists"):
        server.apply(session, [Create("a", "pgoutput", "postgres")], 60)


def test_a_slot_that_another_session_is_making_is_waited_for(monkeypatch):
    class Rival(Session):
        def rows(self, statement, parameters=None):
            self.fails = {}  # It gives up.
            return super().rows(statement, parameters)

    monkeypatch.setattr(server.time, "sleep", lambda _seconds: None)
    exists = Refused("replication slot already exists", code="refused", sqlstate="42710")
    row = {"name": "a", "slot_type": "logical", "plugin": "pgoutput", "database": "postgres"}
    session = Rival(fails={"a": exists}, rows=[row])
    server.apply(session, [Create("a", "pgoutput", "postgres")], 60)
    assert [parameters for _statement, parameters in session.ran if parameters] == [("a", "pgoutput", False, False)] * 2
    with pytest.raises(Refused, match="already exists"):
        server._made(Session(fails={"a": exists}, rows=[row]), Create("a", "pgoutput", "postgres"), 60, last=True)


def test_patroni_is_told_first_and_named_in_what_was_done():
    told = []
    register = Register((Entry("a", "permanent"), Entry("b", None)))
    with pytest.raises(PartlyApplied, match=r"Done before: tell Patroni of a, b\. Not done: create a\.") as stopped:
        server.apply(Session(fails={"a": LOST_RIGHTS}), [register, Create("a")], 60, told.append)
    assert told == [register]
    assert stopped.value.facts["done"] == ["tell Patroni of a, b"]


def test_whether_patroni_did_what_it_denied_is_known():
    def deny(_action):
        raise Denied("Patroni", "pg1", 8008, "it answered 401")

    with pytest.raises(ScaleoutError, match=r"it answered 401\.$") as stopped:
        server.apply(Session(), [Register((Entry("a", "permanent"),)), Create("a")], 60, deny)
    assert stopped.value.code == "denied"


def test_m2_what_a_query_means_is_up_to_no_setting():
    # With standard_conforming_strings off, a backslash is an escape.
    for query in (server._SERVER, server._SLOTS, volume._PLACE, server._FAILOVER):
        assert "\\" not in query


@pytest.fixture
def place(tmp_path):
    (tmp_path / "pg_wal").mkdir()
    started = int(time.time())
    (tmp_path / "postmaster.pid").write_text(f"7\n{tmp_path}\n{started}\n5432\n/run\n*\n1 2\nready\n", encoding="utf-8")
    return {"local": True, "data_directory": str(tmp_path), "port": 5432, "started": started + 1, "segment": 1024}


def test_the_volume_of_the_wal(place):
    disk = server._disk(Session(rows=[place]))
    real = os.statvfs(place["data_directory"])
    assert disk.total == real.f_blocks * real.f_frsize
    assert 0 < disk.free <= disk.total
    assert disk.segment == 1024


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ({"local": False}, "is another one"),
        ({"data_directory": None}, "who may read the setting data_directory"),
        ({"data_directory": "/no/such/place"}, "cannot look at /no/such/place on this host: No such file"),
        ({"port": 5433}, "belongs to another server"),
        ({"started": 12345}, "belongs to another server"),
    ],
)
def test_the_disk_of_another_host_is_refused(place, facts, says):
    with pytest.raises(Refused, match=says):
        server._disk(Session(rows=[{**place, **facts}]))
