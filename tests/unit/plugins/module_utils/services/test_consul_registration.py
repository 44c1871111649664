# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Registrations: what Consul reads, and how an agent is seen to have another one than the file says."""

from __future__ import annotations

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.services import consul, consul_agent
from ansible_collections.scaleout.platform.plugins.module_utils.services.consul_tokens import accessor_of

DEFAULTS = {"interval": "5s", "timeout": "1s"}


@pytest.mark.parametrize(
    ("check", "expected"),
    [
        pytest.param({"tcp": "a:1"}, {"tcp": "a:1", "interval": "5s", "timeout": "1s"}, id="timed"),
        pytest.param({"tcp": "a:1", "interval": "2s"}, {"tcp": "a:1", "interval": "2s", "timeout": "1s"}, id="its-own"),
        pytest.param({"ttl": "1h"}, {"ttl": "1h"}, id="ttl"),
        pytest.param({"alias_service": "a"}, {"alias_service": "a"}, id="alias-of-a-service"),
        pytest.param({"alias_node": "a"}, {"alias_node": "a"}, id="alias-of-a-node"),
    ],
)
def test_a_check_has_what_it_leaves_out_where_consul_allows_it(check, expected):
    assert consul.definition({"name": "shop", "checks": [check]}, DEFAULTS, "t")["checks"] == [expected]


def test_h13_a_service_starts_critical():
    """Which is Consul's own default; a reload keeps what a check has found. (What a host that was lost left in the
    catalog is not believed by nginx's watch, see test_upstream_watch.py.)"""
    (check,) = consul.definition({"name": "shop", "checks": [{"http": "http://a/"}]}, DEFAULTS, "t")["checks"]
    assert check.get("status", "critical") == "critical"


def test_a_definition_is_what_consul_reads():
    service = {"name": "shop", "id": None, "port": "8000", "meta": {"since": 2026}}
    assert consul.definition(service, DEFAULTS, "secret") == {
        "name": "shop",
        "port": 8000,
        "token": "secret",
        "checks": [],
        "meta": {"since": "2026", "scaleout-digest": "@scaleout-digest@", "scaleout-token": accessor_of("secret")},
    }


FILE = {"service": {"name": "shop", "meta": {"scaleout-digest": "abc"}}}


@pytest.mark.parametrize(
    ("wanted", "status", "known", "fault"),
    [
        (FILE, 200, {"Meta": {"scaleout-digest": "abc"}}, ""),
        (None, 404, None, ""),
        (None, 0, None, ""),
        (FILE, 0, None, "the agent does not answer"),
        (FILE, 403, None, "Consul does not accept the token of this host"),
        (None, 403, None, "Consul does not accept the token of this host"),
        (FILE, 404, None, "the agent does not have the service"),
        (FILE, 500, None, "the agent answers 500"),
        (FILE, 200, {"Meta": {"scaleout-digest": "other"}}, "the agent has another definition of the service"),
        (FILE, 200, {"Meta": None}, "the agent has another definition of the service"),
        (FILE, 200, ["no object"], "the agent has another definition of the service"),
        ({}, 200, {"Meta": {}}, "the agent has another definition of the service"),
        (None, 200, {"Meta": {"scaleout-digest": "abc"}}, "the agent still has the service"),
    ],
)
def test_the_agent_has_the_service_as_its_file_says(wanted, status, known, fault):
    assert consul_agent.fault_of_registration(wanted, status, known) == fault


@pytest.mark.parametrize(
    ("wanted", "fault"),
    [
        pytest.param(None, "", id="removed"),
        pytest.param(FILE, "Consul does not accept the token of this host", id="to be registered"),
    ],
)
def test_l3_a_host_whose_token_was_revoked_has_nothing_registered(wanted, fault):
    assert consul_agent.fault_of_registration(wanted, 403, None, revoked=True) == fault


NODE = {"Services": {"shop": {"Meta": {"scaleout-digest": "abc"}}}}
REFUSED = (
    "Consul's catalog does not have the service; if the host's token may not register shop, list it in "
    "consul_services and run site.yml --tags consul"
)


@pytest.mark.parametrize(
    ("wanted", "status", "known", "fault"),
    [
        pytest.param(FILE, 200, NODE, "", id="as it should be"),
        pytest.param(FILE, 200, {"Services": {}}, REFUSED, id="not there"),
        pytest.param(FILE, 200, None, REFUSED, id="not even the node"),
        pytest.param(FILE, 200, {"Services": {"shop": {"Meta": None}}}, REFUSED, id="as it was before"),
        pytest.param(FILE, 500, None, "Consul's catalog answers 500", id="no leader"),
        pytest.param(FILE, 0, None, "the agent does not answer", id="no answer"),
        pytest.param(None, 200, {"Services": None}, "", id="gone"),
        pytest.param(None, 200, NODE, "Consul's catalog still has the service", id="still there"),
    ],
)
def test_the_catalog_has_the_service_as_its_file_says(wanted, status, known, fault):
    assert consul_agent.fault_of_catalog(wanted, "shop", status, known) == fault
