# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Consul's member on this host, and the services that are registered with it."""

from __future__ import annotations

import glob
import json
import os
import shutil
import tempfile
import time
import typing as t
import urllib.parse

from ansible_collections.scaleout.platform.plugins.module_utils import journal
from ansible_collections.scaleout.platform.plugins.module_utils.process import run
from ansible_collections.scaleout.platform.plugins.module_utils.services import consul_agent as consul
from ansible_collections.scaleout.platform.plugins.module_utils.services.drivers.unit import (
    ACTIVATE_TIMEOUT,
    Driver,
    ask,
    in_place,
)
from ansible_collections.scaleout.platform.plugins.module_utils.transaction import NONE, RELOAD, RESTART


def validate(staged: t.Mapping[str, str]) -> str:
    """Have Consul check its whole folder as it is going to be.

    It reads files by their suffix, and those that wait have another one, so it gets copies under the right names.
    """
    if not staged:
        return ""
    folder = tempfile.mkdtemp(prefix="scaleout-consul-")
    try:
        present = [os.path.join(consul.FOLDER, name) for name in sorted(os.listdir(consul.FOLDER))]
        sources = {path: path for path in present if path.endswith((".json", ".hcl")) and os.path.isfile(path)}
        sources.update(staged)
        copies = {path: os.path.join(folder, os.path.basename(path)) for path in sources}
        for path, source in sources.items():
            shutil.copyfile(source, copies[path])
        done = run(["consul", "validate", folder], timeout=ACTIVATE_TIMEOUT)
        return in_place(done.said, copies) if done.status else ""
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _document(path: str) -> dict[str, t.Any] | None:
    """Read a file of ours; None where there is none, empty where it is none of ours."""
    try:
        with open(path, encoding="utf-8") as stream:
            document = json.load(stream)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


#: The configuration of the member; it says what its digest is.
CONFIGURATION = f"{consul.FOLDER}/scaleout.json"
#: Seconds that a server waits, before its turn, for others to be what a quorum needs.
_GUARD_TIMEOUT = 30
#: So often systemd may have started a unit again before there is no hope.
_HOPELESS_RESTARTS = 3
#: The status of an answer to a token that Consul does not know, or that may not do this.
_REFUSED = 403


class Api:
    """The agent on this host.

    :param tokens: ACL tokens, of which the first one that is accepted is used; they travel as a header and stand in no
        message. While a token is replaced, Consul may know only the one that is in force.
    :param url: where it answers; empty for the usual place.
    :param timeout: seconds for an answer.
    """

    def __init__(self, *tokens: str, url: str = "", timeout: float = 5) -> None:
        self._tokens = list(dict.fromkeys(token for token in tokens if token)) or [""]
        self._url = (url or consul.API).rstrip("/")
        self._timeout = timeout

    def send(self, path: str, method: str = "GET") -> tuple[int, str]:
        """Return the status and the text of an answer; 0 and the reason where there is none."""
        for token in self._tokens:
            status, text = self._ask(path, method, token)
            if status != _REFUSED:
                break
        return status, text

    def _ask(self, path: str, method: str, token: str) -> tuple[int, str]:
        return ask(self._url + path, method, {"X-Consul-Token": token} if token else {}, timeout=self._timeout)

    def revoked(self) -> bool:
        """Whether Consul knows none of the tokens: each that it knows may read itself."""
        return all(self._ask("/v1/acl/token/self", "GET", token)[0] == _REFUSED for token in self._tokens)

    def get(self, path: str) -> tuple[int, t.Any]:
        """Return the status of an answer and what it holds; None for what is no JSON."""
        status, text = self.send(path)
        try:
            return status, json.loads(text) if status else None
        except ValueError:
            return status, None


class Registration(Driver):
    """A service of this host as its agent and the catalog know it; the file on the disk says how they should.

    ``options``: ``id``, the instance. ``secrets``: ``token``, one that may register services and reload the agent.
    The agent is the business of another transaction: this one has no units.
    """

    def __init__(self, *arguments: t.Any) -> None:
        super().__init__(*arguments)
        self._id = str(self.options["id"])
        configuration = _document(CONFIGURATION) or {}
        self._node = str(configuration.get("node_name") or "")
        self._api = Api(str(self.secrets["token"]), *_tokens(configuration, "agent"))

    def validate(self, staged: t.Mapping[str, str]) -> str:
        """Have Consul check the definition together with all others."""
        return validate(staged)

    def _judge(self) -> tuple[int, str]:
        """Return the status of the agent's answer, and what is wrong with it."""
        wanted = _document(consul.service_file(self._id))
        status, known = self._api.get(f"/v1/agent/service/{urllib.parse.quote(self._id, safe='')}")
        revoked = status == _REFUSED and wanted is None and self._api.revoked()
        return status, consul.fault_of_registration(wanted, status, known, revoked)

    def _catalog_fault(self, status: int) -> str:
        """Say how the catalog has the service otherwise; without rights there is nothing of this host in it."""
        if not self._node or status in (0, _REFUSED):
            return ""
        answer, known = self._api.get(f"/v1/catalog/node/{urllib.parse.quote(self._node, safe='')}")
        return consul.fault_of_catalog(_document(consul.service_file(self._id)), self._id, answer, known)

    def drift(self) -> str:
        """Say that a reload is due where the agent has the service otherwise.

        An agent that cannot tell, since no leader tells it what the token may do, has read the file when it started.
        """
        status, fault = self._judge()
        return RELOAD if fault and status != 500 else NONE

    def activate(self, level: str) -> str:
        """Have the agent read its files again; it says what it does not take."""
        status, text = self._api.send("/v1/agent/reload", "PUT")
        if status == 200:
            return ""
        if status:
            # Without a leader the agent does not know the token. A signal needs none.
            run(["systemctl", "reload", "consul.service"], timeout=ACTIVATE_TIMEOUT)
        return " ".join(text.split())[:300]

    def ailments(self) -> list[str]:
        """Say how the agent, or then the catalog, has the service otherwise than its file."""
        status, fault = self._judge()
        fault = fault or self._catalog_fault(status)
        return [fault] if fault else []

    def last_words(self) -> str:
        """What the agent answered to the reload says more than its log."""
        return ""


class Member(Driver):
    """The agent of this host, a server or a client.

    ``options``: ``node``, its name in the catalog; ``server``; ``servers``, how many there should be; ``catalog``,
    whether a server has to be in the catalog with its configuration, for which its agent's token has to exist.
    ``secrets``: ``agent`` and ``management``, the tokens; the latter for servers only.
    """

    def __init__(self, *arguments: t.Any) -> None:
        super().__init__(*arguments)
        configuration = _document(CONFIGURATION) or {}
        self._agent = Api(str(self.secrets["agent"]))
        # While a token is replaced the cluster may know only the one that the configuration in force has.
        self._leaver = Api(str(self.secrets["agent"]), *_tokens(configuration, "agent"))
        own = str(self.secrets.get("management") or "")
        management = [*([own] if own else []), *_tokens(configuration, "initial_management", "master")]
        self._operator = Api(*management) if management else self._agent

    def _ask(self, path: str) -> tuple[int, t.Any]:
        """Ask what needs permissions, with the first token that has them."""
        return self._operator.get(path)

    def validate(self, staged: t.Mapping[str, str]) -> str:
        """Have Consul check its whole folder as it is going to be."""
        return validate(staged) if CONFIGURATION in staged else ""

    def drift(self) -> str:
        """Say that a restart is due where the agent runs with another configuration, and else whether it is in trouble.

        A reload costs nothing, and what is waited for after it is that the trouble ends.
        """
        if not self.ailments():
            return NONE
        status, digest = self._running()
        return RESTART if status == 200 and digest != self._digest() else RELOAD

    def ailments(self) -> list[str]:
        """Say why the agent is not alive in its cluster with the configuration on the disk."""
        found = super().ailments()
        if found:
            return found
        fault = self._server_fault() if self.options.get("server") else self._catalog_fault()
        return [fault] if fault else []

    def hopeless(self) -> bool:
        """Whether it ended again and again."""
        shown = run(["systemctl", "show", "--property=NRestarts", "--value", *self.units[:1]]).output.strip()
        return any(state.failed for state in self.look()) or (shown.isdigit() and int(shown) >= _HOPELESS_RESTARTS)

    def _digest(self) -> str:
        """Return the digest of the configuration on the disk."""
        facts = (_document(CONFIGURATION) or {}).get("node_meta")
        return str(facts.get(consul.MEMBER_DIGEST, "")) if isinstance(facts, dict) else ""

    def _running(self) -> tuple[int, str]:
        """Return the digest of the configuration that the agent runs with, after the status of its answer."""
        status, document = self._ask("/v1/agent/self")
        facts = document.get("Meta") if isinstance(document, dict) else None
        return status, str((facts or {}).get(consul.MEMBER_DIGEST, ""))

    def _server_fault(self) -> str:
        status, leader = self._agent.get("/v1/status/leader")
        if status != 200:
            return consul.fault_of_answer(status)
        if not leader:
            # A server that has never been in a cluster waits for the others to start, and so may they for it.
            unborn = self._agent.get("/v1/status/peers")[1] == []
            return "" if unborn and not self.options.get("catalog") else consul.fault_of_answer(500)
        status, digest = self._running()
        if status != 200:
            return consul.fault_of_answer(status)
        if digest != self._digest():
            return "it runs with another configuration"
        status, health = self._ask("/v1/operator/autopilot/health")
        if status not in (200, 429):
            return consul.fault_of_answer(status)
        fault = consul.fault_of_server(str(self.options["node"]), health)
        return fault or (self._catalog_fault() if self.options.get("catalog") else "")

    def _catalog_fault(self) -> str:
        """Ask for the one check that the leader keeps for each member, of this member with this configuration.

        An answer takes a leader that is known, a token that it accepts, gossip that reaches this agent, and an agent
        that has reported what it runs with.
        """
        node = urllib.parse.quote(f'Node == "{self.options["node"]}" and CheckID == "serfHealth"')
        path = f"/v1/health/state/passing?node-meta={consul.MEMBER_DIGEST}:{self._digest()}&filter={node}"
        status, found = self._agent.get(path)
        return consul.fault_of_answer(status) or ("" if found else "the leader does not see it")

    def guard(self) -> str:
        """Wait until the other servers keep the quorum without this one; without a leader there is none to lose."""
        if not self.options.get("server"):
            return ""
        end = time.monotonic() + _GUARD_TIMEOUT
        while True:
            if not self._agent.get("/v1/status/leader")[1]:
                return ""
            status, health = self._ask("/v1/operator/autopilot/health")
            if status in (200, 429):
                reason = consul.needed(str(self.options["node"]), int(self.options["servers"]), health)
            else:
                reason = f"it does not tell how the servers are: {consul.fault_of_answer(status)}"
            if not reason or time.monotonic() > end:
                return reason
            time.sleep(1)

    def absent(self) -> str:
        """Leave the cluster, so that the leader takes the host and its services out of the catalog at once, and stop.

        An agent that does not run is no member; the one that forgets it is the leader. One whose token was revoked may
        not leave: it stops, and is a lost member until it is forgotten.
        """
        self._leaver.send("/v1/agent/leave", "PUT")
        reason = super().absent()
        if not reason:
            for folder in glob.glob(os.path.join(glob.escape(journal.ROOT), "consul-service-*")):
                shutil.rmtree(folder, ignore_errors=True)
        return reason


def _tokens(configuration: t.Mapping[str, t.Any], *names: str) -> list[str]:
    """Return the tokens of a configuration that have these names there."""
    acl = configuration.get("acl")
    tokens = acl.get("tokens") if isinstance(acl, dict) else None
    return [str(tokens[name]) for name in names if tokens.get(name)] if isinstance(tokens, dict) else []


def in_force(instance: str) -> list[str]:
    """Return the token that registers a service of this host, by its file, and else the agent's."""
    service = (_document(consul.service_file(instance)) or {}).get("service")
    own = service.get("token") if isinstance(service, dict) else None
    return [*([str(own)] if own else []), *_tokens(_document(CONFIGURATION) or {}, "agent")]


def read_member(token: str | None, gossip_key: str | None, host_token: str | None = None) -> dict[str, t.Any]:
    """Look at Consul on this host.

    :param token: the management token; without it, what needs permissions is left out.
    :param gossip_key: the one that the cluster should use.
    :param host_token: the token that this host should have.
    """
    api = Api(token or "")
    status, leader = api.get("/v1/status/leader")
    found: dict[str, t.Any] = {
        "version": consul.version_in(run(["consul", "version"]).output),
        "answers": bool(status),
        "leader": str(leader or "") if status == 200 else "",
        "gossip_key_in_use": None,
        "autopilot": {},
        "host_token": None,
    }
    if host_token and found["leader"]:
        status, own = Api(host_token).get("/v1/acl/token/self")
        if status == 200 and isinstance(own, dict):
            found["host_token"] = str(own.get("Description") or "")
    if token and found["leader"]:
        status, rings = api.get("/v1/operator/keyring")
        if status == 200 and gossip_key:
            found["gossip_key_in_use"] = consul.keys_of(rings) == {gossip_key}
        status, settings = api.get("/v1/operator/autopilot/configuration")
        if status == 200 and isinstance(settings, dict):
            found["autopilot"] = settings
    return found
