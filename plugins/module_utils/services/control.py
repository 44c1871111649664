# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The control node: the host that runs playbooks by itself, what it needs for that, and whom it reaches; pure."""

from __future__ import annotations

import json
import re
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.platform import Platform, Problem
from ansible_collections.scaleout.platform.plugins.module_utils.services.listen import Listen

#: Tells the system and its packages.
STATE_MODULE = "scaleout.platform.packages_info"

#: Hosts that run playbooks by themselves.
GROUP = "control"
#: Not reached by playbooks: those that are gone, and those that are going.
_GONE = ("fleet_leaving", "fleet_released", "fleet_lost")
#: Reached by a cycle of the control loop alone, which takes them into a pool.
_SPARE = "fleet_spare"
#: ansible-core of these is older than the collection supports.
_OLD = {("debian", "12"): "Debian 12"}
_ANSIBLE = ("ansible-core", "ansible")
#: Written into ssh's options, which have no way to quote that all programs share.
_PLAIN_PATH = re.compile(r"(/[A-Za-z0-9_.+-]+)+\Z")
#: What makes a template of a text.
_TEMPLATE = ("{{", "{%", "{#")


class Reached(t.NamedTuple):
    """A host, and how the control node logs in to it."""

    name: str
    address: str
    port: int
    user: str


def look(platform: Platform, host: str) -> dict[str, t.Any]:
    """Return the arguments of the module that reads the host."""
    return {}


def problems(platform: Platform, host: str, state: t.Mapping[str, t.Any] | None = None) -> list[Problem]:
    """Say why the host cannot be the control node that the inventory describes."""
    found = [*_of_variables(platform, host)]
    system = (state["system"], state["release"]) if state else ("", "")
    if system in _OLD and any(name in _packages(platform, host) for name in _ANSIBLE):
        text = f"ansible-core of {_OLD[system]} is too old; make a virtual environment with ansible-core 2.19 or later"
        text += ", name its program in control_ansible_playbook, and set control_packages to []"
        found.append(("unsupported_system", text))
    return [Problem(code, host, text) for code, text in found]


def _of_variables(platform: Platform, host: str) -> t.Iterator[tuple[str, str]]:
    others = [other for other in platform.members(GROUP) if other != host]
    if others:
        yield "bad_value", f"the group {GROUP} has {host} and {', '.join(others)}; one host runs what is scheduled"
    home = str(platform.value(host, "control_home", ""))
    if not _PLAIN_PATH.match(home):
        yield "bad_path", f"control_home is {home!r}; it must be a path from / of letters, digits and ._+-"
    unknown = [reached.name for reached in _reached(platform, host) if not reached.user]
    if unknown:
        text = f"the control node has to know by which account it logs in to {', '.join(unknown)}"
        yield "no_login", f"{text}; set ansible_user in the inventory, or in control_variables"


def listens(platform: Platform, host: str) -> list[Listen]:
    """Nothing listens."""
    return []


def health(platform: Platform, host: str, state: t.Mapping[str, t.Any]) -> list[str]:
    """There is no process to be healthy."""
    return []


def wanted(platform: Platform, host: str, state: t.Mapping[str, t.Any] | None) -> dict[str, t.Any]:
    """Return what is missing, whom the control node reaches, and what its key may do there."""
    present = set(state["packages"]) if state else set()
    return {
        "missing": [package for package in _packages(platform, host) if package not in present],
        "hosts": [reached._asdict() for reached in _reached(platform, host)],
        # No terminal and no forwarding, and from nowhere else.
        "key_options": f'restrict,from="{platform.address(host)}"',
    }


def _packages(platform: Platform, host: str) -> list[str]:
    given = platform.value(host, "control_packages", [])
    return [str(name) for name in given] if isinstance(given, (list, tuple)) else []


def _reached(platform: Platform, host: str) -> list[Reached]:
    """Return the hosts that a playbook may reach from here, itself among them."""
    apart = [*_GONE] if platform.is_on(host, "control_autoscale", True) else [*_GONE, _SPARE]
    away = {name for group in apart for name in platform.groups.get(group, ())}
    given = platform.value(host, "control_variables", {})
    user = given.get("ansible_user") if isinstance(given, t.Mapping) else None
    return [
        Reached(
            name,
            str(platform.value(name, "ansible_host") or name),
            int(platform.value(name, "ansible_port") or 22),
            str(user or platform.value(name, "ansible_user") or ""),
        )
        for name in platform.hosts
        if name not in away
    ]


# Files of the control node


def configuration(home: str, inventory: str, has_vault: bool) -> str:
    """Return Ansible's configuration, for the folder in which playbooks are started.

    :param home: the folder of all that the control node has.
    :param inventory: as seen from the folder of the configuration.
    :param has_vault: whether ``home`` has the password of the inventory's vault.
    """
    known_hosts = f"-o UserKnownHostsFile={home}/ssh/known_hosts -o StrictHostKeyChecking=yes"
    kept_open = "-o ControlMaster=auto -o ControlPersist=120s -o ServerAliveInterval=5 -o ServerAliveCountMax=3"
    lines = [
        "# Written by the control role of scaleout.platform.",
        "[defaults]",
        f"inventory = {inventory}",
        "collections_path = collections:/usr/share/ansible/collections",
        *([f"vault_password_file = {home}/vault-password"] if has_vault else []),
        "forks = 20",
        "gathering = explicit",
        "interpreter_python = /usr/bin/python3",
        "callback_result_format = yaml",
        "display_skipped_hosts = false",
        "retry_files_enabled = false",
        "",
        "[ssh_connection]",
        "pipelining = true",
        # What comes first counts, whatever the inventory says in ansible_ssh_common_args.
        f"ssh_args = {known_hosts} {kept_open} -o ConnectTimeout=10",
        "",
    ]
    return "\n".join(lines)


def variables_file(variables: t.Mapping[str, t.Any]) -> str:
    """Return a file of variables for ``--extra-vars``, in which each text stays what it is: no value is a template."""
    return f"---\n# Written by the control role of scaleout.platform.\n{_yaml(variables)}\n"


def _yaml(value: t.Any) -> str:
    """Write a value in YAML's flow style, which JSON is a part of."""
    if isinstance(value, t.Mapping):
        return "{" + ", ".join(f"{json.dumps(str(key))}: {_yaml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_yaml, value)) + "]"
    text = json.dumps(value, ensure_ascii=False)
    # Ansible would take a marked text without braces for the number, or the nothing, that it looks like.
    return f"!unsafe {text}" if isinstance(value, str) and any(mark in value for mark in _TEMPLATE) else text


def host_keys(facts: t.Mapping[str, t.Any]) -> list[str]:
    """Return the public keys of a host's SSH server, as Ansible's facts have them."""
    kinds = ("ed25519", "ecdsa", "rsa")
    found = [
        (facts.get(f"ssh_host_key_{kind}_public_keytype"), facts.get(f"ssh_host_key_{kind}_public")) for kind in kinds
    ]
    return [f"{kind} {key}" for kind, key in found if kind and key]


def known_hosts(text: str, hosts: t.Iterable[Reached], keys: t.Mapping[str, t.Sequence[str]]) -> str:
    """Return the lines of a file of known hosts in which these hosts have these keys, and the others what they had.

    :param keys: of each host, such as ``ssh-ed25519 AAAA…``; a host without any keeps what it had.
    """
    new = {_known_name(host): keys[host.name] for host in hosts if keys.get(host.name)}
    kept = [line for line in text.splitlines() if line.split(" ", 1)[0] not in new]
    return "".join(f"{line}\n" for line in [*kept, *(f"{name} {key}" for name, found in new.items() for key in found)])


def _known_name(host: Reached) -> str:
    return host.address if host.port == 22 else f"[{host.address}]:{host.port}"
