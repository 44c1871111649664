# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tokens of hosts: what their secrets follow from, what they may do, and which tokens go."""

from __future__ import annotations

import json
import re
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scaleout.platform.plugins.module_utils.services import consul_tokens
from ansible_collections.scaleout.platform.plugins.module_utils.services.consul_tokens import (
    Action,
    Host,
    Policy,
    Present,
    Registered,
    Token,
    accessor_of,
    decide,
    description_of,
    policy_of,
    revoke,
    rules_of,
    secret_of,
)

SHARED = "6f1c2a54-93c0-4d57-8a58-0f6f0c7f1f02"
EARLIER = "6f1c2a54-93c0-4d57-8a58-0f6f0c7f1f01"
NAMES = st.text(min_size=1, max_size=200)


def test_a_secret_is_the_same_in_each_release():
    """Another one would cut every agent off from the catalog until its turn comes."""
    assert secret_of(SHARED, "api1") == "268ade6b-4dda-417d-b945-d2315c1afd32"
    assert accessor_of(secret_of(SHARED, "api1")) == "87fe1d42-e618-47c4-b72f-013eb18fc3ea"
    assert secret_of(SHARED.upper(), "api1") == secret_of(SHARED, "api1")


@given(st.uuids(), NAMES, NAMES)
def test_no_two_hosts_have_the_same_secret(shared, one, other):
    secrets = {secret_of(str(shared), name) for name in (one, other)}
    assert len(secrets) == len({one, other})
    assert all(uuid.UUID(secret).version == 4 for secret in secrets)
    assert str(shared) not in secrets
    assert not secrets & {accessor_of(secret) for secret in secrets}


@pytest.mark.parametrize(
    ("host", "policy"),
    [
        ("api1", "scaleout-host-api1"),
        ("app3.example.com", "scaleout-host-app3_example_com"),
        ("app3_example_com", "scaleout-host-app3_example_com_6ae22b4ad09daca5"),
        ("API1", "scaleout-host-api1_866fba52c668a36a"),
    ],
)
def test_a_policy_has_the_hosts_name_as_far_as_consul_takes_it(host, policy):
    assert policy_of(host) == policy


@given(NAMES, NAMES)
def test_no_two_hosts_have_the_same_policy(one, other):
    assert (policy_of(one) == policy_of(other)) == (one == other)
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,128}", policy_of(one))


def test_a_host_may_write_itself_and_its_services_and_nothing_else():
    assert json.loads(rules_of("vm1", ["shop", "nginx"])) == {
        "agent": {"vm1": {"policy": "write"}},
        "node": {"vm1": {"policy": "write"}},
        "node_prefix": {"": {"policy": "read"}},
        "service": {"nginx": {"policy": "write"}, "shop": {"policy": "write"}},
        "service_prefix": {"": {"policy": "read"}},
    }
    assert "service" not in json.loads(rules_of("vm1", []))


@given(st.sets(st.from_regex(r"[A-Za-z0-9_-]{1,63}", fullmatch=True)), st.sampled_from(["a", "a.b", "x: y"]))
def test_a_token_says_what_it_may_register(services, host):
    assert consul_tokens.described(description_of(host, services)) == services


# What is to be done


def token(host, services=(), shared=SHARED):
    return Token(accessor_of(secret_of(shared, host)), description_of(host, services), (policy_of(host),))


def policy(host, services=()):
    return Policy(f"id of {host}", policy_of(host), rules_of(host, services))


def registered(host, *services, shared=SHARED):
    """A host and its services; ``shared`` is empty for those that do not say which token registers them."""
    accessor = accessor_of(secret_of(shared, host)) if shared else ""
    return tuple(Registered(host, service, accessor) for service in ("", *services))


OF_ALL = Token("of all", "scaleout-agent", ("scaleout-agent",))
POLICY_OF_ALL = Policy("id of all", "scaleout-agent")
READER = Token("reader", "scaleout-reader", ("scaleout-reader",))
BOTH = (Host("api1", "api1", ("shop",)), Host("db1", "db1"))
OWN = {"tokens": (token("api1", ["shop"]), token("db1"), READER), "policies": (policy("api1", ["shop"]), policy("db1"))}
NEW = ["create the policy of api1", "create the token of api1", "create the policy of db1", "create the token of db1"]


@pytest.mark.parametrize(
    ("present", "does", "kept"),
    [
        pytest.param(Present(), NEW, {}, id="bootstrap"),
        pytest.param(Present(**OWN), [], {}, id="a second run"),
        pytest.param(Present(**OWN, registered=registered("api1", "shop")), [], {}, id="registered"),
        pytest.param(
            Present(**OWN, registered=registered("api1", "shop", "hello")),
            ["change the policy of api1", "change the token of api1"],
            {},
            id="it keeps what it has registered",
        ),
        pytest.param(
            Present((token("api1", ["shop", "old"]), token("db1")), (policy("api1", ["shop", "old"]), policy("db1"))),
            ["change the policy of api1", "change the token of api1"],
            {},
            id="it loses what it has not",
        ),
        pytest.param(
            Present(OWN["tokens"], (policy("api1", ["shop", "x"]), policy("db1"))),
            ["change the policy of api1"],
            {},
            id="changed by hand",
        ),
        pytest.param(
            Present((Token(token("api1").accessor, "api1: shop"), token("db1")), (policy("db1"),)),
            ["create the policy of api1", "change the token of api1"],
            {},
            id="the policy was deleted",
        ),
        pytest.param(
            Present(
                (OF_ALL, READER), (POLICY_OF_ALL,), (*registered("api1", shared=""), *registered("db1", shared=""))
            ),
            NEW,
            {"scaleout-agent": ("api1", "db1")},
            id="an older platform",
        ),
        pytest.param(
            Present(
                (*OWN["tokens"], OF_ALL),
                (*OWN["policies"], POLICY_OF_ALL),
                (*registered("api1"), Registered("api1", "shop"), *registered("db1")),
            ),
            [],
            {"scaleout-agent": ("api1",)},
            id="a service is still registered with the one of all",
        ),
        pytest.param(
            Present(
                (*OWN["tokens"], OF_ALL),
                (*OWN["policies"], POLICY_OF_ALL),
                (*registered("api1", "shop"), *registered("db1")),
            ),
            ["remove the token of scaleout-agent", "remove the policy of scaleout-agent"],
            {},
            id="taken over",
        ),
        pytest.param(
            Present(
                (*OWN["tokens"], OF_ALL, Token("mine", "of mine", ("scaleout-agent", "more"))),
                (*OWN["policies"], POLICY_OF_ALL),
            ),
            ["remove the token of scaleout-agent"],
            {},
            id="the user's own token has the policy of all",
        ),
        pytest.param(
            Present(
                (token("api1", ["shop"], EARLIER), token("db1", (), EARLIER)),
                OWN["policies"],
                (*registered("api1", "shop", shared=EARLIER), *registered("db1")),
            ),
            ["create the token of api1", "create the token of db1", "remove the token of db1"],
            {"api1": ("api1",)},
            id="H15 another secret",
        ),
        pytest.param(
            Present((*OWN["tokens"], token("gone")), (*OWN["policies"], policy("gone"))), [], {}, id="of another host"
        ),
    ],
)
def test_what_is_done(present, does, kept):
    found = decide(SHARED, BOTH, present)
    assert [str(action) for action in found.actions] == does
    assert dict(found.kept) == kept


def test_the_case_of_a_node_means_nothing_to_consul():
    present = Present(**OWN, registered=registered("API1", "hello"))
    assert decide(SHARED, BOTH, present).actions[0].text == rules_of("api1", ["hello", "shop"])


def test_l3_all_tokens_of_a_host_are_revoked():
    earlier = token("api1", ["shop"], EARLIER)
    present = Present((*OWN["tokens"], earlier), OWN["policies"])
    name = policy_of("api1")
    assert revoke(["api1", "unknown"], present) == (
        Action("drop_token", "api1", token("api1").accessor, name=name),
        Action("drop_token", "api1", earlier.accessor, name=name),
        Action("drop_policy", "api1", "id of api1", name=name),
    )


def test_what_consul_says_is_read():
    listed = [
        {"AccessorID": "a", "Policies": None},
        {"AccessorID": "b", "Description": "d", "Policies": [{"Name": "p"}]},
    ]
    assert consul_tokens.read_tokens(listed) == (Token("a"), Token("b", "d", ("p",)))
    assert consul_tokens.read_policies([{"ID": "i", "Name": "n", "Rules": "r"}]) == (Policy("i", "n", "r"),)
    nodes = [{"Node": "api1", "Meta": {"scaleout-token": "t"}}, {"Node": "api2", "Meta": None}]
    services = [
        {"Node": "api1", "ServiceName": "shop", "ServiceMeta": {"scaleout-token": "t"}},
        {"Node": "c1", "ServiceName": "consul", "ServiceMeta": None},
    ]
    assert consul_tokens.read_registered(nodes, services) == (
        Registered("api1", "", "t"),
        Registered("api2"),
        Registered("api1", "shop", "t"),
    )
