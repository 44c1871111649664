# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""RabbitMQ: which broker a host may have, and what its configuration is made of; pure."""

from __future__ import annotations

import json
import re
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.names import bracketed, fault_of_address
from ansible_collections.scaleout.platform.plugins.module_utils.platform import Platform, Problem
from ansible_collections.scaleout.platform.plugins.module_utils.services.listen import Listen, is_port

#: Says the host's short name, of which the node's is made, and the memory that the broker may use.
STATE_MODULE = "scaleout.platform.rabbitmq_server_info"

#: What nodes and rabbitmqctl use between themselves; on loopback, since the broker is one node.
MAPPER_PORT = 4369
ERLANG_PORT = 25672

LOOPBACK = "127.0.0.1"
RIGHTS = ("configure", "read", "write")
#: RabbitMQ's own user, who the role removes.
GUEST = "guest"

PROMETHEUS = "rabbitmq_prometheus"
#: The variable of its port.
METRICS = "rabbitmq_prometheus_port"

_NAME = re.compile(r"[A-Za-z0-9_./@:-]{1,128}")
_PLUGIN = re.compile(r"[a-z0-9_]+")
_SHARE = re.compile(r"0?[.][0-9]+")
_SIZE = re.compile(r"[0-9]+[kMG]i?B?")
_LIMIT = re.compile(r"[0-9]+([kMG]i?B?)?")
_SETTING = re.compile(r"[A-Za-z0-9_$-]+([.][A-Za-z0-9_$-]+)*")
# Written by the role itself, from variables of their own.
_OWNED = re.compile(
    r"(listeners[.]tcp|loopback_users|vm_memory_high_watermark[.]|total_memory_|disk_free_limit|log[.]console$"
    r"|prometheus[.]tcp|default_(user|pass))"
)
_LISTENER = re.compile(r"(.+[.])?(listeners[.](tcp|ssl)[.][^.]+|(tcp|ssl)[.]port)")
# rabbitmq-env.conf is read by a shell, between double quotes.
_NOT_IN_SHELL = re.compile(r'["$`\\\x00-\x1f]')

# The broker knows these settings while one of the plugins is enabled, and does not start with them otherwise.
_NEEDS_MANAGEMENT = (
    "rabbitmq_management",
    "rabbitmq_top",
    "rabbitmq_tracing",
    "rabbitmq_shovel_management",
    "rabbitmq_federation_management",
    "rabbitmq_stream_management",
)
_PLUGINS_OF = {
    "management": _NEEDS_MANAGEMENT,
    "prometheus": (PROMETHEUS,),
    "mqtt": ("rabbitmq_mqtt", "rabbitmq_web_mqtt"),
    "web_mqtt": ("rabbitmq_web_mqtt",),
    "stomp": ("rabbitmq_stomp", "rabbitmq_web_stomp"),
    "web_stomp": ("rabbitmq_web_stomp",),
    "stream": ("rabbitmq_stream", "rabbitmq_stream_management"),
}


def _list(platform: Platform, host: str, variable: str) -> list[t.Any]:
    value = platform.value(host, variable, [])
    return list(value) if isinstance(value, (list, tuple)) else []


def _mapping(value: t.Any) -> dict[str, t.Any]:
    return {str(name): each for name, each in value.items()} if isinstance(value, t.Mapping) else {}


def _users(platform: Platform, host: str) -> list[dict[str, t.Any]]:
    return [_mapping(user) for user in _list(platform, host, "rabbitmq_users")]


def _settings(platform: Platform, host: str) -> dict[str, t.Any]:
    return _mapping(platform.value(host, "rabbitmq_settings", {}))


def _plugins(platform: Platform, host: str) -> list[str]:
    return sorted({str(plugin) for plugin in _list(platform, host, "rabbitmq_plugins")})


def _address(platform: Platform, host: str) -> str:
    return str(platform.value(host, "rabbitmq_address") or platform.address(host))


def _twice(names: t.Sequence[str]) -> list[str]:
    return sorted({name for name in names if names.count(name) > 1})


def faults_of_names(vhosts: t.Sequence[str], users: t.Sequence[t.Mapping[str, t.Any]]) -> list[tuple[str, str]]:
    """Judge virtual hosts and users; the module ``rabbitmq_definitions`` asks the same.

    :param users: each with ``name``, ``password``, ``tags`` and ``vhosts``.
    :return: codes with clauses that go on behind the name of a variable that ends with ``users`` or ``vhosts``.
    """
    found = []
    names = [str(user.get("name", "")) for user in users]
    found += [("duplicate", f"users has the user {name} twice") for name in _twice(names)]
    found += [("duplicate", f"vhosts has the virtual host {name} twice") for name in _twice(vhosts)]
    for kind, given in (("users", names), ("vhosts", vhosts)):
        for name in given:
            if not _NAME.fullmatch(name):
                text = f"{kind} has the name {json.dumps(name)}; up to 128 letters, digits and _ . / @ : - only"
                found.append(("bad_name", text))
    for user in users:
        name = str(user.get("name", ""))
        if not str(user.get("password") or ""):
            found.append(("no_password", f"users: {name} has an empty password"))
        for vhost, rights in _mapping(user.get("vhosts")).items():
            if vhost not in vhosts:
                text = f"users: {name} has the virtual host {vhost}, which is not among the virtual hosts"
                found.append(("unknown_vhost", text))
            if sorted(_mapping(rights)) != list(RIGHTS):
                has = ", ".join(_mapping(rights)) or "nothing"
                text = f"users: {name} has {has} in {vhost}; it must have configure, write and read"
                found.append(("bad_permissions", text))
    return found


def look(platform: Platform, host: str) -> dict[str, t.Any]:
    """Return the arguments of :data:`STATE_MODULE`."""
    return {}


def problems(platform: Platform, host: str, state: t.Mapping[str, t.Any] | None = None) -> list[Problem]:
    """Say why the role cannot configure this host."""
    found = [*_of_ports(platform, host), *_of_definitions(platform, host), *_of_values(platform, host)]
    found += _of_plugins(platform, host)
    found += _of_settings(platform, host)
    return [Problem(code, host, text) for code, text in found]


def _of_ports(platform: Platform, host: str) -> list[tuple[str, str]]:
    found = []
    ports: dict[str, t.Any] = {"rabbitmq_port": platform.value(host, "rabbitmq_port", 5672)}
    if PROMETHEUS in _plugins(platform, host):
        ports[METRICS] = platform.value(host, METRICS, 15692)
    taken = {MAPPER_PORT: "Erlang's port mapper", ERLANG_PORT: "Erlang's own traffic"}
    for variable, port in ports.items():
        if not is_port(port):
            found.append(("bad_port", f"{variable} is {port}; it must be 1 to 65535"))
            continue
        if int(port) in taken:
            found.append(("port_taken", f"{variable} is {port}, the port of {taken[int(port)]}"))
        taken[int(port)] = variable
    address = _address(platform, host)
    fault = fault_of_address(address)
    if fault:
        found.append(("bad_address", f"rabbitmq_address is {address}, which {fault}"))
    return found


def _of_definitions(platform: Platform, host: str) -> list[tuple[str, str]]:
    vhosts = [str(vhost) for vhost in _list(platform, host, "rabbitmq_vhosts")]
    users = _users(platform, host)
    found = [(code, f"rabbitmq_{text}") for code, text in faults_of_names(vhosts, users)]
    if any(user.get("name") == GUEST for user in users):
        found.append(("reserved_name", f"rabbitmq_users has {GUEST}, whom the role removes"))
    return found


def _of_values(platform: Platform, host: str) -> list[tuple[str, str]]:
    found = []
    watermark = str(platform.value(host, "rabbitmq_memory_high_watermark", "0.6"))
    if not _SHARE.fullmatch(watermark) and not _SIZE.fullmatch(watermark):
        text = (
            f"rabbitmq_memory_high_watermark is {watermark}; it must be a share of the memory below 1, such as 0.6, "
            "or a size such as 2GB"
        )
        found.append(("bad_value", text))
    limit = str(platform.value(host, "rabbitmq_disk_free_limit", "1GB"))
    if not _LIMIT.fullmatch(limit):
        found.append(("bad_value", f"rabbitmq_disk_free_limit is {limit}; it must be a size such as 1GB"))
    arguments = str(platform.value(host, "rabbitmq_erl_args", ""))
    if _NOT_IN_SHELL.search(arguments):
        text = f"rabbitmq_erl_args is {json.dumps(arguments)}; quotes, $, ` and backslashes do not fit there"
        found.append(("bad_value", text))
    return found


def _of_plugins(platform: Platform, host: str) -> list[tuple[str, str]]:
    return [
        ("bad_name", f"rabbitmq_plugins has {json.dumps(plugin)}, which is not the name of a plugin")
        for plugin in _plugins(platform, host)
        if not _PLUGIN.fullmatch(plugin)
    ]


def _of_settings(platform: Platform, host: str) -> list[tuple[str, str]]:
    found = []
    plugins = _plugins(platform, host)
    for name, value in sorted(_settings(platform, host).items()):
        needed = _PLUGINS_OF.get(name.partition(".")[0], ())
        if not _SETTING.fullmatch(name):
            found.append(("bad_name", f"rabbitmq_settings has {json.dumps(name)}, which is not the name of a setting"))
        elif _OWNED.match(name):
            found.append(("owned_setting", f"rabbitmq_settings has {name}, which the role itself writes"))
        elif needed and not set(needed) & set(plugins):
            text = f"rabbitmq_settings has {name}, which needs {' or '.join(needed[:2])} in rabbitmq_plugins"
            found.append(("unknown_plugin", text))
        elif isinstance(value, (t.Mapping, list, tuple)) or value is None or "\n" in str(value):
            found.append(("bad_value", f"rabbitmq_settings: {name} must have one line of text, a number or a boolean"))
        elif _LISTENER.fullmatch(name) and not is_port(_port_of(value)):
            found.append(("bad_port", f"rabbitmq_settings: {name} is {value}, which is not a port"))
    return found


def _port_of(value: t.Any) -> str:
    return str(value).rpartition(":")[2]


def listens(platform: Platform, host: str) -> list[Listen]:
    """Return the ports that the broker takes, those of plugins as far as ``rabbitmq_settings`` names them."""
    address = _address(platform, host)
    port = int(platform.value(host, "rabbitmq_port", 5672))
    found = [Listen("rabbitmq_port", port, each) for each in dict.fromkeys((LOOPBACK, address))]
    found.append(Listen("the port mapper", MAPPER_PORT, LOOPBACK))
    found.append(Listen("the Erlang port", ERLANG_PORT, LOOPBACK))
    if PROMETHEUS in _plugins(platform, host):
        metrics = int(platform.value(host, METRICS, 15692))
        found.append(Listen(METRICS, metrics, address))
    for name, value in sorted(_settings(platform, host).items()):
        if _LISTENER.fullmatch(name):
            where = str(value).rpartition(":")[0].strip("[]")
            found.append(Listen(f"rabbitmq_settings ({name})", int(_port_of(value)), where))
    return found


def health(platform: Platform, host: str, state: t.Mapping[str, t.Any]) -> list[str]:
    """Say what keeps the broker from being as the role wants it."""
    found = []
    if state.get("installed") and not state.get("active"):
        found.append("rabbitmq-server.service is not running")
    if state.get("mapper_open"):
        found.append("Erlang's port mapper answers everyone")
    return found


def wanted(platform: Platform, host: str, state: t.Mapping[str, t.Any] | None) -> dict[str, t.Any]:
    """Return what the role's templates and tasks take from here."""
    state = state or {}
    address = _address(platform, host)
    port = int(platform.value(host, "rabbitmq_port", 5672))
    plugins = _plugins(platform, host)
    watermark = str(platform.value(host, "rabbitmq_memory_high_watermark", "0.6"))
    addresses = list(dict.fromkeys((LOOPBACK, address)))
    metrics = int(platform.value(host, METRICS, 15692)) if PROMETHEUS in plugins else None
    return {
        "host": str(state.get("host", "")),
        "memory_limit": state.get("memory_limit"),
        "watermark": f"{'relative' if _SHARE.fullmatch(watermark) else 'absolute'} = {watermark}",
        "plugins": plugins,
        # RabbitMQ takes an IPv6 address without brackets.
        "listeners": [f"{each}:{port}" for each in addresses],
        "accepts": [_at(each, port) for each in addresses] + ([_at(address, metrics)] if metrics else []),
        "metrics_port": metrics,
        "settings": {name: _text(value) for name, value in sorted(_settings(platform, host).items())},
    }


def _at(address: str, port: int) -> str:
    return f"{bracketed(address)}:{port}"


def _text(value: t.Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
