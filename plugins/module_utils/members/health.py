# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who of a group serves, by what Consul's checks say; pure."""

from __future__ import annotations

import typing as t

DEAD = "dead"  # its agent is gone
FAILING = "failing"  # the agent lives, and a check of the service does not pass, or there is no such service
SERVING = "serving"

#: Who goes first when a group shrinks: the highest.
RANKS = {SERVING: 0, FAILING: 1, DEAD: 2}

#: How ``/v1/agent/members`` writes that a member is alive.
_ALIVE = 1
_PASSING = ("passing", "warning")
#: How Consul names the checks that keep a service, or a host, in maintenance.
_MAINTENANCE = ("_service_maintenance:", "_node_maintenance")

Documents = t.Sequence[t.Mapping[str, t.Any]]


def known(members: Documents, nodes: Documents) -> dict[str, bool]:
    """Return the hosts that Consul knows, and whether each is alive.

    :param members: ``/v1/agent/members``; servers of other datacenters have a dot in their names.
    :param nodes: ``/v1/catalog/nodes``.
    """
    found = {str(node["Node"]): False for node in nodes}
    found.update({str(member["Name"]): member.get("Status") == _ALIVE for member in members})
    return found


def judge(names: t.Iterable[str], alive: t.Mapping[str, bool], services: t.Sequence[Documents]) -> dict[str, str]:
    """Return how each host is.

    :param alive: as :func:`known` returns it.
    :param services: ``/v1/health/service/<name>`` of each service that a host of the group runs. One that no host has
        registered says nothing: its application may use another name, or none. Without any other, a host whose agent
        lives counts as one that serves.
    """
    registered = [entries for entries in services if entries]
    return {name: _judge(name, alive.get(name, False), registered) for name in names}


def in_maintenance(services: t.Sequence[Documents]) -> set[str]:
    """Return the hosts that someone has taken out of the lists of a service, or as a whole.

    :param services: as for :func:`judge`.
    """
    return {
        str(entry["Node"]["Node"])
        for entries in services
        for entry in entries
        if any(str(check.get("CheckID", "")).startswith(_MAINTENANCE) for check in entry["Checks"])
    }


def _judge(name: str, alive: bool, services: t.Sequence[Documents]) -> str:
    if not alive:
        return DEAD
    return SERVING if all(_passes(name, entries) for entries in services) else FAILING


def _passes(name: str, entries: Documents) -> bool:
    own = [entry for entry in entries if entry["Node"]["Node"] == name]
    return bool(own) and all(check["Status"] in _PASSING for entry in own for check in entry["Checks"])
