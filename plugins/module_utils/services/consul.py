# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Consul: who may be a member, what its configuration is made of, and how services are registered; pure."""

from __future__ import annotations

import base64
import ipaddress
import re
import typing as t
import uuid

from ansible_collections.scaleout.platform.plugins.module_utils.platform import Platform, Problem
from ansible_collections.scaleout.platform.plugins.module_utils.services import consul_hosts
from ansible_collections.scaleout.platform.plugins.module_utils.services.consul_agent import (
    API,
    MEMBER_DIGEST,
    SERVICE_DIGEST,
)
from ansible_collections.scaleout.platform.plugins.module_utils.services.consul_tokens import (
    FACT,
    accessor_of,
    secret_of,
)
from ansible_collections.scaleout.platform.plugins.module_utils.services.listen import Listen, is_loopback
from ansible_collections.scaleout.platform.plugins.module_utils.transaction import DIGEST_MARK

STATE_MODULE = "scaleout.platform.consul_member_info"

SERVERS = consul_hosts.SERVERS
MAKE_KEY = "python3 -c 'import base64, os; print(base64.b64encode(os.urandom(32)).decode())'"
MAKE_UUID = "python3 -c 'import uuid; print(uuid.uuid4())'"
TOKENS = ("consul_management_token", "consul_agent_token", "consul_reader_token")

#: A host that has no Consul yet will get what its repository holds: HashiCorp's newest, or Debian 11's, the last that
#: Debian released.
_ASSUMED_VERSIONS = {"hashicorp": "1.20", "none": "1.8"}
_PORTS = {"server": 8300, "serf_lan": 8301, "serf_wan": 8302, "http": 8500, "dns": 8600}
_KEY_LENGTHS = (16, 24, 32)
_DATACENTER = re.compile(r"[a-z0-9_-]+")
_VERSION = re.compile(r"([0-9]+)\.([0-9]+)")

#: Checks that have no interval: the service reports itself, or the check follows another one.
_UNTIMED = ("ttl", "alias_service", "alias_node")


def definition(service: t.Mapping[str, t.Any], defaults: t.Mapping[str, t.Any], token: str) -> dict[str, t.Any]:
    """Return the definition of a service as Consul reads it, with the fact that says which token registers it.

    :param service: with Consul's own names.
    :param defaults: what its checks have unless they say otherwise; those without an interval take none of it.
    """
    checks = [
        dict(check) if any(kind in check for kind in _UNTIMED) else {**defaults, **check}
        for check in service.get("checks") or []
    ]
    facts = {str(name): str(value) for name, value in (service.get("meta") or {}).items()}
    given = {name: value for name, value in service.items() if value is not None}
    # The name of a port in a template makes text of it.
    ports = {"port": int(given["port"])} if "port" in given else {}
    own = {FACT: accessor_of(token), SERVICE_DIGEST: DIGEST_MARK}
    return {**given, **ports, "token": token, "checks": checks, "meta": {**facts, **own}}


# The inventory


def is_server(platform: Platform, host: str) -> bool:
    """Whether a host is to be a server."""
    return platform.is_on(host, "consul_server", host in platform.groups.get(SERVERS, ()))


def servers(platform: Platform, host: str) -> list[str]:
    """Return where the servers are, as a host has it."""
    given = platform.value(host, "consul_server_addresses")
    return [str(one) for one in given] if given else [platform.address(one) for one in platform.members(SERVERS)]


def leads(platform: Platform, host: str) -> bool:
    """Whether a host does for the whole cluster what one of its servers has to do: the first that takes part does."""
    living = [one for one in platform.members(SERVERS) if not platform.playing or one in platform.playing]
    return living[:1] == [host]


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _is_template(text: str) -> bool:
    """Consul has templates of its own, such as ``{{ GetPrivateIP }}``; what they come to shows on the host only."""
    return text.startswith("{{")


def problems(platform: Platform, host: str, state: t.Mapping[str, t.Any] | None = None) -> list[Problem]:
    """Say why a host cannot be a member."""
    found = []
    # Preflight names an empty group for all hosts together.
    if state is not None and not servers(platform, host):
        found.append(Problem("no_server", host, "the group consul_server is empty; it needs at least one host"))
    found += _bind_problems(platform, host)
    found += _http_problems(platform, host)
    name = str(platform.value(host, "consul_datacenter", "dc1"))
    if not _DATACENTER.fullmatch(name):
        text = f'consul_datacenter is "{name}"; it is made of small letters, digits, - and _'
        found.append(Problem("bad_name", host, text))
    found += _name_problems(platform, host)
    found += _secret_problems(platform, host)
    return found


def _bind_problems(platform: Platform, host: str) -> list[Problem]:
    platforms = platform.address(host)
    value = str(platform.value(host, "consul_bind_address", platforms))
    if _address(value) or _is_template(value):
        return []
    variable = "platform_address" if value == platforms else "consul_bind_address"
    text = f'{variable} is "{value}"; Consul needs the IP address by which the other hosts reach this one'
    return [Problem("bad_address", host, text)]


def _http_problems(platform: Platform, host: str) -> list[Problem]:
    found = []
    given = platform.value(host, "consul_http_addresses", [])
    for one in map(str, given if isinstance(given, (list, tuple)) else [given]):
        address, text = _address(one), ""
        if _is_template(one):
            continue
        if address is None:
            text = f'consul_http_addresses has "{one}", which is no IP address'
        elif address.is_unspecified:
            text = (
                f"consul_http_addresses has {one}; 127.0.0.1 is taken already, so name the host's addresses one by one"
            )
        elif address.is_multicast:
            text = f"consul_http_addresses has {one}, which is no address of a host"
        if text:
            found.append(Problem("bad_address", host, text))
    return found


def _name_problems(platform: Platform, host: str) -> list[Problem]:
    """The names of the inventory are unique, so that only a host with a name of its own can be in another's way."""
    name = str(platform.value(host, "consul_node_name", host))
    if name == host:
        return []
    idle = platform.groups.get("fleet_idle", ())
    others = [one for one in platform.hosts if one != host and one not in idle]
    same = [one for one in others if str(platform.value(one, "consul_node_name", one)).lower() == name.lower()]
    text = f'consul_node_name is "{name}", which {", ".join(same)} has as well'
    return [Problem("duplicate", host, text)] if same else []


def _secret_problems(platform: Platform, host: str) -> list[Problem]:
    """No sentence has a secret in it. Those that are missing are preflight's to name, for all hosts together."""
    found = []
    given = {variable: platform.value(host, variable) for variable in ("consul_gossip_key", *TOKENS)}
    values = {variable: str(value) for variable, value in given.items() if value not in (None, "")}
    key = values.pop("consul_gossip_key", None)
    if key is not None and not _is_key(key):
        text = f"consul_gossip_key is not 16, 24 or 32 bytes in base64; make one with `{MAKE_KEY}`"
        found.append(Problem("bad_secret", host, text))
    for variable, value in values.items():
        if not _is_uuid(value):
            found.append(Problem("bad_secret", host, f"{variable} is not a UUID; make one with `{MAKE_UUID}`"))
        same = next((other for other in values if other != variable and values[other].lower() == value.lower()), None)
        if same and variable < same:
            text = f"{variable} and {same} are the same; each of them needs a UUID of its own"
            found.append(Problem("duplicate", host, text))
    return found


def _is_key(text: str) -> bool:
    try:
        return len(base64.b64decode(text, validate=True)) in _KEY_LENGTHS
    except ValueError:
        return False


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False


def _http_addresses(platform: Platform, host: str) -> list[str]:
    return list(dict.fromkeys(["127.0.0.1", *map(str, platform.value(host, "consul_http_addresses", []))]))


def ports_of(platform: Platform, host: str) -> dict[str, int]:
    """Return the agent's ports by the names that Consul gives them; 0 and less is none."""
    given = platform.value(host, "consul_settings", {}).get("ports") or {}
    return {**_PORTS, **{name: port for name, port in given.items() if isinstance(port, int)}}


def gossip_of(platform: Platform, host: str) -> tuple[str, ...]:
    """Return the names of the ports that other members use."""
    return ("server", "serf_lan", "serf_wan") if is_server(platform, host) else ("serf_lan",)


def is_asked(platform: Platform, host: str) -> bool:
    """Whether its HTTP interface listens for other hosts."""
    return any(not is_loopback(address) for address in _http_addresses(platform, host))


def listens(platform: Platform, host: str) -> list[Listen]:
    """Return the ports that the agent takes; for lack of a variable of their own they are settings."""
    ports = ports_of(platform, host)
    bind = str(platform.value(host, "consul_bind_address", platform.address(host)))
    found = [Listen("consul_settings", ports[name], bind) for name in gossip_of(platform, host)]
    for address in _http_addresses(platform, host):
        found += [Listen("consul_settings", ports[name], address) for name in ("http", "dns")]
    return [one for one in found if one.port > 0]


# The configuration


def look(platform: Platform, host: str) -> dict[str, t.Any]:
    """Return what the state's module asks for."""
    if leads(platform, host):
        return {
            "token": platform.value(host, "consul_management_token"),
            "gossip_key": platform.value(host, "consul_gossip_key"),
        }
    shared = platform.value(host, "consul_agent_token")
    return {"host_token": secret_of(str(shared), host)} if shared and _asks(platform, host) else {}


def _asks(platform: Platform, host: str, state: t.Mapping[str, t.Any] | None = None) -> list[str]:
    """Return the servers to ask for the host's token."""
    description = (state or {}).get("host_token")
    return consul_hosts.servers_to_ask(platform, host, None if description is None else str(description))


def health(platform: Platform, host: str, state: t.Mapping[str, t.Any]) -> list[str]:
    """Say what keeps the member from being healthy, as far as it needs no token."""
    if not state.get("answers"):
        return [f"nothing answers on {API}"]
    return [] if state.get("leader") else ["it does not know a leader"]


def _version(platform: Platform, host: str, state: t.Mapping[str, t.Any]) -> tuple[int, int]:
    """Return the version's first two numbers: of what is installed, else of what is going to be."""
    _name, _equals, pinned = str(platform.value(host, "consul_package", "consul")).partition("=")
    assumed = _ASSUMED_VERSIONS.get(str(platform.value(host, "consul_repository", "hashicorp")), "")
    for text in (state.get("version"), pinned, assumed):
        match = _VERSION.search(str(text or ""))
        if match:
            return int(match.group(1)), int(match.group(2))
    return 1, 20


def wanted(platform: Platform, host: str, state: t.Mapping[str, t.Any] | None) -> dict[str, t.Any]:
    """Return what the role's templates and tasks take from here."""
    state = state or {}
    server, first = is_server(platform, host), leads(platform, host)
    version = _version(platform, host, state)
    settings = {
        "datacenter": platform.value(host, "consul_datacenter", "dc1"),
        "node_name": platform.value(host, "consul_node_name", host),
        "data_dir": platform.value(host, "consul_data_dir"),
        "bind_addr": platform.value(host, "consul_bind_address", platform.address(host)),
        "client_addr": " ".join(_http_addresses(platform, host)),
        "retry_join": servers(platform, host),
        "retry_interval": "2s",
        # This file alone says which key a starting agent uses; a keyring on disk would silently win over it.
        "disable_keyring_file": True,
        "disable_update_check": True,
        "enable_local_script_checks": True,
        # A stopped or rebooted host stays in the catalog as failed, which is what an operator must see;
        # `consul leave` takes a host out for good.
        "leave_on_terminate": False,
        "skip_leave_on_interrupt": True,
        "acl": {"enabled": True, "default_policy": "deny"},
    }
    if server:
        settings.update(
            server=True,
            bootstrap_expect=len(servers(platform, host)),
            # Consul's own recommendation for production; the default of 5 is for the smallest of machines.
            performance={"raft_multiplier": 1},
            autopilot={"cleanup_dead_servers": False},
            **({"ui_config": {"enabled": True}} if version >= (1, 9) else {"ui": True}),
        )
    return {
        "server": server,
        "servers": len(servers(platform, host)),
        "node": settings["node_name"],
        "settings": settings,
        "management": ("initial_management" if version >= (1, 11) else "master") if server else "",
        # Before the first run there is nothing to ask, and the configuration says all of it.
        "defines_tokens": first,
        "hosts": consul_hosts.hosts_of(platform) if first else [consul_hosts.described_host(platform, host)],
        "token_servers": _asks(platform, host, state),
        "moves_gossip_key": first and state.get("gossip_key_in_use") is False,
        "autopilot": _autopilot(platform, host, state.get("autopilot") or {}) if first else {},
    }


def _autopilot(platform: Platform, host: str, present: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return the autopilot's settings for a cluster that has others; empty for one that has not.

    Consul reads them from its configuration only once, when the cluster is born. A server that comes back keeps its
    vote unless it is taken away, and a fixed set of servers has no use for that.
    """
    own = platform.value(host, "consul_settings", {}).get("autopilot")
    cleanup = bool(own.get("cleanup_dead_servers", False)) if isinstance(own, t.Mapping) else False
    if not present or present.get("CleanupDeadServers") == cleanup:
        return {}
    return {**{k: v for k, v in present.items() if not k.endswith("Index")}, "CleanupDeadServers": cleanup}


def _plain(value: t.Any) -> t.Any:
    """Copy mappings and lists. A deep copy of what templates hand over would take all of Ansible with it."""
    if isinstance(value, t.Mapping):
        return {name: _plain(one) for name, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, (list, tuple)) else value


def merged(base: t.Mapping[str, t.Any], over: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return a mapping with another one over it, mappings within it too; neither is changed."""
    result: dict[str, t.Any] = _plain(base)
    for name, value in over.items():
        below = result.get(name)
        both = isinstance(below, dict) and isinstance(value, t.Mapping)
        result[name] = merged(t.cast("dict[str, t.Any]", below), value) if both else _plain(value)
    return result


def configuration(
    told: t.Mapping[str, t.Any], own: t.Mapping[str, t.Any], gossip_key: str, agent_token: str, management_token: str
) -> dict[str, t.Any]:
    """Return the whole configuration, with its secrets, and with the fact that says which token registers the member.

    :param told: what :func:`wanted` returned.
    :param own: settings of the user's, which win.
    """
    tokens = {"agent": agent_token, **({told["management"]: management_token} if told["management"] else {})}
    secret = merged(told["settings"], {"encrypt": gossip_key, "acl": {"tokens": tokens}})
    whole = merged(secret, own)
    facts = {FACT: accessor_of(str(whole["acl"]["tokens"]["agent"])), MEMBER_DIGEST: DIGEST_MARK}
    return merged(whole, {"node_meta": facts})
