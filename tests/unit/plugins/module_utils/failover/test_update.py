# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who gets which packages, what restarts for them, in which order, and what is refused: tables."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Refused
from ansible_collections.scaleout.platform.plugins.module_utils.failover import decide, update
from ansible_collections.scaleout.platform.plugins.module_utils.failover.update import Host, Package
from ansible_collections.scaleout.platform.plugins.module_utils.services import table

OLD, NEW = "17.10-0+deb13u1", "17.12-0+deb13u1"
#: Unpacked at 100; what runs was started at 200.
SERVER = Package("postgresql-17", OLD, OLD, 100)
CLIENT = Package("postgresql-client-17", OLD, OLD, 100)
COMMON = Package("postgresql-common", "278", "278", 100)
VECTOR = Package("postgresql-17-pgvector", "0.8.0-1", "0.8.0-1", 100)
PATRONI = Package("patroni", "4.0.7-3~deb13u1", "4.0.7-3~deb13u1", 100)
POOLER = Package("pgbouncer", "1.24.1-1", "1.24.1-1", 100)
CONSUL = Package("consul", "1.20", "1.20", 100)


def host(name="a", **changes):
    """A member with all packages, of which those that are named have other fields."""
    packages = tuple(
        package._replace(**changes.get(package.name.replace("-", "_"), {}))
        for package in (CONSUL, PATRONI, POOLER, SERVER, VECTOR, CLIENT, COMMON)
    )
    running = {"servers": {"17": 200.0}, "units": {"patroni.service": 200.0, "pgbouncer.service": 200.0}}
    return Host(name, packages, **{**running, **{key: changes[key] for key in running if key in changes}})


NEWER = {"postgresql_17": {"candidate": NEW, "security": True}, "postgresql_client_17": {"candidate": NEW}}


@pytest.mark.parametrize(
    ("changes", "packages", "restarts", "pooler"),
    [
        ({}, [], False, False),
        (NEWER, ["postgresql-17", "postgresql-client-17"], True, False),
        ({"postgresql_client_17": {"candidate": NEW}}, ["postgresql-client-17"], False, False),
        ({"postgresql_common": {"candidate": "279"}}, ["postgresql-common"], False, False),
        ({"postgresql_17_pgvector": {"candidate": "0.8.1-1"}}, ["postgresql-17-pgvector"], True, False),
        ({"patroni": {"candidate": "4.0.7-3~deb13u2"}}, ["patroni"], True, False),
        ({"pgbouncer": {"candidate": "1.24.1-2"}}, ["pgbouncer"], False, True),
        # Another service of the host is not a member's.
        ({"consul": {"candidate": "1.21"}}, [], False, False),
        # An earlier run broke off before the restart.
        ({"postgresql_17": {"since": 300}}, [], True, False),
        ({"patroni": {"since": 300}}, [], True, False),
        ({"pgbouncer": {"since": 300}}, [], False, True),
        ({"postgresql_client_17": {"since": 300}}, [], False, False),
        ({"postgresql_17": {"candidate": NEW, "held": True}}, [], False, False),
        # What does not run needs no restart: it starts with the new files.
        ({**NEWER, "servers": {}}, ["postgresql-17", "postgresql-client-17"], False, False),
        ({**NEWER, "servers": {"15": 200.0}}, ["postgresql-17", "postgresql-client-17"], False, False),
        ({"pgbouncer": {"candidate": "2"}, "units": {"pgbouncer.service": 0.0}}, ["pgbouncer"], False, False),
    ],
)
def test_what_is_due(changes, packages, restarts, pooler):
    found = update.due(host(**changes))
    assert ([package.name for package in found.packages], found.restarts, found.pooler) == (packages, restarts, pooler)
    assert found.anything is bool(packages or restarts or pooler)


def test_what_apt_is_told():
    assert update.due(host(**NEWER)).names == [f"postgresql-17={NEW}", f"postgresql-client-17={NEW}"]


def test_a_member_gets_what_no_night_does():
    assert (*table.PACKAGES["postgres"], *table.PACKAGES["pgbouncer"]) == update.OURS


OTHER = Package("postgresql", "15+248", "17+278")


@pytest.mark.parametrize(
    ("hosts", "version", "code", "says"),
    [
        ([host("a")], "", "not_whole", "No member is updated now: b does not answer."),
        (
            [host("a"), Host("b", trouble="Failed to fetch http://192.0.2.1/.")],
            "",
            "no_package_index",
            "No member is updated now. b: Failed to fetch http://192.0.2.1/.",
        ),
        (
            [host("a"), host("b")],
            "18",
            "other_version",
            "a has PostgreSQL 17, and postgres_version is 18; b has PostgreSQL 17, and postgres_version is 18: that is "
            "another major version",
        ),
        (
            [host("a"), host("b", patroni={"candidate": "5.0-1"})],
            "17",
            "other_version",
            "b would get patroni 5.0-1 instead of 4.0.7-3~deb13u1: that is another major version",
        ),
        (
            [host("a"), host("b")._replace(packages=(OTHER,))],
            "",
            "other_version",
            "b would get postgresql 17+278 instead of 15+248: that is another major version",
        ),
    ],
)
def test_what_is_refused(hosts, version, code, says):
    with pytest.raises((Refused, decide.NotWhole)) as caught:
        update.check(hosts, ["a", "b"], version)
    assert caught.value.code == code
    assert caught.value.message.startswith(says)


@pytest.mark.parametrize(
    ("b", "version"),
    [
        ({}, "17"),
        (NEWER, ""),
        # A helper's first number is no major version, and what is held does not come.
        ({"postgresql_common": {"candidate": "300"}, "consul": {"candidate": "2"}}, ""),
        ({"patroni": {"candidate": "5.0-1", "held": True}}, ""),
    ],
)
def test_what_is_not(b, version):
    update.check([host("a"), host("b", **b)], ["a", "b"], version)


@pytest.mark.parametrize(
    ("steps", "leader", "due", "turns"),
    [
        (["c", "b", "a", "a"], "a", "abc", ["c", "b", "a"]),
        (["c", "b", "a"], "a", "ab", ["b", "a"]),
        # A limit that falls would have the leader restart first, and a replica not at all.
        (["a", "b"], "a", "abc", ["b", "c", "a"]),
        (["c", "b", "a"], "a", "", []),
    ],
)
def test_the_order(steps, leader, due, turns):
    hosts = [host(name, **(NEWER if name in due else {})) for name in "abc"]
    assert update.order(steps, leader, hosts) == turns


@given(st.permutations("abcde"), st.sampled_from("abcde"), st.sets(st.sampled_from("abcde")))
def test_each_that_is_due_has_one_turn_and_the_leader_the_last(steps, leader, due):
    hosts = [host(name, **(NEWER if name in due else {})) for name in "abcde"]
    turns = update.order(steps, leader, hosts)
    assert sorted(turns) == sorted(due)
    assert leader not in turns or turns[-1] == leader


HAS = f"has patroni {PATRONI.installed}, pgbouncer {POOLER.installed}, postgresql-17 {OLD}"


def test_the_plan():
    hosts = [
        host("a", **NEWER, pgbouncer={"candidate": "1.24.2-1"}, consul={"candidate": "1.21", "security": True}),
        host("b", **NEWER),
        host("c", patroni={"candidate": "5", "held": True}),
    ]
    step = f"postgresql-17, postgresql-client-17 {OLD} to {NEW} (security)"
    assert update.plan("main", "a", ["b", "a"], hosts, alone=False) == [
        f"a {HAS}",
        f"b {HAS}",
        f"c {HAS}",
        "main: 2 members are updated, one at a time; a leads",
        f"   1. b: {step}; Patroni and PostgreSQL restart",
        f"   2. a hands its lead over; pgbouncer 1.24.1-1 to 1.24.2-1, {step}; "
        "Patroni and PostgreSQL, then PgBouncer restart",
        "before each turn all others have to run on the leader's timeline, or it ends there",
        "a: consul 1.20 to 1.21 (security) waits as well, and is not this playbook's",
        f"c holds back patroni {PATRONI.installed} to 5",
    ]


@pytest.mark.parametrize(
    ("found", "turns", "says"),
    [
        (host("a"), [], "main: every member has the newest packages, and runs with them"),
        (
            host("a", postgresql_17={"since": 300}),
            ["a"],
            "   1. a: Patroni and PostgreSQL restart, and writes wait, as no other member can lead",
        ),
        (host("a", pgbouncer={"since": 300}), ["a"], "   1. a: PgBouncer restarts"),
    ],
)
def test_the_plan_of_one(found, turns, says):
    assert says in update.plan("main", "a", turns, [found], alone=True)


def test_what_a_member_has():
    assert update.has(host("a", postgresql_17={"since": 300}, pgbouncer={"since": 300})) == (
        f"a {HAS}; started before that: Patroni and PostgreSQL, PgBouncer"
    )
    assert update.has(Host("a", trouble="no room.")) == "a: no room"
    assert update.has(Host("a")) == "a has no package of PostgreSQL"


def test_members_that_will_differ_are_named():
    found = update.warnings([host("a", **NEWER), host("b"), host("c", postgresql_17={"candidate": NEW, "held": True})])
    assert found == [f"The members will not have the same postgresql-17: {NEW} on a, {OLD} on b and c."]
    assert update.warnings([host("a", **NEWER), host("b", **NEWER)]) == []


def test_what_came_of_it():
    lines, troubles = update.summary("main", ["b", "a"], ["b"], [host("a", **NEWER), host("b")])
    assert (lines, troubles) == (["main: b updated", f"a {HAS}", f"b {HAS}"], [])
    assert update.summary("main", [], [], [host("a")])[0][0] == "main: no member updated"
    left = update.summary("main", ["a"], ["a"], [host("a", postgresql_17={"since": 300}, patroni={"candidate": "5"})])
    assert left[1] == ["a was updated, and still waits for patroni, a restart."]


def test_what_the_module_says_is_kept_and_read_again():
    said = {"packages": [update.row(package._asdict()) for package in host().packages], "units": {}, "servers": {}}
    assert update.Host.of("a", said).packages == host().packages
    assert update.Host.of("a", {"trouble": "no"}) == Host("a", trouble="no")
