# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who is sampled for an application and the guards of its policy, and which guards no one could ever report (W3)."""

from __future__ import annotations

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.operations import sampling, scaling_policy
from ansible_collections.scaleout.platform.plugins.module_utils.platform import (
    Application,
    Cluster,
    Database,
    Platform,
    Pool,
    Server,
)

API, APP = "scaleout.platform.reference_api", "scaleout.platform.app"
WAIT = {"metric": "pooler_wait", "condition": "gt", "threshold": 1}
ERRORS = {"metric": "shard_errors", "condition": "gt", "threshold": 5}
MEMBER = {"name": "shop", "port": 8000, "pooler_port": None, "pooler_databases": []}


def platform(*guards, role=APP, database="pg2", port=8000, poolers=True, web=("vm1", "vm2"), shards=(0, 1)):
    def servers(*names):
        return tuple(Server(name, name, 5432, 6432 if poolers else None) for name in names)

    clusters = {"pg1": Cluster("pg1", servers("vm2", "vm3"), shards), "pg2": Cluster("pg2", servers("vm4"))}
    own = Database("orders", "shop", database) if database else None
    scaling = {"interval": 15, "guards": list(guards)}
    shop = Application("shop", "web", role, "shop", port, own, pool=Pool(1, 4), scaling=scaling)
    hosts = {f"vm{number}": {} for number in range(1, 5)}
    return Platform(hosts, {"web": list(web)}, clusters, {"shop": shop})


def sampled(of):
    return sampling.of(of, of.applications, scaling_policy.policies(of))


def test_without_the_guard_no_pooler_is_asked():
    assert sampled(platform(ERRORS)) == {"vm1": [MEMBER], "vm2": [MEMBER]}
    without = platform()
    assert sampling.of(without, ["shop"], {}) == {"vm1": [MEMBER], "vm2": [MEMBER]}


def test_the_poolers_before_the_databases_of_the_application_are_asked():
    asked = {"name": "shop", "port": None, "pooler_port": 6432, "pooler_databases": ["orders"]}
    assert sampled(platform(WAIT)) == {"vm1": [MEMBER], "vm2": [MEMBER], "vm4": [asked]}


def test_those_of_all_shards_and_a_host_that_is_both_has_one_sample():
    pooler = {"pooler_port": 6432, "pooler_databases": ["shard_0", "shard_1"]}
    assert sampled(platform(WAIT, role=API, database=None)) == {
        "vm1": [MEMBER],
        "vm2": [{**MEMBER, **pooler}],
        "vm3": [{"name": "shop", "port": None, **pooler}],
    }


@pytest.mark.parametrize(
    ("of", "reasons"),
    [
        (platform(WAIT, ERRORS), []),
        (platform(WAIT, ERRORS, role=API, database=None), []),
        (platform(WAIT, poolers=False), ["pooler_wait > 1 would never hold, since no PgBouncer stands before"]),
        (platform(WAIT, database=None), ["pooler_wait > 1 would never hold, since no PgBouncer stands before"]),
        (platform(ERRORS, shards=()), ["shard_errors > 5 would never hold, since the platform has no shards"]),
        (platform(ERRORS, port=None), ["shard_errors > 5 would never hold, since shop has no port"]),
    ],
)
def test_w3_a_guard_that_no_one_could_report_is_refused(of, reasons):
    problems = scaling_policy.problems(of)
    assert len(problems) == len(reasons)
    for problem, reason in zip(problems, reasons, strict=True):
        assert problem.code == "unmeasured_guard"
        assert problem.text.startswith(f"applications: shop: scaling.guards: {reason}")
