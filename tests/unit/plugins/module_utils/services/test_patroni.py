# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What Patroni is told, for clusters of any size and for each release of Patroni."""

from __future__ import annotations

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.platform import Cluster, Platform, Server
from ansible_collections.scaleout.platform.plugins.module_utils.services import patroni

#: Debian 12's and Debian 13's, and the last one that is not to be trusted with synchronous modes.
BOOKWORM, TRIXIE, BEFORE = (3, 0, 2), (4, 0, 7), (4, 0, 5)


def made(count=3, durability="available", **variables):
    names = [f"pg{number}" for number in range(1, count + 1)]
    servers = tuple(Server(name, f"192.0.2.{number}") for number, name in enumerate(names, 1))
    cluster = Cluster("main", servers, durability=durability)
    hosts = {name: {"platform_address": server.host, **variables} for name, server in zip(names, servers, strict=True)}
    return Platform(hosts, {"postgres": names}, {"main": cluster}), cluster


@pytest.mark.parametrize(
    ("count", "version", "mode", "checks"),
    [
        (1, TRIXIE, False, []),
        (2, TRIXIE, True, ["serfHealth"]),
        (3, TRIXIE, "quorum", ["serfHealth"]),
        (5, TRIXIE, "quorum", ["serfHealth"]),
        # Without synchronous commits the lease alone decides, or a cut-off leader would go on acknowledging.
        (2, BEFORE, False, []),
        (3, BEFORE, False, []),
        (3, BOOKWORM, False, []),
    ],
)
def test_a_commit_waits_for_a_replica_where_there_is_one_to_wait_for(count, version, mode, checks):
    platform, cluster = made(count)
    found = patroni.dynamic(platform, "pg1", cluster, version)
    assert (found["synchronous_mode"], found["synchronous_mode_strict"]) == (mode, False)
    assert patroni.checks(cluster, version) == checks
    assert patroni.member(platform, "pg1", cluster, 17, {}, version)["consul"]["checks"] == checks


@pytest.mark.parametrize(("count", "strict"), [(1, False), (2, True), (3, True)])
def test_a_durable_cluster_takes_no_write_that_one_member_alone_would_have(count, strict):
    platform, cluster = made(count, durability="durable")
    assert patroni.dynamic(platform, "pg1", cluster)["synchronous_mode_strict"] is strict


def test_its_timing_fits_together_and_is_the_operators_to_change():
    platform, cluster = made()
    found = patroni.dynamic(platform, "pg1", cluster)
    assert found["loop_wait"] + 2 * found["retry_timeout"] <= found["ttl"] == 20
    assert (found["failsafe_mode"], found["primary_start_timeout"]) == (True, 0)
    platform, cluster = made(postgres_patroni_settings={"ttl": 30, "retry_timeout": 10})
    found = patroni.dynamic(platform, "pg1", cluster)
    assert (found["ttl"], found["loop_wait"], found["retry_timeout"]) == (30, 2, 10)


@pytest.mark.parametrize(("version", "rewinds"), [(TRIXIE, True), (BEFORE, False), (BOOKWORM, False)])
def test_a_member_is_rewound_only_where_it_keeps_its_commits_first(version, rewinds):
    platform, cluster = made()
    assert patroni.dynamic(platform, "pg1", cluster, version)["postgresql"]["use_pg_rewind"] is rewinds


def test_what_a_release_does_not_know_it_is_not_told():
    platform, cluster = made()
    assert patroni.dynamic(platform, "pg1", cluster, TRIXIE)["member_slots_ttl"] == "1d"
    assert "member_slots_ttl" not in patroni.dynamic(platform, "pg1", cluster, BOOKWORM)


@pytest.mark.parametrize(
    ("variables", "tags"),
    [
        ({}, {"nofailover": False}),
        ({"postgres_nofailover": "true"}, {"nofailover": True}),
        ({"postgres_failover_priority": "5"}, {"failover_priority": 5}),
        ({"postgres_failover_priority": 5, "postgres_nofailover": True}, {"nofailover": True}),
    ],
)
def test_who_may_lead(variables, tags):
    platform, cluster = made(**variables)
    assert patroni.member(platform, "pg1", cluster, 17, {})["tags"] == tags


def test_a_member():
    platform, cluster = made(postgres_data_checksums=False)
    found = patroni.member(platform, "pg2", cluster, 17, {"work_mem": "8MB"})
    assert (found["scope"], found["name"]) == ("main", "pg2")
    assert found["restapi"]["listen"] == found["restapi"]["connect_address"] == "192.0.2.2:8008"
    assert found["restapi"]["allowlist"] == ["127.0.0.1", "192.0.2.2", "192.0.2.1", "192.0.2.3"]
    assert found["postgresql"]["listen"] == "127.0.0.1,192.0.2.2:5432"
    assert found["postgresql"]["bin_name"] == {"pg_rewind": patroni.REWIND}
    assert found["postgresql"]["pre_promote"] == f"{patroni.ARCHIVE} {found['postgresql']['data_dir']}"
    # Neither may be all that is left of some writes.
    assert found["postgresql"]["remove_data_directory_on_rewind_failure"] is False
    assert found["postgresql"]["remove_data_directory_on_diverged_timelines"] is False
    assert found["bootstrap"]["dcs"]["postgresql"]["parameters"] == {"work_mem": "8MB"}
    assert found["bootstrap"]["initdb"] == [{"encoding": "UTF8"}, {"locale": "C.UTF-8"}]
    assert "password" not in repr(found)


def test_an_ipv6_address_stands_in_brackets_before_a_port():
    cluster = Cluster("main", (Server("pg1", "2001:db8::1"),))
    platform = Platform({"pg1": {"platform_address": "2001:db8::1"}}, {"postgres": ["pg1"]}, {"main": cluster})
    found = patroni.member(platform, "pg1", cluster, 17, {})
    assert found["restapi"]["listen"] == "[2001:db8::1]:8008"
    assert found["postgresql"]["connect_address"] == "[2001:db8::1]:5432"
    assert found["postgresql"]["listen"] == "127.0.0.1,2001:db8::1:5432"


def test_the_token_has_a_name_that_no_host_may_have():
    assert patroni.token(made()[1]) == "patroni/main"
