# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import contextlib
import pathlib

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, Refused
from ansible_collections.scaleout.platform.plugins.module_utils.postgres import volume
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.connection import Endpoint, Session
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions import gate
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.gate import Gate
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.pauses import (
    Limits,
    Reading,
    reasons,
)

MB = 1024**2


@pytest.mark.parametrize(
    ("options", "limits"),
    [
        (None, Limits(256 * MB, 1024 * MB, 16 * 1024 * MB)),
        ({"replica_lag": "1kB", "patience": 5}, Limits(1024, 1024 * MB, 16 * 1024 * MB, patience=5)),
        ({"replica_lag": "", "archive_lag": "0", "slot_retained": "0"}, Limits()),
        ({"free_disk": "10%"}, Limits(256 * MB, 1024 * MB, 16 * 1024 * MB, free_share=0.1)),
        ({"free_disk": "1GB"}, Limits(256 * MB, 1024 * MB, 16 * 1024 * MB, free_disk=1024 * MB)),
    ],
)
def test_limits(options, limits):
    assert Limits.of(options) == limits


@pytest.mark.parametrize(
    ("options", "option"),
    [
        ({"replica_lag": "much"}, "pauses.replica_lag"),
        ({"archive_lag": "-1"}, "pauses.archive_lag"),
        ({"free_disk": "100%"}, "pauses.free_disk"),
        ({"patience": -1}, "pauses.patience"),
    ],
)
def test_limits_that_cannot_be(options, option):
    with pytest.raises(InvalidInput) as refused:
        Limits.of(options)
    assert refused.value.facts["option"] == option


@pytest.mark.parametrize(
    ("reading", "said"),
    [
        (Reading(), []),
        (Reading(replicas={"b": 10, "a": 11 * MB}), ["the replica a is 11MB behind, more than replica_lag 10MB"]),
        (Reading(replicas={"unseen": None}), []),
        (Reading(archive=11 * MB), ["11MB of WAL wait to be archived, more than archive_lag 10MB"]),
        (Reading(slots={"s": 11 * MB}), ["the slot s keeps 11MB of WAL, more than slot_retained 10MB"]),
        (Reading(free=9, total=100), ["9B of the disk are free, less than free_disk 10B"]),
        (Reading(free=10, total=100), []),
    ],
)
def test_reasons(reading, said):
    limits = Limits(10 * MB, 10 * MB, 10 * MB, free_share=0.1)
    assert list(reasons(limits, reading)) == said


def test_a_gate_waits_until_nothing_is_behind(monkeypatch):
    clock = [100.0]
    readings = [Reading(archive=20), Reading(archive=30), Reading(archive=5), Reading(archive=40)]
    one = Gate(None, Limits(archive_lag=10, patience=10))
    monkeypatch.setattr(one, "_read", lambda: readings.pop(0))
    monkeypatch.setattr(gate.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(gate.time, "sleep", lambda seconds: clock.__setitem__(0, clock[0] + seconds))
    one.wait()
    assert clock == [102.0]
    assert one.result == {"seconds": 2.0, "reasons": ["30B of WAL wait to be archived, more than archive_lag 10B"]}
    # It does not ask again before there can be news.
    one.wait()
    assert len(readings) == 1


def test_a_gate_gives_up(monkeypatch):
    clock = [100.0]
    one = Gate(None, Limits(archive_lag=10, patience=3))
    monkeypatch.setattr(one, "_read", lambda: Reading(archive=20))
    monkeypatch.setattr(gate.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(gate.time, "sleep", lambda seconds: clock.__setitem__(0, clock[0] + seconds))
    with pytest.raises(Refused, match=r"20B of WAL wait to be archived.* for 3 s") as paused:
        one.wait()
    assert paused.value.code == "paused"
    assert one.result["seconds"] == 3


@contextlib.contextmanager
def session(server, database):
    one = Session(Endpoint(host=str(server.folder), user="postgres", database=database))
    try:
        yield one
    finally:
        one.close()


def test_a_gate_reads_slots_and_the_disk_of_a_real_server(server, database, client):
    client.run("SELECT pg_create_physical_replication_slot('keeps', true)")
    try:
        client.run("CREATE TABLE big AS SELECT repeat('x', 1000) FROM generate_series(1, 2000)")
        with session(server, database) as ours:
            one = Gate(ours, Limits.of({"slot_retained": "1MB", "free_disk": "1B", "patience": 0}))
            reading = one._read()
            assert reading.slots["keeps"] > MB
            assert 0 < reading.free < reading.total
            with pytest.raises(Refused, match="the slot keeps keeps"):
                one.wait()
            assert Gate(ours, Limits())._read() == Reading()
    finally:
        client.run("SELECT pg_drop_replication_slot('keeps')")


def test_the_disk_of_another_server_is_not_taken_for_this_one(server, database, monkeypatch, tmp_path):
    with session(server, database) as ours:
        real = ours.rows(volume._PLACE)[0]
        (tmp_path / "postmaster.pid").write_text(f"1\n{tmp_path}\n1\n5432\n", encoding="utf-8")
        monkeypatch.setattr(ours, "rows", lambda _query: [{**real, "data_directory": str(tmp_path)}])
        with pytest.raises(Refused, match="belongs to another server") as refused:
            volume.read(ours, "pauses.free_disk", "leave it out")
        assert refused.value.code == "not_local"
        assert pathlib.Path(real["data_directory"]).exists()
