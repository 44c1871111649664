# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What so many servers of the API and so many shards need, and where it is more than there is."""

from __future__ import annotations

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.operations import scaling_policy
from ansible_collections.scaleout.platform.plugins.module_utils.platform import (
    Application,
    Cluster,
    Platform,
    Pool,
    Server,
)

ROLE = "scaleout.platform.reference_api"


def said(servers=3, shards=2, clusters=1, role=ROLE, pool=None, pooler=6432, **variables):
    """What is told of as many servers, shards on each cluster, and clusters of a leader and a replica."""
    api = [f"api{number}" for number in range(1, servers + 1)]
    pg = [f"pg{number}{which}" for number in range(1, clusters + 1) for which in ("", "r")]
    made = {
        f"pg{number}": Cluster(
            f"pg{number}",
            tuple(Server(f"pg{number}{which}", "a", 5432, pooler) for which in ("", "r")),
            tuple(range((number - 1) * shards, number * shards)),
        )
        for number in range(1, clusters + 1)
    }
    application = Application("reference_api", "api", role, pool=Pool(1, pool))
    hosts = {name: dict(variables) for name in (*api, *pg)}
    platform = Platform(hosts, {"api": api, "postgres": pg}, made, {"reference_api": application})
    return [(problem.code, problem.text) for problem in scaling_policy.warnings(platform)]


POOLER = (
    "pg1 and pg1r: 100 servers of reference_api may open 3600 connections to 3 shards, 10 (reference_api_pool_max) and "
    "2 more for each, and pgbouncer_max_client_conn is 1000; raise the one or lower the other"
)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, []),
        ({"servers": 100, "shards": 3}, [POOLER]),
        ({"servers": 3, "shards": 3, "pool": 100}, [POOLER]),
        ({"servers": 3, "shards": 3, "scale_maximum": "100"}, [POOLER]),
        ({"servers": 100, "shards": 3, "pgbouncer_max_client_conn": 3600}, []),
        (
            {"servers": 100, "shards": 3, "pgbouncer_settings": {"max_client_conn": 3599}},
            [POOLER.replace("1000", "3599")],
        ),
        ({"servers": 100, "shards": 3, "reference_api_pool_max": 1}, []),
        ({"servers": 100, "shards": 3, "role": "acme.shop.web"}, []),
        ({"servers": 100, "shards": 0}, []),
        ({"servers": 0, "pool": 100}, []),
    ],
)
def test_c2_the_poolers_connections(given, told):
    assert [text for _code, text in said(**given)] == told


def test_c2_without_a_pooler_the_connections_are_postgresqls():
    ((code, text),) = said(servers=9, shards=1, pooler=None)
    assert code == "too_few_connections"
    assert "may open 108 connections to 1 shard, " in text
    assert text.endswith(
        "PostgreSQL's max_connections, less those of superusers, is 97; raise the one or lower the other"
    )


@pytest.mark.parametrize(
    ("given", "needed", "limit"),
    [
        ({"reference_api_limits": {"open_files": 1024}}, 1408, 1024),
        ({"reference_api_limits": {"open_files": 2815}}, 1408, 2815),
        ({"reference_api_limits": {"open_files": 2816}}, None, None),
        ({"reference_api_limits": {"memory_max": "1G"}}, None, None),
        ({}, None, None),
        ({"reference_api_pool_max": 999}, 128 * 1000, 65536),
    ],
)
def test_c2_the_apis_sockets_at_64_shards(given, needed, limit):
    found = said(servers=1, shards=8, clusters=8, pgbouncer_max_client_conn=10**6, **given)
    if needed is None:
        assert found == []
        return
    text = (
        f"api1: a server of reference_api may open {needed} sockets to 128 databases, those of replicas among them, "
        f"which is more than half of the {limit} that reference_api_limits lets it have (open_files); "
        f"raise it to {2 * needed}"
    )
    assert found == [("too_few_sockets", text)]
