# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Makes a :class:`Platform` of what Ansible knows on the controller; variables are evaluated when they are read.

The defaults of the roles' variables are read from the roles themselves: they are in scope inside a role only, and a
rule about another host's service wants them as well.
"""

from __future__ import annotations

import os
import typing as t
from collections.abc import Iterator, Mapping

import yaml
from ansible.errors import AnsibleError, AnsibleUndefinedVariable
from ansible.parsing.dataloader import DataLoader

from ansible_collections.scaleout.platform.plugins.module_utils.platform import Platform, Unevaluated
from ansible_collections.scaleout.platform.plugins.module_utils.topology import platform as topology
from ansible_collections.scaleout.platform.plugins.module_utils.topology.inventory import CONSUL_SERVER, PIECEMEAL
from ansible_collections.scaleout.platform.plugins.module_utils.topology.variables import Names

if t.TYPE_CHECKING:
    from ansible.template import Templar

_ROLES = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "roles")


class Pieces(Mapping[str, t.Any]):
    """A mapping whose values are evaluated one by one, so that one that fails does not take the others with it.

    :param raw: with its templates.
    :param evaluate: gives a value, or :class:`Unevaluated`.
    """

    def __init__(self, raw: Mapping[str, t.Any], evaluate: t.Callable[[t.Any], t.Any]) -> None:
        self._raw = raw
        self._evaluate = evaluate
        self._known: dict[str, t.Any] = {}

    def __getitem__(self, name: str) -> t.Any:
        if name not in self._known:
            self._known[name] = self._value(name, self._raw[name])
        return self._known[name]

    def _value(self, _name: str, raw: t.Any) -> t.Any:
        return Pieces(raw, self._evaluate) if isinstance(raw, dict) else self._evaluate(raw)

    def __iter__(self) -> Iterator[str]:
        return iter(self._raw)

    def __len__(self) -> int:
        return len(self._raw)

    def __contains__(self, name: object) -> bool:
        return name in self._raw


class Variables(Pieces):
    """The variables of one host: the inventory's, over the defaults of all roles.

    :param raw: as Ansible keeps them, with their templates.
    :param templar: evaluates; its variables are set for this host.
    """

    def __init__(self, raw: Mapping[str, t.Any], templar: Templar) -> None:
        super().__init__(raw, self._template)
        self._templar = templar

    def _value(self, name: str, raw: t.Any) -> t.Any:
        return super()._value(name, raw) if name in PIECEMEAL else self._evaluate(raw)

    def _template(self, value: t.Any) -> t.Any:
        try:
            return self._templar.template(value)
        except AnsibleUndefinedVariable as error:
            return Unevaluated(f"cannot be evaluated, because something in it is undefined ({error.message})")
        except AnsibleError:
            # What a filter or a vault has to say may hold a part of the value.
            return Unevaluated("cannot be evaluated")


def defaults() -> dict[str, t.Any]:
    """Return the defaults of all roles of this collection, with their templates."""
    loader = DataLoader()
    found: dict[str, t.Any] = {}
    for role in sorted(os.listdir(_ROLES)):
        path = os.path.join(_ROLES, role, "defaults", "main.yml")
        if os.path.exists(path):
            found.update(loader.load_from_file(path, cache="all", trusted_as_template=True) or {})
    return found


def names() -> Names:
    """Return the arguments of all roles of this collection, for a look at how variables are spelled."""
    # Ansible's own loader notes where each value is from, which is not needed here.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    known = {*defaults()}
    roles = sorted(os.listdir(_ROLES))
    for role in roles:
        with open(os.path.join(_ROLES, role, "meta", "argument_specs.yml"), encoding="utf-8") as file:
            specs = yaml.load(file, loader)["argument_specs"]
        known.update(name for entry in specs.values() for name in entry.get("options", {}))
    return Names(known, roles)


class Hosts(Mapping[str, Variables]):
    """The variables of all hosts of the inventory; a host's are read when they are asked for.

    :param task_vars: of the task that asks. For its own host they count as they are there, a role's parameters too.
    """

    def __init__(self, task_vars: Mapping[str, t.Any], templar: Templar) -> None:
        self._task_vars = task_vars
        self._templar = templar
        self._defaults = defaults()
        self._known: dict[str, Variables] = {}
        self._names = [str(host) for host in task_vars["groups"]["all"]]

    def __getitem__(self, host: str) -> Variables:
        if host not in self._known:
            self._known[host] = self._read(host)
        return self._known[host]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, host: object) -> bool:
        return host in self._names

    def _read(self, host: str) -> Variables:
        if host not in self._names:
            raise KeyError(host)
        hostvars = self._task_vars["hostvars"]
        own = host == self._task_vars.get("inventory_hostname")
        raw = self._task_vars if own else hostvars.raw_get(host)
        variables = {**self._defaults, **raw, "hostvars": hostvars, "groups": self._task_vars["groups"]}
        return Variables(variables, self._templar.copy_with_new_env(available_variables=variables))


class Later(Mapping[str, t.Any]):
    """A mapping that is made when it is read."""

    def __init__(self, make: t.Callable[[], Mapping[str, t.Any]]) -> None:
        self._make = make
        self._made: Mapping[str, t.Any] | None = None

    def _all(self) -> Mapping[str, t.Any]:
        if self._made is None:
            self._made = self._make()
        return self._made

    def __getitem__(self, name: str) -> t.Any:
        return self._all()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())


def groups_of(task_vars: Mapping[str, t.Any]) -> dict[str, list[str]]:
    """Return the groups of the inventory and their hosts' names."""
    return {str(name): [str(host) for host in hosts] for name, hosts in task_vars["groups"].items()}


def consul_servers(hosts: Hosts, groups: Mapping[str, t.Sequence[str]]) -> Iterator[dict[str, t.Any]]:
    """Return how the controller would reach each Consul server, as the options of a client of Consul.

    It may not get there: Consul listens for others where ``consul_http_addresses`` says so. So it is soon given up.
    """
    platform = Platform(hosts, groups)
    for host in platform.members(CONSUL_SERVER):
        address = platform.value(host, "ansible_host")
        yield {
            "consul_scheme": "http",
            "consul_host": str(address or platform.address(host)),
            "consul_port": 8500,
            "consul_token": platform.value(host, "consul_management_token"),
            "consul_timeout": 1.0,
        }


def platform_of(task_vars: Mapping[str, t.Any], templar: Templar) -> Platform:
    """Return the platform as a task sees it. Most services ask for no database cluster, so those are read later."""
    hosts, groups = Hosts(task_vars, templar), groups_of(task_vars)
    parsed: list[Platform] = []

    def whole() -> Platform:
        if not parsed:
            parsed.append(topology.parse(hosts, groups)[0])
        return parsed[0]

    playing = tuple(str(host) for host in task_vars.get("ansible_play_hosts") or ())
    return Platform(hosts, groups, Later(lambda: whole().clusters), Later(lambda: whole().applications), playing)
