# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Redis: which instances a host may have, and what the configuration of each is made of; pure."""

from __future__ import annotations

import dataclasses
import json
import re
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.platform import Platform, Problem, truth
from ansible_collections.scaleout.platform.plugins.module_utils.services.listen import Listen, is_port
from ansible_collections.scaleout.platform.plugins.module_utils.services.redis_conf import size

STATE_MODULE = "scaleout.platform.redis_server_info"


def look(platform: Platform, host: str) -> dict[str, t.Any]:
    """Return the arguments of that module."""
    return {}


#: Debian's; an instance has a folder of its name below it.
DATA = "/var/lib/redis"
#: The port of the server that the package starts by itself.
PACKAGE_PORT = 6379
#: Keys of an instance; the variable ``redis_<key>`` gives the default of most of them.
KEYS = (
    "port",
    "bind",
    "maxmemory",
    "maxmemory_policy",
    "appendonly",
    "appendfsync",
    "save",
    "settings",
    "consul_service_name",
    "consul_service_tags",
)
POLICIES = (
    "noeviction",
    "allkeys-lru",
    "allkeys-lfu",
    "allkeys-random",
    "volatile-lru",
    "volatile-lfu",
    "volatile-random",
    "volatile-ttl",
)
FSYNCS = ("always", "everysec", "no")

#: Directives that are not for ``settings``, and why.
OWNED = {
    "port": "port has it",
    "bind": "bind has it",
    "requirepass": "redis_password has it",
    "maxmemory": "maxmemory has it",
    "maxmemory-policy": "maxmemory_policy has it",
    "appendonly": "appendonly has it",
    "appendfsync": "appendfsync has it",
    "save": "save has it",
    "protected-mode": "it is always on",
    "dir": "each instance has its own folder",
    "dbfilename": "it is Debian's, dump.rdb",
    "appendfilename": "it is Debian's",
    "appenddirname": "it is Debian's, appendonlydir",
    "logfile": "the log goes to the journal",
    "syslog-enabled": "the log goes to the journal",
    "daemonize": "systemd runs the server",
    "supervised": "systemd runs the server",
    "pidfile": "systemd runs the server",
    "user": "the role owns the users",
    "aclfile": "the role owns the users",
    "include": "the whole configuration is one file",
    "rename-command": "the role needs CONFIG, INFO and PING",
    "replicaof": "a server on its own is what this role makes",
    "slaveof": "a server on its own is what this role makes",
    "cluster-enabled": "a server on its own is what this role makes",
}

# The name is part of a unit, a file, a folder and a Consul service.
_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")
# Debian's names for data, which lie in the folder that holds the instances' own.
_RESERVED = ("appendonlydir",)
_ADDRESS = re.compile(r"-?[*A-Za-z0-9.:_-]+")
_PASSWORD = re.compile(r"[^\x00-\x1f\x7f]{1,512}")
_SAVE = re.compile(r"[1-9][0-9]* [1-9][0-9]*")
_DIRECTIVE = re.compile(r"[a-z0-9-]+")


@dataclasses.dataclass(frozen=True)
class Instance:
    """One server of a host, its own values over the host's defaults, not checked yet."""

    name: str
    values: t.Mapping[str, t.Any]
    unknown: tuple[str, ...] = ()

    def __getitem__(self, key: str) -> t.Any:
        return self.values[key]

    @property
    def persists(self) -> bool:
        """Whether it keeps anything over a restart."""
        return bool(self["appendonly"]) or bool(self["save"])

    def variable(self, key: str) -> str:
        """Name a value as the user wrote it."""
        return f"redis_instances.{self.name}.{key}"


def instances(platform: Platform, host: str) -> list[Instance]:
    """Return the instances of a host, as far as they are mappings."""
    given = platform.value(host, "redis_instances", {})
    if not isinstance(given, t.Mapping):
        return []
    defaults = {
        "port": PACKAGE_PORT,
        "bind": ["127.0.0.1", "-::1", platform.address(host)],
        "maxmemory": "256mb",
        "maxmemory_policy": "allkeys-lru",
        "appendonly": False,
        "appendfsync": "everysec",
        "save": [],
        "settings": {},
        "consul_service_tags": [],
    }
    common = {key: platform.value(host, f"redis_{key}", value) for key, value in defaults.items()}
    found = []
    for name, own in given.items():
        own = {} if own is None else own
        if not isinstance(own, t.Mapping):
            continue
        values = {**common, "consul_service_name": str(name), **own}
        if isinstance(common["settings"], t.Mapping) and isinstance(values["settings"], t.Mapping):
            values["settings"] = {**common["settings"], **values["settings"]}
        for key in ("appendonly", "appendfsync"):
            values[key] = _yes_no(values[key]) if key == "appendonly" else _no(values[key])
        unknown = tuple(str(key) for key in own if key not in KEYS)
        found.append(Instance(str(name), values, unknown))
    return found


def _yes_no(value: t.Any) -> t.Any:
    """Return the boolean that a template may have made text of; anything else as it is."""
    found = truth(value) if isinstance(value, str) else None
    return value if found is None else found


def _no(value: t.Any) -> t.Any:
    """YAML makes false of an unquoted no."""
    return "no" if value is False else value


def problems(platform: Platform, host: str, state: t.Mapping[str, t.Any] | None = None) -> list[Problem]:
    """Say why the host cannot have these instances."""
    if state is not None:
        return _problems_there(platform, host, state)
    given = platform.value(host, "redis_instances", {})
    found = []
    if not isinstance(given, t.Mapping) or not given:
        text = f"redis_instances is {_shown(given)}; it must name at least one instance, such as {{cache: {{}}}}"
        return [Problem("bad_instances", host, text)]
    for name, own in given.items():
        if own is not None and not isinstance(own, t.Mapping):
            text = f"redis_instances.{name} is {_shown(own)}; it must be a mapping, such as {{port: 6379}}"
            found.append(Problem("bad_instances", host, text))
    password = platform.value(host, "redis_password")
    # A missing one is told by name: by preflight, and by the role's argument spec.
    if password is not None and not (isinstance(password, str) and _PASSWORD.fullmatch(password)):
        found.append(Problem("bad_password", host, "redis_password must be 1 to 512 printable characters"))
    all_of_them = instances(platform, host)
    for instance in all_of_them:
        found += [Problem(code, host, text) for code, text in _faults(instance)]
    taken: dict[int, str] = {}
    for instance in all_of_them:
        if is_port(instance["port"]):
            port = int(instance["port"])
            if port in taken:
                text = f"redis_instances.{taken[port]} and {instance.name} both have port {port}; change one of the two"
                found.append(Problem("port_taken", host, text))
            taken.setdefault(port, instance.name)
    return found


def _faults(instance: Instance) -> t.Iterator[tuple[str, str]]:
    """Yield the code and the sentence of each fault of one instance."""
    if not _NAME.fullmatch(instance.name) or instance.name in _RESERVED:
        yield (
            "bad_name",
            f"redis_instances has {_shown(instance.name)}; a name must be lower case letters, digits and hyphens, at "
            "most 31, begin with a letter, and not be appendonlydir",
        )
    for key in instance.unknown:
        yield (
            "unknown_key",
            f"{instance.variable(key)} is not known; an instance has {', '.join(KEYS)}",
        )
    if not is_port(instance["port"]):
        yield "bad_port", f"{instance.variable('port')} is {instance['port']}; it must be 1 to 65535"
    bind = instance["bind"]
    if not _is_texts(bind, _ADDRESS) or not bind:
        yield (
            "bad_address",
            f"{instance.variable('bind')} is {_shown(bind)}; it must be a list of addresses, at least one",
        )
    if size(instance["maxmemory"]) is None:
        yield (
            "bad_size",
            f"{instance.variable('maxmemory')} is {_shown(instance['maxmemory'])}; it must be a size above 0 such as "
            "256mb or 4gb",
        )
    for key, choices in (("maxmemory_policy", POLICIES), ("appendfsync", FSYNCS), ("appendonly", (True, False))):
        if not any(instance[key] == choice for choice in choices):
            names = ", ".join(_shown(choice) if isinstance(choice, bool) else choice for choice in choices)
            yield "bad_value", f"{instance.variable(key)} is {_shown(instance[key])}; it must be one of {names}"
    yield from _faults_of_lists(instance)
    yield from _faults_of_settings(instance)


def _faults_of_settings(instance: Instance) -> t.Iterator[tuple[str, str]]:
    settings = instance["settings"]
    if not isinstance(settings, t.Mapping):
        yield "bad_value", f"{instance.variable('settings')} is {_shown(settings)}; it must be a mapping"
        return
    for name, value in settings.items():
        if str(name).lower() in OWNED:
            yield "owned_setting", f"{instance.variable('settings')} has {name}; {OWNED[str(name).lower()]}"
        elif not isinstance(name, str) or not _DIRECTIVE.fullmatch(name):
            yield (
                "unknown_key",
                f"{instance.variable('settings')} has {_shown(name)}, which is not a directive of redis.conf",
            )
        elif re.search(r"[\r\n\x00]", "".join(map(str, _lines(value)))):
            yield "bad_value", f"{instance.variable('settings')}.{name} has a line break"


def _faults_of_lists(instance: Instance) -> t.Iterator[tuple[str, str]]:
    save = instance["save"]
    wrong = save if not isinstance(save, (list, tuple)) else [one for one in save if not _is_texts([one], _SAVE)]
    if wrong:
        shown = _shown(wrong[0] if isinstance(wrong, list) else wrong)
        yield "bad_value", f'{instance.variable("save")} has {shown}; each must be "<seconds> <changes>"'
    name = instance["consul_service_name"]
    if name != instance.name and not (isinstance(name, str) and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]{0,62}", name)):
        yield (
            "bad_name",
            f"{instance.variable('consul_service_name')} is {_shown(name)}; it must be letters, digits and hyphens, "
            "at most 63",
        )


def _is_texts(value: t.Any, pattern: re.Pattern[str]) -> bool:
    return isinstance(value, (list, tuple)) and all(isinstance(one, str) and pattern.fullmatch(one) for one in value)


def _shown(value: t.Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _problems_there(platform: Platform, host: str, state: t.Mapping[str, t.Any]) -> list[Problem]:
    """Say what the host itself has against the instances."""
    found = []
    here = instances(platform, host)
    memory = int(state.get("memory") or 0)
    wanted_memory = sum(size(instance["maxmemory"]) or 0 for instance in here)
    if memory and wanted_memory > memory:
        parts = ", ".join(f"{instance.name} {instance['maxmemory']}" for instance in here)
        text = (
            f"the instances of redis_instances have {-(-wanted_memory // 1024**2)}mb of maxmemory together ({parts}), "
            f"and the host has {memory // 1024**2}mb"
        )
        found.append(Problem("too_little_memory", host, text))
    package = state.get("package_server")
    inherited = len(here) == 1 or any(int(one["port"]) == (package or {}).get("port") for one in here)
    if package and package.get("data") and not inherited:
        text = (
            f"redis-server.service has data in {package['directory']} and port {package['port']}, which no instance of "
            "redis_instances has; give that port to the instance that is to take the data over, or move the data away"
        )
        found.append(Problem("has_data", host, text))
    return found


def listens(platform: Platform, host: str) -> list[Listen]:
    """Return the ports that the instances take."""
    return [
        Listen(instance.variable("port"), int(instance["port"]), _bare(address))
        for instance in instances(platform, host)
        for address in instance["bind"]
    ]


def _bare(address: str) -> str:
    """Return an address of ``bind`` without the mark of one that may be missing."""
    return address[1:] if address.startswith("-") else address


def reached_at(bind: t.Sequence[str], preferred: str = "") -> str:
    """Return the address at which a server that listens on some addresses can be reached."""
    first = preferred if preferred in bind else _bare(bind[0])
    return "127.0.0.1" if first in ("*", "0.0.0.0") else first


def health(platform: Platform, host: str, state: t.Mapping[str, t.Any]) -> list[str]:
    """Redis' own health is its driver's to judge, since only the host has the password in force."""
    return []


def wanted(platform: Platform, host: str, state: t.Mapping[str, t.Any] | None) -> dict[str, t.Any]:
    """Return what the role's templates and tasks take from here."""
    here = instances(platform, host)
    package = (state or {}).get("package_server") or {}
    port = package.get("port", PACKAGE_PORT)
    # The package's own server gives way, and its data go, to the instance that has its port, else to the first one.
    heir = next((one.name for one in here if int(one["port"]) == port), here[0].name)
    persists = any(instance.persists for instance in here)
    return {
        "instances": [
            {
                "name": instance.name,
                "unit": f"redis-server@{instance.name}.service",
                "configuration": f"/etc/redis/redis-{instance.name}.conf",
                "directory": f"{DATA}/{instance.name}",
                "port": int(instance["port"]),
                "address": reached_at(instance["bind"], platform.address(host)),
                "directives": _directives(instance),
                "heir": instance.name == heir,
                "consul_service_name": instance["consul_service_name"],
                "consul_service_tags": list(instance["consul_service_tags"]),
            }
            for instance in here
        ],
        "surplus": sorted(set((state or {}).get("instances", ())) - {instance.name for instance in here}),
        # A snapshot of a large data set is a fork, which the kernel must promise memory for.
        "overcommit": persists and (state or {}).get("overcommit") == "refused",
    }


def _directives(instance: Instance) -> list[str]:
    """Return the lines of the configuration that hold no secret."""
    lines = [
        f"bind {' '.join(instance['bind'])}",
        f"port {int(instance['port'])}",
        "protected-mode yes",
        f"maxmemory {instance['maxmemory']}",
        f"maxmemory-policy {instance['maxmemory_policy']}",
        f"dir {DATA}/{instance.name}",
        f"appendonly {'yes' if instance['appendonly'] else 'no'}",
        f"appendfsync {instance['appendfsync']}",
        "save " + (" ".join(instance["save"]) or '""'),
        # To the journal.
        'logfile ""',
    ]
    for name, value in sorted(instance["settings"].items()):
        lines += [f"{name} {_text(one)}" for one in _lines(value)]
    return lines


def _lines(value: t.Any) -> list[t.Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _text(value: t.Any) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)
