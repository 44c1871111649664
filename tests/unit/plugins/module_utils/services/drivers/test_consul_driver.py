# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Consul's drivers with a real HTTP server in the agent's place: what they ask, and what they make of the answers."""

from __future__ import annotations

import http.server
import json
import threading
import typing

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Refused
from ansible_collections.scaleout.platform.plugins.module_utils.operations.maintenance import Maintenance
from ansible_collections.scaleout.platform.plugins.module_utils.services import consul_agent as consul
from ansible_collections.scaleout.platform.plugins.module_utils.services.drivers import consul as drivers

HEALTHY = {"Servers": [{"Name": "c1", "Voter": True, "Healthy": True, "SerfStatus": "alive"}]}
LEADER, SELF, PEERS = "/v1/status/leader", "/v1/agent/self", "/v1/status/peers"
AUTOPILOT, PASSING = "/v1/operator/autopilot/health", "/v1/health/state/passing"


@pytest.fixture(name="agent")
def _agent(monkeypatch, tmp_path):
    """Answers by path, ``(status, document)``; a token in ``unknown`` gets a 403 wherever one is needed."""

    class Handler(http.server.BaseHTTPRequestHandler):
        answers: typing.ClassVar[dict] = {}
        unknown: typing.ClassVar[set] = set()

        def do_GET(self):
            path = self.path.split("?")[0]
            status, document = self.answers.get(path, (404, ""))
            if not path.startswith("/v1/status") and self.headers["X-Consul-Token"] in self.unknown:
                status, document = 403, "ACL not found"
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(document).encode())

        def log_message(self, *_arguments):
            pass

    Handler.answers, Handler.unknown = {}, set()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setattr(consul, "API", f"http://127.0.0.1:{server.server_port}")
    configuration = tmp_path / "scaleout.json"
    content = {"node_meta": {"scaleout-config": "abc"}, "acl": {"tokens": {"master": "old"}}}
    configuration.write_text(json.dumps(content), encoding="utf-8")
    monkeypatch.setattr(drivers, "CONFIGURATION", str(configuration))
    yield Handler
    server.shutdown()
    server.server_close()


def member(server=True, catalog=False):
    options = {"node": "c1", "server": server, "servers": 3, "catalog": catalog}
    return drivers.Member("consul", [], options, {"agent": "agent", "management": "new" if server else ""}, "")


SERVING = {
    LEADER: (200, "192.0.2.1:8300"),
    SELF: (200, {"Meta": {"scaleout-config": "abc"}}),
    AUTOPILOT: (200, HEALTHY),
    PASSING: (200, [{"Node": "c1"}]),
}
UNBORN = {LEADER: (200, ""), PEERS: (200, [])}


@pytest.mark.parametrize(
    ("changes", "catalog", "ailments", "drift"),
    [
        ({}, False, [], "none"),
        ({}, True, [], "none"),
        (UNBORN, False, [], "none"),
        (UNBORN, True, ["it does not know a leader"], "reload"),
        ({**UNBORN, PEERS: (200, ["192.0.2.1:8300"])}, False, ["it does not know a leader"], "reload"),
        ({SELF: (200, {"Meta": {"scaleout-config": "x"}})}, False, ["it runs with another configuration"], "restart"),
        ({SELF: (200, {"Meta": None})}, False, ["it runs with another configuration"], "restart"),
        ({SELF: (500, "")}, False, ["it does not know a leader"], "reload"),
        ({AUTOPILOT: (500, "")}, False, ["it does not know a leader"], "reload"),
        ({AUTOPILOT: (429, HEALTHY)}, False, [], "none"),
        ({AUTOPILOT: (200, {"Servers": []})}, False, ["the leader does not know it as a server"], "reload"),
        ({PASSING: (200, [])}, False, [], "none"),
        ({PASSING: (200, [])}, True, ["the leader does not see it"], "reload"),
    ],
)
def test_what_ails_a_server(agent, changes, catalog, ailments, drift):
    agent.answers = {**SERVING, **changes}
    assert (member(catalog=catalog).ailments(), member(catalog=catalog).drift()) == (ailments, drift)


@pytest.mark.parametrize(
    ("changes", "ailments", "drift"),
    [
        ({}, [], "none"),
        ({PASSING: (200, [])}, ["the leader does not see it"], "reload"),
        ({PASSING: (200, []), SELF: (200, {"Meta": {}})}, ["the leader does not see it"], "restart"),
        ({PASSING: (500, "")}, ["it does not know a leader"], "reload"),
    ],
)
def test_what_ails_an_agent(agent, changes, ailments, drift):
    agent.answers = {**SERVING, **changes}
    assert (member(server=False).ailments(), member(server=False).drift()) == (ailments, drift)


def test_nothing_answers(agent, monkeypatch):
    monkeypatch.setattr(consul, "API", "http://127.0.0.1:1")
    assert member().ailments() == ["nothing answers on http://127.0.0.1:1"]
    assert member().guard() == ""


@pytest.mark.parametrize(
    ("unknown", "ailments"), [({"new"}, []), ({"new", "old"}, ["its token is not accepted"]), ({"agent"}, [])]
)
def test_the_token_in_force_serves_while_another_replaces_it(agent, unknown, ailments):
    agent.answers, agent.unknown = SERVING, unknown
    assert member().ailments() == ailments


@pytest.mark.parametrize(
    ("changes", "server", "reason"),
    [
        ({}, True, ""),
        ({LEADER: (200, "")}, True, ""),
        ({AUTOPILOT: (403, "")}, True, "it does not tell how the servers are: its token is not accepted"),
        ({AUTOPILOT: (403, "")}, False, ""),
    ],
)
def test_whom_the_guard_lets_stop(agent, monkeypatch, changes, server, reason):
    monkeypatch.setattr(drivers, "_GUARD_TIMEOUT", 0)
    agent.answers = {**SERVING, **changes}
    assert member(server).guard() == reason


@pytest.mark.parametrize(
    ("answer", "file", "ailments", "drift"),
    [
        ((200, {"Meta": {"scaleout-digest": "abc"}}), "abc", [], "none"),
        ((404, ""), "abc", ["the agent does not have the service"], "reload"),
        ((404, ""), None, [], "none"),
        ((200, {"Meta": {}}), None, ["the agent still has the service"], "reload"),
        ((500, ""), "abc", ["the agent answers 500"], "none"),
    ],
)
def test_a_registration_is_what_its_file_says(agent, monkeypatch, tmp_path, answer, file, ailments, drift):
    path = tmp_path / "service_shop.json"
    if file:
        path.write_text(json.dumps({"service": {"meta": {"scaleout-digest": file}}}), encoding="utf-8")
    monkeypatch.setattr(consul, "service_file", lambda _instance: str(path))
    agent.answers = {"/v1/agent/service/shop": answer}
    driver = drivers.Registration("consul-service-shop", [], {"id": "shop"}, {"token": "agent"}, "")
    assert (driver.ailments(), driver.drift()) == (ailments, drift)


DRAIN = {
    "id": "shop",
    "service": None,
    "address": "192.0.2.1",
    "state": "present",
    "timeout": 1,
    "token": "new",
    "when_revoked": "refuse",
}
CATALOG = "/v1/catalog/node/c1"
OWN = "/v1/acl/token/self"


@pytest.mark.parametrize(
    ("file", "unknown", "catalog", "ailments"),
    [
        pytest.param("abc", {}, (200, {"Services": {"shop": {"Meta": {"scaleout-digest": "abc"}}}}), [], id="in-force"),
        pytest.param("abc", {}, (200, {"Services": {}}), ["Consul's catalog does not have"], id="not-allowed"),
        pytest.param("abc", {"own"}, (200, {"Services": {}}), ["Consul's catalog does not have"], id="not-known-yet"),
        pytest.param("abc", {"own", "old"}, (200, {}), ["Consul does not accept the token of this host"], id="revoked"),
        pytest.param(None, {"own", "old"}, (200, {}), [], id="revoked-and-removed"),
        pytest.param(None, {"own"}, (200, {"Services": {"shop": {}}}), ["Consul's catalog still"], id="still-there"),
    ],
)
def test_l3_a_registration_is_in_the_catalog_or_the_token_is_revoked(
    agent, monkeypatch, tmp_path, file, unknown, catalog, ailments
):
    path = tmp_path / "service_shop.json"
    if file:
        path.write_text(json.dumps({"service": {"meta": {"scaleout-digest": file}}}), encoding="utf-8")
    configuration = tmp_path / "other.json"
    configuration.write_text(json.dumps({"node_name": "c1", "acl": {"tokens": {"agent": "old"}}}), encoding="utf-8")
    monkeypatch.setattr(drivers, "CONFIGURATION", str(configuration))
    monkeypatch.setattr(consul, "service_file", lambda _instance: str(path))
    known = (200, {"Meta": {"scaleout-digest": file}}) if file else (404, "")
    agent.answers = {"/v1/agent/service/shop": known, CATALOG: catalog, OWN: (200, {})}
    agent.unknown = set(unknown)
    driver = drivers.Registration("consul-service-shop", [], {"id": "shop"}, {"token": "own"}, "")
    found = driver.ailments()
    assert len(found) == len(ailments)
    assert all(one.startswith(start) for one, start in zip(found, ailments, strict=True))


def test_a_service_is_drained_with_the_token_that_it_was_registered_with(agent, monkeypatch, tmp_path):
    path = tmp_path / "service_shop.json"
    path.write_text(json.dumps({"service": {"token": "registered"}}), encoding="utf-8")
    monkeypatch.setattr(consul, "service_file", lambda _instance: str(path))
    agent.answers = {
        "/v1/agent/service/shop": (200, {}),
        "/v1/agent/checks": (200, {}),
        "/v1/health/service/shop": (200, [{"Service": {"Address": "192.0.2.2"}}]),
    }
    agent.unknown = {"new"}
    plan = Maintenance({**DRAIN, "url": consul.API}).plan()
    assert (plan.result["registered"], plan.result["others"], plan.actions) == (True, ["192.0.2.2"], ("maintain",))


@pytest.mark.parametrize(("unknown", "skipped"), [({"new", "registered"}, True), ({"new"}, False)])
def test_l3_a_host_whose_token_was_revoked_has_nothing_to_drain(agent, monkeypatch, tmp_path, unknown, skipped):
    path = tmp_path / "service_shop.json"
    path.write_text(json.dumps({"service": {"token": "registered"}}), encoding="utf-8")
    monkeypatch.setattr(consul, "service_file", lambda _instance: str(path))
    answers = {"/v1/agent/service/shop": (200, {}), "/v1/agent/checks": (200, {}), "/v1/health/service/shop": (200, [])}
    agent.answers, agent.unknown = {**answers, OWN: (200, {})}, unknown
    plan = Maintenance({**DRAIN, "url": consul.API, "when_revoked": "skip"}).plan()
    assert plan.result["registered"] == (not skipped)
    if skipped:
        with pytest.raises(Refused, match="403"):
            Maintenance({**DRAIN, "url": consul.API}).plan()


@pytest.mark.parametrize(
    ("answers", "unknown", "description"),
    [
        pytest.param({LEADER: (200, "c1"), OWN: (200, {"Description": "api1: shop"})}, set(), "api1: shop", id="known"),
        pytest.param({LEADER: (200, "c1"), OWN: (200, {})}, {"own"}, None, id="unknown"),
        pytest.param({LEADER: (200, "")}, set(), None, id="no-leader"),
    ],
)
def test_a_host_learns_from_its_token_what_it_may_register(agent, answers, unknown, description):
    agent.answers, agent.unknown = answers, unknown
    assert drivers.read_member(None, None, "own")["host_token"] == description
