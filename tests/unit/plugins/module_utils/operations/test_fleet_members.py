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
        defaults["when_unreachable"] = fleet_members.STATIC
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
    said = ["Cannot reach Consul at 192.0.2.61:8500: no reason. The inventory is used as it is."]
    assert (answer.records, answer.warnings, answer.remarks) == (
        {},
        said if told == "warning" else [],
        said if told == "remark" else [],
    )
    cached = {"seen": "then", "records": {"api": RECORD.document()}}
    answer = ask(cached, expected=expected)
    assert answer.records == {"api": RECORD}
    assert answer.warnings[0].endswith("no reason. The members seen at then are used: api.")


LOST = [
    "Consul has no record of api, and had one at then. The members seen then are used. "
    "If the platform was made new, delete the file seen."
]


def test_l4_what_is_asked_is_kept_and_never_deleted(ask, consul, tmp_path):
    kept = tmp_path / "seen" / "members.json"
    assert ask() == fleet_members.Answer()
    assert json.loads(kept.read_text())["records"] == {}
    consul.hold("m/api", json.dumps(RECORD.document()).encode())
    assert ask().records == {"api": RECORD}
    assert json.loads(kept.read_text())["records"] == {"api": RECORD.document()}
    del consul.kv["m/api"]
    cached = {"seen": "then", "records": {"api": RECORD.document()}}
    assert ask(cached) == fleet_members.Answer({"api": RECORD}, LOST)
    assert json.loads(kept.read_text()) == {**cached, "inventory": ""}


def test_l4_a_record_that_is_left_does_not_make_a_lost_one_new(ask, consul, tmp_path):
    other = Record("shop", (Member("shop1", "192.0.2.9", "static"),))
    consul.hold("m/shop", json.dumps(other.document()).encode())
    cached = {"seen": "then", "records": {"api": RECORD.document()}}
    answer = ask(cached, groups=["api", "shop"])
    assert answer == fleet_members.Answer({"api": RECORD, "shop": other}, LOST)
    assert json.loads((tmp_path / "seen" / "members.json").read_text())["seen"] == "then"


@pytest.mark.parametrize("mode", [fleet_members.CACHED, fleet_members.FAIL, fleet_members.STATIC])
def test_l4_a_record_that_cannot_be_is_not_one_that_is_missing(ask, consul, mode):
    consul.hold("m/api", b"{}")
    with pytest.raises(fleet_members.MembersUnknown) as refusal:
        ask(when_unreachable=mode)
    assert refusal.value.message.startswith(
        "The key m/api in Consul is not a record of members: Its version is None, and 1 is the one known here. "
    )
    assert refusal.value.code == "members_unknown"


@pytest.mark.parametrize(
    ("error", "named"), [(Denied, True), (Unreachable, False), (NoLeader, False), (Stranger, False)]
)
def test_l4_the_token_is_named_where_it_is_refused(ask, consul, error, named):
    def fail(_folder):
        raise error("Consul", "192.0.2.61", 8500, "no reason")

    consul.entries = fail
    with pytest.raises(fleet_members.MembersUnknown) as refusal:
        ask(when_unreachable=fleet_members.CACHED, token_source="The token is that one.")
    assert ("no reason. The token is that one. The members of api are unknown" in refusal.value.message) is named
    # A Consul that refuses is there: this is no first run.
    assert ("SCALEOUT_WHEN_UNREACHABLE=static" in refusal.value.message) is not named
    cached = {"seen": "then", "records": {"api": RECORD.document()}}
    answer = ask(cached, when_unreachable=fleet_members.CACHED, token_source="The token is that one.")
    assert ("no reason. The token is that one. The members seen at then are used: api." in answer.warnings[0]) is named


def test_l4_an_inventory_without_a_consul_has_the_members_seen_last(ask):
    cached = {"seen": "then", "records": {"api": RECORD.document()}}
    answer = ask(cached, servers=[])
    assert answer.records == {"api": RECORD}
    assert answer.warnings == ["The inventory names no server of Consul. The members seen at then are used: api."]


@pytest.mark.parametrize("mode", [fleet_members.CACHED, fleet_members.STATIC])
def test_l4_a_platform_that_was_never_scaled_survives_its_consul(ask, mode):
    answer = ask({"seen": "then", "records": {}}, servers=[], when_unreachable=mode)
    assert answer.records == {}
    assert answer.warnings == [
        "The inventory names no server of Consul. The inventory is used as it is: at then there was no record."
    ]
