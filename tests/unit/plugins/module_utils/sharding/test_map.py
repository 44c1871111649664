# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The document of a map: what is read is what was written, and nothing else is read."""

from __future__ import annotations

import copy
import json
import re

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.sharding import map as shard_maps

DOCUMENT = {
    "format": 2,
    "version": 7,
    "buckets": 4096,
    "clusters": {
        "main": [
            {"name": "pg1", "host": "192.0.2.11", "port": 5432},
            {"name": "pg1r", "host": "192.0.2.12", "port": 5432},
        ],
        "other": [{"name": "pg2", "host": "2001:db8::2", "port": 6432, "pooler_port": 6433}],
    },
    "shards": {
        "0": {"cluster": "main", "database": "shard_0"},
        "1": {"cluster": "main", "database": "shard_1"},
        "10": {"cluster": "other", "database": "events"},
    },
    "ranges": [[0, 1023, "0"], [1024, 2047, "1"], [2048, 4095, "0"]],
}
FORMER = {
    "format": 1,
    "version": 7,
    "buckets": 4096,
    "shards": {
        "0": {
            "database": "shard_0",
            "primary": {"name": "pg1", "host": "192.0.2.11", "port": 5432},
            "replicas": [{"name": "pg1r", "host": "192.0.2.12", "port": 5432}],
        },
        "1": {
            "database": "shard_1",
            "primary": {"name": "pg1", "host": "192.0.2.11", "port": 5432},
            "replicas": [],
        },
        "10": {
            "database": "events",
            "primary": {"name": "pg2", "host": "2001:db8::2", "port": 6432, "pooler_port": 6433},
            "replicas": [],
        },
    },
    "ranges": [[0, 1023, "0"], [1024, 2047, "1"], [2048, 4095, "0"]],
}


def changed(*path, to, document=None):
    document = copy.deepcopy(document or DOCUMENT)
    place = document
    for step in path[:-1]:
        place = place[step]
    if to is KeyError:
        del place[path[-1]]
    else:
        place[path[-1]] = to
    return document


def test_a_document_survives_reading_and_writing():
    assert shard_maps.read(DOCUMENT).document() == DOCUMENT
    assert shard_maps.decode(json.dumps(DOCUMENT)).document() == DOCUMENT
    assert shard_maps.decode(json.dumps(DOCUMENT).encode()).document() == DOCUMENT


def test_a_document_of_format_1_is_read_and_written_in_format_2():
    shard_map = shard_maps.read(FORMER)
    assert shard_map.format == 1
    assert shard_map.text().startswith("version 7, 4096 buckets, format 1\ncluster pg1: ")
    clusters = {"pg1": DOCUMENT["clusters"]["main"], "pg2": DOCUMENT["clusters"]["other"]}
    shards = {
        "0": {"cluster": "pg1", "database": "shard_0"},
        "1": {"cluster": "pg1", "database": "shard_1"},
        "10": {"cluster": "pg2", "database": "events"},
    }
    assert shard_map.document() == {**DOCUMENT, "clusters": clusters, "shards": shards}


def test_the_text_has_a_line_for_each_cluster_and_shard():
    assert shard_maps.read(DOCUMENT).text() == (
        "version 7, 4096 buckets\n"
        "cluster main: pg1 (192.0.2.11:5432), pg1r (192.0.2.12:5432)\n"
        "cluster other: pg2 ([2001:db8::2]:6432, pooler 6433)\n"
        "shard 0: database shard_0 of main, buckets 0-1023, 2048-4095\n"
        "shard 1: database shard_1 of main, buckets 1024-2047\n"
        "shard 10: database events of other, buckets none\n"
    )


def test_a_bucket_has_an_owner():
    shard_map = shard_maps.read(DOCUMENT)
    assert [shard_map.owner(bucket).id for bucket in (0, 1023, 1024, 2047, 2048, 4095)] == [0, 0, 1, 1, 0, 0]
    with pytest.raises(KeyError):
        shard_map.shard(2)


@pytest.mark.parametrize(
    "text",
    ["", "{", "hello", b"\xff\xfe\xfa", b"\x80", "[" * 100000, "{'format': 1}"],
)
def test_what_is_not_json_is_refused(text):
    with pytest.raises(shard_maps.InvalidMap, match=r"^It is (not JSON|nested too deeply)\.$"):
        shard_maps.decode(text)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (None, "It is nothing, not an object."),
        ([], "It is a list, not an object."),
        ({}, "Its format is None, and 2 is the one known here."),
        (changed("format", to=3), "Its format is 3, and 2 is the one known here."),
        (changed("format", to=True), "Its format is True, and 2 is the one known here."),
        (changed("moving", to=[]), None),
        (
            changed("moving", to=[[0, 9, "0", "1", "copying"]]),
            "It has buckets that are moving, and this release cannot read such a map.",
        ),
        (changed("moving", to={}), "The description of its moving buckets is a dict, not a list."),
        (changed("clusters", to=[]), "Its clusters are a list, not an object."),
        (changed("clusters", to=KeyError), "The description of the map lacks the field clusters."),
        (changed("clusters", "main", to=[]), "The cluster main has no member."),
        (changed("clusters", "-x", to=DOCUMENT["clusters"]["other"]), "'-x' is not the name of a cluster."),
        (
            changed("clusters", "third", to=[{"name": "pg3", "host": "pg3", "port": 5432}]),
            "The cluster third holds no shard.",
        ),
        (
            changed("clusters", "other", 0, to=DOCUMENT["clusters"]["main"][1]),
            "The clusters main and other both claim the server pg1r (192.0.2.12:5432).",
        ),
        (changed("shards", "0", "cluster", to="x"), "Shard 0 is in the cluster 'x', which is not described."),
        (changed("shards", "0", "cluster", to=[]), "Shard 0 is in the cluster [], which is not described."),
        (
            changed("shards", "0", "primary", to=None),
            "The description of shard 0 has a field that is not known here: 'primary'.",
        ),
        (
            changed("shards", "0", "replicas", to=None, document=FORMER),
            "The description of the replicas of shard 0 is nothing, not a list.",
        ),
        (
            changed("shards", "0", "replicas", 0, "host", to=KeyError, document=FORMER),
            "The description of a member of the cluster pg1 lacks the field host.",
        ),
        (changed("shards", to=[], document=FORMER), "Its shards are a list, not an object."),
        (
            changed("clusters", to={}, document=FORMER),
            "The description of the map has a field that is not known here: 'clusters'.",
        ),
        (changed("version", to=KeyError), "The description of the map lacks the field version."),
        (changed("epoch", to=1), "The description of the map has a field that is not known here: 'epoch'."),
        (changed("version", to=0), "0 is not a version, which is a number from 1 on."),
        (changed("version", to="7"), "'7' is not a version, which is a number from 1 on."),
        (changed("version", to=True), "True is not a version, which is a number from 1 on."),
        (changed("buckets", to=4095), "4095 is not a number of buckets, which is a power of two."),
        (changed("buckets", to=-4096), "-4096 is not a number of buckets, which is a power of two."),
        (changed("buckets", to=8192), "The map does not cover each bucket once: buckets 4096-8191 belong to no shard."),
        (changed("shards", to=[]), "Its shards are a list, not an object."),
        (changed("shards", "0", to=None), "The description of shard 0 is nothing, not an object."),
        (changed("shards", "0", "database", to=""), "'' is not the name of a database for shard 0."),
        (changed("shards", "0", "database", to="a\nb"), "'a\\nb' is not the name of a database for shard 0."),
        (
            changed("shards", "0", "database", to="ß" * 32),
            f"{'ß' * 32!r} is not the name of a database for shard 0: PostgreSQL keeps 63 bytes of a name.",
        ),
        (changed("clusters", "main", to=None), "The description of the cluster main is nothing, not a list."),
        (
            changed("clusters", "main", 1, "host", to=KeyError),
            "The description of a member of the cluster main lacks the field host.",
        ),
        (changed("clusters", "main", 1, "name", to="pg1"), "The cluster main names the server pg1 twice."),
        (changed("clusters", "main", 0, "port", to=0), "0 is not a port of the server pg1."),
        (changed("clusters", "main", 0, "port", to="5432"), "'5432' is not a port of the server pg1."),
        (
            changed("clusters", "main", 0, "pooler_port", to="6432"),
            "'6432' is not a port of the pooler of the server pg1.",
        ),
        (
            changed("clusters", "main", 0, "pooler_port", to=5432),
            "5432 cannot be the port of the server pg1 and of its pooler.",
        ),
        (changed("clusters", "main", 0, "host", to="a;b"), "'a;b' is not the host of a server."),
        (changed("clusters", "main", 0, "host", to=None), "None is not the host of a server."),
        (changed("clusters", "main", 0, "name", to="-x"), "'-x' is not the name of a server."),
        (
            changed("shards", "1", "database", to="shard_0"),
            "Shards 0 and 1 both claim the database shard_0 of the cluster main.",
        ),
        (
            changed("shards", "01", to=DOCUMENT["shards"]["1"]),
            "'01' is not the id of a shard, which is a number from 0 on, written as text.",
        ),
        (changed("ranges", to={}), "The description of its ranges is a dict, not a list."),
        (changed("ranges", 0, to=[0, 1023]), '[0, 1023] is not a range of buckets, such as [0, 1023, "0"].'),
        (
            changed("ranges", 0, to=[0, 1023, 0]),
            "0 is not the id of a shard, which is a number from 0 on, written as text.",
        ),
        (changed("ranges", 0, 2, to="2"), "Buckets 0-1023 belong to shard 2, which is not described."),
        (changed("ranges", 0, 2, to="10"), None),
        (changed("ranges", 0, 0, to=1), "The map does not cover each bucket once: bucket 0 belongs to no shard."),
    ],
)
def test_a_document_that_does_not_hold_together_is_refused(document, message):
    if message is None:
        shard_maps.read(document)
        return
    with pytest.raises(shard_maps.InvalidMap, match=f"^{re.escape(message)}$"):
        shard_maps.read(document)


def test_a_shard_described_twice_is_refused():
    shard_map = shard_maps.read(DOCUMENT)
    with pytest.raises(shard_maps.InvalidMap, match="Shard 0 is described twice"):
        shard_maps.ShardMap(1, 4096, (*shard_map.shards, shard_map.shards[0]), shard_map.ranges)


def test_a_cluster_described_twice_is_refused():
    shard_map = shard_maps.read(DOCUMENT)
    other = shard_maps.Cluster("main", shard_map.shard(10).cluster.members)
    shards = (*shard_map.shards[:2], shard_maps.Shard(10, "events", other))
    with pytest.raises(shard_maps.InvalidMap, match="The cluster main is described twice"):
        shard_maps.ShardMap(1, 4096, shards, shard_map.ranges)
