# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What counts when Consul does not say, and who is told of it; the inventory's own tests ask a real HTTP server."""

from __future__ import annotations

import json

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.errors import (
    Denied,
    NoLeader,
    Stranger,
    UnexpectedAnswer,
    Unreachable,
)
from ansible_collections.scaleout.platform.plugins.module_utils.members.record import Member, Record
from ansible_collections.scaleout.platform.plugins.module_utils.operations import fleet_members

RECORD = Record("api", (Member("api1", "192.0.2.1", "static"),))
SERVER = {"consul_scheme": "http", "consul_host": "192.0.2.61", "consul_port": 8500}


@pytest.fixture(name="ask")
def _ask(consul, monkeypatch, tmp_path):
    monkeypatch.setattr(fleet_members.Consul, "from_options", lambda _options: consul)

    def ask(cached=None, **question):
        cache = tmp_path / "seen" / "members.json"
        if cached is not None:
            cache.parent.mkdir(exist_ok=True)
            cache.write_text(json.dumps(cached), encoding="utf-8")
        defaults = {"groups": ["api"], "servers": [SERVER], "expected": False, "prefix": "m/", "client": {}}
        given = {**defaults, "cache": str(cache), "cache_name": "seen", **question}
        return fleet_members.ask(fleet_members.Question(**given))

    return ask


@pytest.mark.parametrize(
    ("error", "expected", "told"),
    [
        (Unreachable, False, "remark"),
        (Stranger, False, "remark"),
        (Unreachable, True, "warning"),
        (Stranger, True, "warning"),
        (Denied, False, "warning"),
        (NoLeader, False, "warning"),
        (UnexpectedAnswer, False, "warning"),
    ],
)
def test_who_is_told_of_a_consul_that_does_not_say(ask, consul, error, expected, told):
    def fail(_folder):
        raise error("Consul", "192.0.2.61", 8500, "no reason")

    consul.entries = fail
    answer = ask(expected=expected)
    said = ["Cannot reach Consul at 192.0.2.61:8500: no reason. The inventory counts as it is."]
    assert (answer.records, answer.warnings, answer.remarks) == (
        {},
        said if told == "warning" else [],
        said if told == "remark" else [],
    )
    cached = {"seen": "then", "records": {"api": RECORD.document()}}
    answer = ask(cached, expected=expected)
    assert answer.records == {"api": RECORD}
    assert answer.warnings[0].endswith("no reason. The members of then count: api.")


def test_what_is_asked_is_kept(ask, consul, tmp_path):
    consul.hold("m/api", json.dumps(RECORD.document()).encode())
    assert ask().records == {"api": RECORD}
    assert json.loads((tmp_path / "seen" / "members.json").read_text())["records"] == {"api": RECORD.document()}
    del consul.kv["m/api"]
    assert ask() == fleet_members.Answer()
    assert not (tmp_path / "seen" / "members.json").exists()


def test_a_record_that_cannot_be_is_a_warning_for_everybody(ask, consul):
    consul.hold("m/api", b"{}")
    answer = ask()
    assert answer.records == {}
    assert answer.warnings == [
        "The key m/api in Consul is not a record of members: Its version is None, and 1 is the one known here. "
        "The inventory counts as it is."
    ]


def test_without_servers_nobody_is_asked_and_nobody_is_told(ask):
    cached = {"seen": "then", "records": {"api": RECORD.document()}}
    assert ask(cached, servers=[]) == fleet_members.Answer()
