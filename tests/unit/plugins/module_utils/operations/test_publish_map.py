# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the operation asks of Consul, against one that is a dict."""

from __future__ import annotations

import json

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.consul.client import Entry
from ansible_collections.scaleout.platform.plugins.module_utils.errors import Conflict, Refused, TooLarge
from ansible_collections.scaleout.platform.plugins.module_utils.operations.publish_map import PublishMap
from ansible_collections.scaleout.platform.plugins.module_utils.operations.read_map import MapStore
from ansible_collections.scaleout.platform.plugins.module_utils.sharding.spec import wanted_shards

PG1, PG2 = ({"host": host, "port": 5432} for host in ("pg1", "pg2"))
MAIN = {"name": "main", "members": [PG1]}
SHARD = {"id": 0, "cluster": "main"}
ONE = [MAIN], [SHARD]
WITH_REPLICA = [{"name": "main", "members": [PG1, PG2]}], [SHARD]
TWO = [MAIN, {"name": "other", "members": [PG2]}], [SHARD, {"id": 1, "cluster": "other"}]
FORMER = {
    "format": 1,
    "version": 7,
    "buckets": 4096,
    "shards": {"0": {"database": "shard_0", "primary": {"name": "pg1", **PG1}, "replicas": []}},
    "ranges": [[0, 4095, "0"]],
}


def versions(consul):
    return {key.rpartition("/")[2]: json.loads(entry.value)["version"] for key, entry in consul.kv.items()}


def task(consul, what, **params):
    defaults = {"keep_versions": 10, "expected_version": None, "login_user": ""}
    return PublishMap(MapStore(consul, "a/map"), {**defaults, **params}, wanted_shards(*what))


def publish(consul, what, **params):
    publisher = task(consul, what, **params)
    plan = publisher.plan()
    if plan.changed:
        publisher.apply(plan)
    return plan


def test_a_publication_is_three_requests_and_nothing_new_is_one(consul):
    assert publish(consul, ONE).changed
    assert consul.requests == 3
    assert versions(consul) == {"map": 1, "1": 1}
    assert consul.kv["a/map"].value == consul.kv["a/map.history/1"].value
    assert consul.kv["a/map.history/1"].flags > 1700000000
    again = publish(consul, ONE)
    assert not again.changed
    assert again.result["description"] == again.after.splitlines()
    assert consul.requests == 4


def test_the_last_versions_are_kept(consul):
    for turn in range(6):
        publish(consul, [ONE, WITH_REPLICA][turn % 2], keep_versions=3)
    assert versions(consul) == {"map": 6, "4": 4, "5": 5, "6": 6}
    assert publish(consul, ONE, keep_versions=1).result["removed_versions"] == [4, 5, 6]
    assert versions(consul) == {"map": 7, "7": 7}


def test_a_map_without_a_history_gets_one(consul):
    publish(consul, ONE)
    del consul.kv["a/map.history/1"]
    publish(consul, WITH_REPLICA)
    assert versions(consul) == {"map": 2, "1": 1, "2": 2}
    assert consul.kv["a/map.history/1"].flags == 0


@pytest.mark.parametrize("shards", [ONE, WITH_REPLICA])
def test_a_lost_key_goes_on_from_the_history(consul, shards):
    publish(consul, WITH_REPLICA)
    publish(consul, ONE)
    del consul.kv["a/map"]
    with pytest.raises(Refused, match="The shard map of version 2 stays as it is"):
        publish(consul, TWO)
    plan = publish(consul, shards)
    assert plan.result["version"] == 3
    assert "goes on from version 2" in plan.warnings[0]
    assert versions(consul) == {"map": 3, "1": 1, "2": 2, "3": 3}


def test_a_rival_wins_between_reading_and_writing(consul):
    publisher = task(consul, ONE)
    plan = publisher.plan()
    publish(consul, WITH_REPLICA)
    before = dict(consul.kv)
    with pytest.raises(Conflict, match="Another client changed the key a/map"):
        publisher.apply(plan)
    assert consul.kv == before


def test_a_change_is_made_for_one_version(consul):
    with pytest.raises(Conflict, match="expected_version: 1 is not the version of the map in force, which is none"):
        publish(consul, ONE, expected_version=1)
    publish(consul, ONE, expected_version=0)
    assert not publish(consul, ONE, expected_version=0).changed
    with pytest.raises(Conflict, match="expected_version: 2 is not the version of the map in force, which is 1"):
        publish(consul, WITH_REPLICA, expected_version=2)
    assert publish(consul, WITH_REPLICA, expected_version=1).changed


@pytest.mark.parametrize("value", [b"", b"hello", b"[]", b'{"format": 1}', b'{"format": 2}', b'{"format": 3}', b"\xff"])
def test_garbage_is_not_overwritten(consul, value):
    consul.kv["a/map"] = Entry(value, 1)
    with pytest.raises(Refused, match="is not a shard map, and it is not overwritten"):
        publish(consul, ONE)
    assert consul.kv == {"a/map": Entry(value, 1)}


def test_a_map_of_format_1_becomes_the_next_version_in_format_2(consul):
    consul.kv["a/map"] = consul.kv["a/map.history/7"] = Entry(json.dumps(FORMER).encode(), 1)
    assert publish(consul, ONE).changed
    written = json.loads(consul.kv["a/map"].value)
    assert (written["format"], written["version"]) == (2, 8)
    assert written["clusters"] == {"main": [{"name": "pg1", **PG1}]}
    assert json.loads(consul.kv["a/map.history/7"].value) == FORMER
    assert not publish(consul, ONE).changed
    with pytest.raises(Refused, match="from shard 0 to shard 1"):
        publish(consul, TWO)


def large(shards, servers=4, padding=0):
    """Shards with a cluster each; their names are as long as asked."""
    name = "x" * padding
    clusters = [
        {
            "name": f"c{n}",
            "members": [{"name": f"{name}{n}-{m}", "host": f"{name}{n}-{m}", "port": 5432} for m in range(servers)],
        }
        for n in range(shards)
    ]
    return clusters, [{"id": n, "cluster": f"c{n}"} for n in range(shards)]


LARGE, TOO_LARGE = large(512, padding=30), large(512, padding=100)


def test_m8_a_map_of_512_shards_is_published_in_requests_that_consul_takes(consul):
    assert publish(consul, LARGE).changed
    assert consul.requests == 4  # two to read, one for the copy, one for the map
    assert versions(consul) == {"map": 1, "1": 1}
    assert consul.kv["a/map"].value == consul.kv["a/map.history/1"].value
    assert consul.kv["a/map.history/1"].flags > 1700000000
    assert not publish(consul, LARGE).changed
    fewer = [{**cluster, "members": cluster["members"][:3]} for cluster in LARGE[0]], LARGE[1]
    assert publish(consul, fewer, keep_versions=1).result["removed_versions"] == [1]
    assert versions(consul) == {"map": 2, "2": 2}


def test_m8_a_map_that_consul_does_not_take_is_refused_before_anything_is_written(consul):
    with pytest.raises(TooLarge, match=r"under a/map is too large for Consul, which takes 524288 bytes"):
        task(consul, TOO_LARGE).plan()
    assert consul.kv == {}


def test_m8_a_rival_of_a_large_map_leaves_no_copy_of_it(consul):
    publisher = task(consul, LARGE)
    plan = publisher.plan()
    publish(consul, large(512, 3, 30))
    before = dict(consul.kv)
    with pytest.raises(Conflict, match="Another client changed the key a/map"):
        publisher.apply(plan)
    assert consul.kv == before


def test_m8_a_rival_between_the_copy_and_the_map_leaves_no_copy_of_ours(consul):
    publisher = task(consul, LARGE)
    plan = publisher.plan()

    def faster():
        if "a/map.history/1" in consul.kv and "a/map" not in consul.kv:
            consul.hold("a/map", b"theirs")

    consul.before_commit = faster
    with pytest.raises(Conflict, match="Another client changed the key a/map"):
        publisher.apply(plan)
    assert {key: entry.value for key, entry in consul.kv.items()} == {"a/map": b"theirs"}


def test_m8_a_copy_that_a_rival_wrote_over_is_not_published(consul):
    publisher = task(consul, LARGE)
    plan = publisher.plan()

    def overwrite():
        if "a/map.history/1" in consul.kv:
            consul.hold("a/map.history/1", b"{}")

    consul.before_commit = overwrite
    with pytest.raises(Conflict, match="Another client changed the key a/map"):
        publisher.apply(plan)
    assert "a/map" not in consul.kv


def test_a_refusal_says_how_to_get_an_estimate(consul):
    publish(consul, ONE)
    with pytest.raises(Refused, match=r"shard 0 to shard 1\. With login_user, the task estimates the rows") as refused:
        publish(consul, TWO)
    assert refused.value.facts["moves"] == [{"first": 2048, "last": 4095, "source": 0, "target": 1}]
