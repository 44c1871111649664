# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The steps of scale.yml: who takes part in which of them, and with what."""

from __future__ import annotations

import dataclasses
import re

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Refused, ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.members.asked import CLEAN_UP, Asked
from ansible_collections.scaleout.platform.plugins.module_utils.operations import scale_pool
from ansible_collections.scaleout.platform.plugins.module_utils.platform import Application, Platform

NUMBERS = {"lb1": 1, "lb2": 2, "api1": 3, "api2": 4, "pg1": 5, "consul1": 6, "spare1": 7}
PLATFORM = Platform(
    hosts={
        name: {"platform_address": f"192.0.2.{number}", "fleet_provider": "docker", "scale_maximum": 8}
        for name, number in NUMBERS.items()
    },
    groups={
        "loadbalancer": ["lb1", "lb2"],
        "api": ["api1", "api2"],
        "cache": ["api2"],
        "postgres": ["pg1"],
        "consul_server": ["consul1"],
        "fleet_spare": ["spare1"],
        "platform_reached": ["lb1", "consul1", "pg1"],
    },
    applications={"shop": Application("shop", "api", "scaleout.platform.app", "shop-web")},
)
ASKED = Asked("api", ("shop",), 3)


def with_variables(host, **variables):
    return dataclasses.replace(PLATFORM, hosts={**PLATFORM.hosts, host: {**PLATFORM.hosts[host], **variables}})


def member(name, provider="docker"):
    return {"name": name, "address": f"192.0.2.{NUMBERS.get(name, 99)}", "provider": provider, "provider_id": ""}


def planned(joining="", leaving="", staying="api1", **health):
    kinds = {"joining": joining, "leaving": leaving, "staying": staying}
    return {**{kind: [member(name) for name in names.split()] for kind, names in kinds.items()}, "health": health}


def test_the_options_of_the_record():
    options = scale_pool.members_options(PLATFORM, ASKED, [{"name": "api1", "address": "x", "provider": "static"}])
    assert options["services"] == ["shop-web"]
    assert (options["count"], options["minimum"], options["maximum"]) == (3, 1, 8)
    assert options["static_members"] == [{"name": "api1", "address": "x", "provider": "static"}]
    assert options["pool"] == [{"name": "spare1", "address": "192.0.2.7"}]
    assert options["reserved_names"] == list(NUMBERS)


def test_the_inventory_s_own_members_where_no_plugin_has_told_them():
    options = scale_pool.members_options(PLATFORM, ASKED, ())
    assert options["static_members"] == [
        {"name": "api1", "address": "192.0.2.3", "provider": "docker"},
        {"name": "api2", "address": "192.0.2.4", "provider": "docker"},
    ]


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        (planned(), ""),
        (planned("api3", api1="serving"), "api1"),
        # S3: the release is that of a member that serves and stays.
        (planned("api3", "", "api1 api2", api1="failing", api2="serving"), "api2"),
        (planned("api3", "api2", "api1", api1="serving", api2="serving"), "api1"),
    ],
)
def test_s3_whose_release_is_taken(plan, expected):
    assert scale_pool.donor(plan, "api") == expected


def test_a3_a_decision_has_its_own_bounds():
    narrow = with_variables("api1", scale_minimum=2)
    for count, expected in ((2, (2, 8)), (1, (1, 8)), (9, (2, 9))):
        request = dataclasses.replace(ASKED, count=count, by="rule cpu > 70")
        options = scale_pool.members_options(narrow, request, ())
        assert (options["minimum"], options["maximum"]) == expected


def test_w4_only_those_who_leave_by_a_decision_are_watched():
    plan = planned("", "api2", "api1", api1="serving", api2="serving")
    request = dataclasses.replace(ASKED, count=1, leave=("api2",))
    assert not watching(request, plan)
    assert not watching(dataclasses.replace(request, by=CLEAN_UP), plan)
    decided = dataclasses.replace(request, by="rule cpu > 70")
    assert watching(decided, plan) == [
        ("api2", ["scale_draining"]), ("api1", ["scale_watched"]), ("consul1", ["scale_watching"])
    ]  # fmt: skip
    # A dead one has no load, and neither is a replacement called off.
    assert ("api2", ["scale_draining"]) not in watching(decided, {**plan, "health": {"api2": "dead"}})
    assert not watching(decided, planned("api3", "api2", "api1", api1="serving"))


def watching(request, plan):
    groups = {"scale_draining", "scale_watched", "scale_watching"}
    found = scale_pool.entries(PLATFORM, request, plan)
    return [(entry["name"], entry["groups"]) for entry in found if groups & set(entry["groups"])]


def test_what_did_not_come_to_serve_leaves_again():
    request = dataclasses.replace(ASKED, by="rule cpu > 70")
    (entry,) = scale_pool.given_back(PLATFORM, request, planned("", "api3", "api1", api1="serving"))
    assert (entry["name"], entry["groups"]) == ("api3", ["api", "scale_leaving", "scale_unneeded"])


@pytest.mark.parametrize(
    ("plan", "record", "kept", "outcome"),
    [
        (planned("api3"), "api1:member api3:member", [], ("succeeded", "")),
        (planned("api3"), "api1:member api3:joining", [], ("failed", "api3 did not come to serve")),
        # It leaves again, or has left already.
        (planned("api3", "api3"), "api1:member api3:leaving", [], ("failed", "api3 did not come to serve")),
        (planned("api3", "api3"), "api1:member", [], ("failed", "api3 did not come to serve")),
        (planned("", "api2"), "api1:member", [], ("succeeded", "")),
        (planned("", "api2"), "api1:member api2:leaving", [], ("failed", "api2 could not be cleaned")),
        # It took the place of one that is dead and cannot be cleaned.
        (planned("api3", "api2"), "api1:member api3:member api2:leaving", [], ("succeeded", "")),
        (planned(), "api1:member api2:member", ["api2"], ("called_off", "load came back while api2 drained")),
        (planned("api3"), None, [], ("failed", "api3 did not come to serve")),
    ],
)
def test_a4_what_became_of_an_action(plan, record, kept, outcome):
    members = [dict(zip(("name", "state"), word.split(":"), strict=True)) for word in (record or "").split()]
    assert scale_pool.became(plan, {"members": members} if record else None, kept) == outcome


@pytest.mark.parametrize(
    ("record", "expected"), [(None, 2), ("api1:member api2:joining api3:leaving api4:lost api5:member", 3)]
)
def test_a3_the_size_is_what_the_record_asks_for(record, expected):
    members = [dict(zip(("name", "state"), word.split(":"), strict=True)) for word in (record or "").split()]
    assert scale_pool.size({"record": {"members": members} if record else None}, [{}, {}]) == expected


def test_a_host_that_leaves_two_pools_is_told_of_both():
    one = {"name": "vm1", "address": "192.0.2.1", "groups": ["api", "scale_leaving"], "scale_applications": ["shop"]}
    two = {"name": "vm1", "address": "192.0.2.1", "groups": ["web", "scale_leaving"], "scale_applications": ["site"]}
    assert scale_pool.merged([one, two, {"name": "pg1", "groups": ["scale_access"]}]) == [
        {**one, "groups": ["api", "scale_leaving", "web"], "scale_applications": ["shop", "site"]},
        {"name": "pg1", "groups": ["scale_access"]},
    ]


def test_s3_without_one_that_serves_none_joins():
    with pytest.raises(Refused, match=r"No member of api that stays serves") as refused:
        scale_pool.donor(planned("api3", "", "api1 api2", api1="failing", api2="dead"), "api")
    assert refused.value.code == "nothing_serves"


@pytest.mark.parametrize(
    ("leaving", "groups"),
    [("api1", ["api", "scale_leaving", "scale_unneeded"]), ("api2", ["api", "scale_leaving"])],
    ids=["nothing else needs it", "S4: a cache as well"],
)
def test_s4_consul_stays_where_another_group_needs_it(leaving, groups):
    (entry,) = scale_pool.entries(PLATFORM, ASKED, planned("", leaving, ""))
    assert (entry["name"], entry["groups"], entry["scale_applications"]) == (leaving, groups, ["shop"])
    # Preflight, which runs once more with these hosts, refuses it as a variable of a host.
    assert "app_state" not in entry


@pytest.mark.parametrize(
    ("variables", "admitting"),
    [
        ({}, ["pg1"]),
        ({"postgres_allowed_networks": ["192.0.2.0/24"]}, []),
        # PostgreSQL itself names its clients one by one.
        ({"pgbouncer_allowed_networks": ["192.0.2.0/24"]}, ["pg1"]),
    ],
)
def test_s2_only_who_names_clients_by_address_is_told_of_new_ones(variables, admitting):
    inventory = with_variables("pg1", **variables)
    found = scale_pool.entries(inventory, ASKED, planned("api3", api1="serving"))
    assert found[0]["app_release_from"] == "api1"
    assert [entry["name"] for entry in found[1:]] == admitting
    assert not scale_pool.entries(inventory, ASKED, planned())


@pytest.mark.parametrize(
    ("variables", "guarded"),
    [
        ({}, []),
        ({"firewall_enabled": True}, ["api1"]),
        ({"firewall_enabled": True, "firewall_networks": ["192.0.2.0/24"]}, []),
    ],
)
def test_only_a_host_whose_firewall_names_hosts_is_told_of_new_ones(variables, guarded):
    found = scale_pool.entries(with_variables("api1", **variables), ASKED, planned("api3", api1="serving"))
    assert found[0]["groups"] == ["api", "scale_joining", "scale_firewall"]
    assert [entry["name"] for entry in found[1:] if entry["groups"] == ["scale_firewall"]] == guarded


@pytest.mark.parametrize(
    ("leaving", "closing"),
    [
        ("", []),
        ("api1", ["lb1", "api2"]),
        # S4: it has a cache as well, and its own rules change.
        ("api2", ["lb1", "api1", "api2"]),
    ],
)
def test_hosts_whose_firewall_names_hosts_are_told_of_those_that_leave(leaving, closing):
    hosts = {host: {**PLATFORM.hosts[host], "firewall_enabled": host in ("lb1", "api1", "api2")} for host in NUMBERS}
    found = scale_pool.entries(dataclasses.replace(PLATFORM, hosts=hosts), ASKED, planned("", leaving, ""))
    assert [entry["name"] for entry in found if entry["groups"] == ["scale_closing"]] == closing


@pytest.mark.parametrize(
    ("fleet_host", "more"), [({"memory": "2g"}, {"memory": "2g"}), ({"name": "api1"}, {}), (None, {})]
)
def test_a_host_is_made_as_large_as_the_others(fleet_host, more):
    made = scale_pool.made(with_variables("api1", fleet_host=fleet_host), ASKED, planned("api3", api1="serving"))
    assert made == [{**member("api3"), **more}]


def test_the_plan_in_words():
    told = scale_pool.told(ASKED, planned("api3 api4", "api2", "api1"))
    assert told == "api: 2 now, 3 wanted; to join: api3, api4; to leave: api2"


def test_only_load_balancers_that_answer_and_have_the_service_are_waited_for():
    sites = [{"name": "shop", "service": "shop-web"}]
    inventory = with_variables("lb1", nginx_sites=sites)
    (listed,) = scale_pool.listed(inventory, ASKED, ["api2"])
    assert (listed["balancer"], listed["path"]) == ("lb1", "/etc/nginx/upstreams/shop-web.conf")
    assert re.search(listed["without"], "server 192.0.2.40:8000;\nserver 10.192.0.2.4:8000;\n")
    assert not re.search(listed["without"], "server 192.0.2.3:8000;\n    server 192.0.2.4:8000;\n")


def test_a_host_with_an_address_of_ipv6_is_found_in_an_upstream():
    inventory = with_variables("lb1", nginx_sites=[{"name": "shop", "service": "shop-web"}])
    hosts = {**inventory.hosts, "api2": {"platform_address": "fd00::4"}}
    (listed,) = scale_pool.listed(dataclasses.replace(inventory, hosts=hosts), ASKED, ["api2"])
    assert re.search(listed["without"], "server [fd00::44]:8000;\n")
    assert not re.search(listed["without"], "server [fd00::3]:8000;\n    server [fd00::4]:8000;\n")


def test_what_happens_to_those_that_leave():
    found = scale_pool.departure(planned("", "api1 api2", ""), ["api1"], ["api1", "api2"])
    assert (found.released, found.left, found.lost) == (("api1",), ("api1", "api2"), ())


@pytest.mark.parametrize(
    ("given", "code", "sentence"),
    [
        ({}, "invalid_input", "host: None is not set; name the host that is lost, such as -e host=api2."),
        ({"host": "consul1"}, "needed", "consul1 is a Consul server, which the others would miss"),
    ],
)
def test_l3_what_cannot_be_written_off(given, code, sentence):
    with pytest.raises(ScaleoutError, match=re.escape(sentence)) as refused:
        scale_pool.lost_host(PLATFORM, given)
    assert refused.value.code == code


def test_l3_a_host_that_is_alive_is_not_written_off():
    with pytest.raises(Refused, match="api2 is alive in Consul, so it is not lost") as refused:
        scale_pool.refuse_alive("api2", {"alive": {"api2": True}})
    assert refused.value.code == "alive"
    scale_pool.refuse_alive("api2", {"alive": {"api2": False}})
    scale_pool.refuse_alive("api2", {"alive": {}})


@pytest.mark.parametrize(
    ("changed", "forgotten", "told"),
    [
        (True, ["api2"], ["api2 is written off in the record of api.", "Consul has forgotten api2, so that no load"]),
        (True, [], ["api2 is written off in the record of api."]),
        (False, ["api2"], ["Consul has forgotten api2, so that no load"]),
        (False, [], []),
    ],
)
def test_l3_what_was_done_and_what_a_fence_is_worth(changed, forgotten, told):
    record = {"members": [{"name": "api2"}]}
    lines = scale_pool.written_off("api2", {"api": {"changed": changed, "record": record}}, forgotten)
    assert all(line.startswith(begins) for line, begins in zip(lines, told, strict=False))
    assert len(lines) == len(told) + 1
    assert lines[-1].startswith("If it comes back, no load balancer" if told else "api2 is in no pool's record")


def test_l3_it_says_that_the_token_is_revoked():
    record = {"members": [{"name": "api2"}]}
    lines = scale_pool.written_off("api2", {"api": {"changed": False, "record": record}}, [], ["api2"])
    assert lines[0] == "The Consul token of api2 is revoked, so that it registers nothing any more."


def test_l3_what_a_provider_made_is_not_waited_for():
    lines = scale_pool.written_off("api4", {"api": {"changed": True, "record": {"members": []}}}, ["api4"])
    assert lines[-1] == "Its provider makes another one when the pool grows. Remove what is left of it there."


@pytest.mark.parametrize(
    ("members", "alive", "expected"),
    [
        ("api1 api2", {"api1": True, "api2": False, "api3": False, "spare1": False}, ["api3", "spare1"]),
        ("api1", {"api3": True, "spare1": True}, []),
        # A host with other work comes back by itself, and one of another kind is no business of the pool's.
        ("api1", {"api2": False, "pg1": False, "consul1": False, "elsewhere": False, "apix": False}, []),
        # Without a record, the hosts of the inventory are the members.
        ("", {"api1": False, "api3": False}, ["api3"]),
    ],
)
def test_s11_names_that_linger_are_taken_off_before_they_are_given_away(members, alive, expected):
    seen = {"alive": alive, "record": {"members": [{"name": name} for name in members.split()]} if members else None}
    assert scale_pool.lingering(PLATFORM, "api", seen) == expected
