# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Consul: each refusal with its code and the sentence that a user reads, the configuration, and who may stop."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scaleout.platform.plugins.module_utils.platform import Platform, Unevaluated
from ansible_collections.scaleout.platform.plugins.module_utils.services import consul, consul_agent
from ansible_collections.scaleout.platform.plugins.module_utils.services.consul_tokens import accessor_of, secret_of
from ansible_collections.scaleout.platform.plugins.module_utils.services.listen import Listen

SECRETS = {
    "consul_gossip_key": base64.b64encode(bytes(32)).decode(),
    "consul_management_token": "6f1c2a54-93c0-4d57-8a58-0f6f0c7f1f01",
    "consul_agent_token": "6f1c2a54-93c0-4d57-8a58-0f6f0c7f1f02",
    "consul_reader_token": "6f1c2a54-93c0-4d57-8a58-0f6f0c7f1f03",
}


def platform(playing=(), groups=None, **variables):
    """Three servers and an agent; the variables are those of the first server."""
    hosts = {
        name: {**SECRETS, "platform_address": f"192.0.2.{number}", "consul_data_dir": "/opt/consul"}
        for number, name in enumerate(["c1", "c2", "c3", "app"], start=1)
    }
    hosts["c1"].update(variables)
    servers = {"all": list(hosts), "consul_server": ["c1", "c2", "c3"], "fleet_idle": []}
    return Platform(hosts, {**servers, **(groups or {})}, playing=playing)


def test_a_platform_without_problems_has_none():
    assert [consul.problems(platform(), host) for host in ("c1", "c2", "app")] == [[], [], []]


@pytest.mark.parametrize(
    ("variables", "code", "sentence"),
    [
        pytest.param(
            {"platform_address": "c1.example.com"},
            "bad_address",
            'c1: platform_address is "c1.example.com"; Consul needs the IP address by which the other hosts reach this '
            "one.",
            id="h1-a-name-is-no-address",
        ),
        (
            {"consul_bind_address": "eth1"},
            "bad_address",
            'c1: consul_bind_address is "eth1"; Consul needs the IP address by which the other hosts reach this one.',
        ),
        (
            {"consul_http_addresses": ["c1.example.com"]},
            "bad_address",
            'c1: consul_http_addresses has "c1.example.com", which is no IP address.',
        ),
        (
            {"consul_http_addresses": "c1"},
            "bad_address",
            'c1: consul_http_addresses has "c1", which is no IP address.',
        ),
        (
            {"consul_http_addresses": ["0.0.0.0"]},
            "bad_address",
            "c1: consul_http_addresses has 0.0.0.0; 127.0.0.1 is taken already, so name the host's addresses one by "
            "one.",
        ),
        (
            {"consul_http_addresses": ["224.0.0.1"]},
            "bad_address",
            "c1: consul_http_addresses has 224.0.0.1, which is no address of a host.",
        ),
        (
            {"consul_datacenter": "Paris 1"},
            "bad_name",
            'c1: consul_datacenter is "Paris 1"; it is made of small letters, digits, - and _.',
        ),
        ({"consul_node_name": "C2"}, "duplicate", 'c1: consul_node_name is "C2", which c2 has as well.'),
        (
            {"consul_reader_token": "let me in"},
            "bad_secret",
            f"c1: consul_reader_token is not a UUID; make one with `{consul.MAKE_UUID}`.",
        ),
        (
            {"consul_reader_token": SECRETS["consul_agent_token"].upper()},
            "duplicate",
            "c1: consul_agent_token and consul_reader_token are the same; each of them needs a UUID of its own.",
        ),
        *(
            (
                {"consul_gossip_key": key},
                "bad_secret",
                f"c1: consul_gossip_key is not 16, 24 or 32 bytes in base64; make one with `{consul.MAKE_KEY}`.",
            )
            for key in ("password", "ÄÖÜ", base64.b64encode(bytes(31)).decode())
        ),
    ],
)
def test_a_problem_has_its_code_and_its_sentence(variables, code, sentence):
    found = consul.problems(platform(**variables), "c1")
    assert [(problem.code, str(problem)) for problem in found] == [(code, sentence)]


def test_a_cluster_needs_a_server():
    told = platform(groups={"consul_server": []})
    assert consul.problems(told, "app") == []
    found = consul.problems(told, "app", {})
    sentence = "app: the group consul_server is empty; it needs at least one host."
    assert [(problem.code, str(problem)) for problem in found] == [("no_server", sentence)]


@pytest.mark.parametrize(
    "variables",
    [
        {"consul_bind_address": "{{ GetPrivateIP }}", "consul_http_addresses": ["{{ GetPrivateIP }}"]},
        {"consul_http_addresses": ["127.0.0.1", "2001:db8::1"]},
        {"consul_node_name": "another"},
        {"consul_gossip_key": base64.b64encode(bytes(16)).decode()},
        {"consul_server_addresses": ["consul.example.com"]},
        {"consul_agent_token": None, "consul_gossip_key": Unevaluated("cannot be evaluated")},
        {"consul_gossip_key": ""},
    ],
)
def test_what_consul_takes_is_not_refused(variables):
    assert consul.problems(platform(**variables), "c1") == []


@given(st.text(min_size=1))
def test_no_sentence_has_a_secret_in_it(secret):
    mark = f"<{secret}>"
    variables = dict.fromkeys(SECRETS, mark)
    found = consul.problems(platform(**variables), "c1")
    assert {problem.code for problem in found} >= {"bad_secret"}
    assert not [problem for problem in found if mark in str(problem)]


@pytest.mark.parametrize(
    ("playing", "first"),
    [((), "c1"), (("app", "c1", "c2", "c3"), "c1"), (("app", "c3", "c2"), "c2"), (("app",), None)],
)
def test_the_first_server_that_takes_part_acts_for_all(playing, first):
    told = platform(playing)
    assert [host for host in told.hosts if consul.leads(told, host)] == ([first] if first else [])
    assert [host for host in told.hosts if "token" in consul.look(told, host)] == ([first] if first else [])


def test_ports_are_those_of_the_role_and_of_the_settings():
    told = platform(consul_settings={"ports": {"dns": -1, "server": 18300}}, consul_http_addresses=["192.0.2.1"])
    assert consul.listens(told, "c1") == [
        Listen("consul_settings", 18300, "192.0.2.1"),
        Listen("consul_settings", 8301, "192.0.2.1"),
        Listen("consul_settings", 8302, "192.0.2.1"),
        Listen("consul_settings", 8500, "127.0.0.1"),
        Listen("consul_settings", 8500, "192.0.2.1"),
    ]
    assert [one.port for one in consul.listens(told, "app")] == [8301, 8500, 8600]


@pytest.mark.parametrize(
    ("variables", "state", "management", "ui"),
    [
        ({}, {}, "initial_management", "ui_config"),
        ({"consul_repository": "none"}, {}, "master", "ui"),
        ({"consul_repository": "none"}, {"version": "1.15.2"}, "initial_management", "ui_config"),
        ({"consul_package": "consul=1.10.3-1"}, {}, "master", "ui_config"),
        ({"consul_package": "consul=1.10.3-1"}, {"version": "1.8.7"}, "master", "ui"),
    ],
)
def test_the_version_decides_how_things_are_called(variables, state, management, ui):
    told = consul.wanted(platform(**variables), "c1", state)
    assert told["management"] == management
    assert {"ui", "ui_config"} & set(told["settings"]) == {ui}


def test_what_is_wanted_has_no_secret_and_no_setting_of_the_users():
    told = json.dumps(consul.wanted(platform(consul_settings={"x": "hidden"}), "c1", {}))
    assert not [secret for secret in (*SECRETS.values(), "hidden") if secret in told]


def test_the_configuration_of_a_server():
    told = consul.wanted(platform(consul_http_addresses=["192.0.2.1", "127.0.0.1"]), "c1", {"version": "1.8.7"})
    own = {"node_meta": {"rack": "1"}, "acl": {"tokens": {"default": "d"}}, "performance": {"leave_drain_time": "1s"}}
    made = consul.configuration(told, own, "key", "agent", "management")
    assert {name: made[name] for name in ("client_addr", "retry_join", "bootstrap_expect", "encrypt", "autopilot")} == {
        "client_addr": "127.0.0.1 192.0.2.1",
        "retry_join": ["192.0.2.1", "192.0.2.2", "192.0.2.3"],
        "bootstrap_expect": 3,
        "encrypt": "key",
        "autopilot": {"cleanup_dead_servers": False},
    }
    assert made["acl"]["tokens"] == {"agent": "agent", "master": "management", "default": "d"}
    registers = accessor_of("agent")
    assert made["node_meta"] == {"rack": "1", "scaleout-config": "@scaleout-digest@", "scaleout-token": registers}
    assert made["performance"] == {"raft_multiplier": 1, "leave_drain_time": "1s"}


def test_a_token_of_the_users_own_is_the_one_that_the_member_says_it_has():
    own = {"acl": {"tokens": {"agent": "mine"}}}
    made = consul.configuration(consul.wanted(platform(), "app", {}), own, "key", "agent", "")
    assert made["node_meta"]["scaleout-token"] == accessor_of("mine")


@pytest.mark.parametrize(
    ("playing", "description", "asks"),
    [
        pytest.param((), None, [], id="preflight"),
        pytest.param(("app", "c2"), None, [], id="a server takes part"),
        pytest.param(("app",), None, ["c1", "c2", "c3"], id="it has none"),
        pytest.param(("app",), "app: ", ["c1", "c2", "c3"], id="it may not register its service"),
        pytest.param(("app",), "app: other, shop", [], id="it may"),
    ],
)
def test_a_host_without_its_token_asks_a_server(playing, description, asks):
    told = platform(playing)
    told.hosts["app"]["consul_services"] = ["shop"]
    wanted = consul.wanted(told, "app", {"host_token": description})
    assert wanted["token_servers"] == asks
    assert wanted["hosts"] == [{"name": "app", "node": "app", "services": ["shop"]}]
    asked_with = {"host_token": secret_of(SECRETS["consul_agent_token"], "app")} if playing == ("app",) else {}
    assert consul.look(told, "app") == asked_with


def test_the_leading_server_sees_to_all_hosts():
    assert [host["name"] for host in consul.wanted(platform(), "c1", {})["hosts"]] == ["c1", "c2", "c3", "app"]
    assert SECRETS["consul_agent_token"] not in repr(consul.wanted(platform(), "c1", {}))


def test_an_agent_does_not_get_the_management_token():
    made = consul.configuration(consul.wanted(platform(), "app", {}), {}, "key", "agent", "management")
    assert "management" not in json.dumps(made)
    assert "server" not in made


@pytest.mark.parametrize(
    ("own", "present", "expected"),
    [
        ({}, {}, {}),
        ({}, {"CleanupDeadServers": False, "ModifyIndex": 8}, {}),
        (
            {},
            {"CleanupDeadServers": True, "MaxTrailingLogs": 250, "ModifyIndex": 8},
            {"CleanupDeadServers": False, "MaxTrailingLogs": 250},
        ),
        ({"autopilot": {"cleanup_dead_servers": True}}, {"CleanupDeadServers": True}, {}),
    ],
)
def test_the_autopilot_is_told_once(own, present, expected):
    told = platform(consul_settings=own)
    assert consul.wanted(told, "c1", {"autopilot": present})["autopilot"] == expected
    assert consul.wanted(told, "c2", {"autopilot": present})["autopilot"] == {}


@pytest.mark.parametrize(("in_use", "moves"), [(None, False), (True, False), (False, True)])
def test_the_gossip_key_is_moved_when_the_cluster_uses_another(in_use, moves):
    assert consul.wanted(platform(), "c1", {"gossip_key_in_use": in_use})["moves_gossip_key"] is moves


def server(name, voter=True, healthy=True, serf="alive"):
    return {"Name": name, "Voter": voter, "Healthy": healthy, "SerfStatus": serf}


DEAD = {"voter": True, "healthy": False, "serf": "failed"}


@pytest.mark.parametrize(
    ("expected", "others", "reason"),
    [
        pytest.param(3, [server("b"), server("c")], "", id="all-are-there"),
        pytest.param(1, [], "", id="alone"),
        pytest.param(2, [server("b")], "", id="of-two-there-is-no-other-way"),
        pytest.param(
            3,
            [server("b"), server("c", **DEAD)],
            "of the other 2 servers 1 can vote, which is no quorum",
            id="one-of-three-is-dead",
        ),
        pytest.param(
            3, [server("b")], "of the other 2 servers 1 can vote, which is no quorum", id="one-of-three-was-removed"
        ),
        pytest.param(
            3, [server("b"), server("c", voter=False)], "c has no vote yet", id="one-of-three-has-just-come-back"
        ),
        pytest.param(5, [server("b"), server("c"), server("d"), server("e", **DEAD)], "", id="one-of-five-is-dead"),
        pytest.param(
            5,
            [server("b"), server("c"), server("d", **DEAD), server("e", **DEAD)],
            "of the other 4 servers 2 can vote, which is no quorum",
            id="two-of-five-are-dead",
        ),
    ],
)
def test_a_server_stops_only_if_the_others_keep_the_quorum(expected, others, reason):
    assert consul_agent.needed("a", expected, {"Servers": [server("a"), *others]}) == reason


def test_one_that_does_not_vote_may_stop():
    servers = [server("a", voter=False, healthy=False, serf="failed"), server("b"), server("c", **DEAD)]
    assert consul_agent.needed("a", 3, {"Servers": servers}) == ""


@pytest.mark.parametrize(
    ("health", "fault"),
    [
        ({"Servers": [server("a")]}, ""),
        ({"Servers": [server("b")]}, "the leader does not know it as a server"),
        ({"Servers": [server("a", voter=False)]}, "it has no vote yet"),
        ({"Servers": [server("a", healthy=False)]}, "the leader does not find it healthy"),
        ({"Servers": None}, "the leader does not know it as a server"),
        (None, "the leader does not know it as a server"),
    ],
)
def test_a_server_counts_when_its_leader_says_so(health, fault):
    assert consul_agent.fault_of_server("a", health) == fault


@pytest.mark.parametrize(
    ("status", "fault"),
    [
        (200, ""),
        (0, "nothing answers on http://127.0.0.1:8500"),
        (403, "its token is not accepted"),
        (500, "it does not know a leader"),
        (502, "it answers 502"),
    ],
)
def test_a_status_is_said_in_words(status, fault):
    assert consul_agent.fault_of_answer(status) == fault


@pytest.mark.parametrize(
    ("state", "faults"),
    [
        ({}, ["nothing answers on http://127.0.0.1:8500"]),
        ({"answers": True, "leader": ""}, ["it does not know a leader"]),
        ({"answers": True, "leader": "192.0.2.1:8300"}, []),
    ],
)
def test_health_is_said_in_clauses(state, faults):
    assert consul.health(platform(), "c1", state) == faults


@pytest.mark.parametrize(
    ("text", "version"),
    [("Consul v1.8.7\nProtocol 2 spoken by default", "1.8.7"), ("Consul v1.20.1+ent\n", "1.20.1"), ("", "")],
)
def test_the_version_is_what_the_program_prints(text, version):
    assert consul_agent.version_in(text) == version


@pytest.mark.parametrize(
    ("rings", "keys"),
    [([{"Keys": {"a": 3}}, {"Keys": {"a": 3, "b": 1}}], {"a", "b"}), ([{"Keys": None}], set()), ("no list", set())],
)
def test_keys_are_those_of_all_rings(rings, keys):
    assert consul_agent.keys_of(rings) == keys
