# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The steps of ``scale.yml``, from an inventory to the options of the modules that carry them out; asks no host."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, Refused
from ansible_collections.scaleout.platform.plugins.module_utils.members.asked import CLEAN_UP, Asked, bounds
from ansible_collections.scaleout.platform.plugins.module_utils.members.health import SERVING
from ansible_collections.scaleout.platform.plugins.module_utils.members.outcome import Departure, Leaver, depart
from ansible_collections.scaleout.platform.plugins.module_utils.members.record import DESIRED, MEMBER
from ansible_collections.scaleout.platform.plugins.module_utils.names import bracketed
from ansible_collections.scaleout.platform.plugins.module_utils.operations.check_platform import is_idle, is_needed
from ansible_collections.scaleout.platform.plugins.module_utils.platform import Platform
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.history import CALLED_OFF, FAILED, SUCCEEDED
from ansible_collections.scaleout.platform.plugins.module_utils.services import firewall, nginx

Host = t.Mapping[str, t.Any]
Planned = t.Mapping[str, t.Any]
"""What the module ``members`` returned."""

#: Groups of a run, in which the playbook finds its hosts.
JOINING, LEAVING, UNNEEDED, ACCESS = "scale_joining", "scale_leaving", "scale_unneeded", "scale_access"
FIREWALL, CLOSING = "scale_firewall", "scale_closing"
#: Those that leave by a decision: they are drained first, while the load of those that stay is watched.
DRAINING, WATCHED, WATCHING = "scale_draining", "scale_watched", "scale_watching"
#: Those of them that stay after all.
STAYING = "scale_staying"
#: Where a service of a database host names its clients by their addresses.
NETWORKS = {"postgres": ("postgres_allowed_networks",), "pgbouncer": ("pgbouncer_allowed_networks",)}


def members_options(platform: Platform, asked: Asked, static: t.Sequence[Host]) -> dict[str, t.Any]:
    """Return the options of the module ``members`` that record the pool that there should be.

    :param static: the hosts that the inventory itself has in the group.
    """
    host = platform.members("consul_server")[0]
    minimum, maximum = bounds(platform, asked.group)
    if asked.count and not asked.is_manual:
        # A decision has its own bounds: a schedule may lower the minimum, and too large a pool shrinks by steps.
        minimum = min(minimum, asked.count)
        maximum = max(maximum, asked.count) if maximum else None
    own = platform.value(host, "fleet_provider", "static")
    return {
        "group": asked.group,
        "count": asked.count,
        "leave": list(asked.leave),
        "services": services_of(platform, asked),
        "minimum": minimum,
        "maximum": maximum,
        "static_members": [{"provider": own, **one} for one in static or _described(platform, asked.group)],
        "provider": platform.value(host, "scale_provider", own),
        "pool": _described(platform, "fleet_spare"),
        "address_range": platform.value(host, "scale_address_range"),
        "reserved_names": list(platform.hosts),
        "reserved_addresses": [platform.address(name) for name in platform.hosts],
    }


def services_of(platform: Platform, asked: Asked) -> list[str]:
    """Return the names in Consul of what each member runs."""
    return list(dict.fromkeys(platform.applications[name].service for name in asked.applications))


def lingering(platform: Platform, group: str, seen: Planned) -> list[str]:
    """Return the names that hosts which join may get, and that Consul still knows of hosts that are gone.

    A member of Consul that was taken off may be told of again by one that had not heard of it yet.
    """
    record = (seen.get("record") or {}).get("members", ())
    taken = {str(member["name"]) for member in record} | {
        host for host in platform.hosts if is_needed(platform, host, group)
    }
    made = re.compile(rf"{re.escape(group)}[0-9]+")
    return sorted(
        name
        for name, alive in seen["alive"].items()
        if not alive
        and name not in taken
        and (name in platform.hosts or made.fullmatch(name))
        # Without a record, the inventory's own are the members.
        and (record or name not in platform.members(group))
    )


def donor(planned: Planned, group: str) -> str:
    """Return the member whose release those that join get; empty where no host joins.

    :raises Refused: there is none that serves.
    """
    if not planned["joining"]:
        return ""
    for member in planned["staying"]:
        if planned["health"].get(member["name"]) == SERVING:
            return str(member["name"])
    raise Refused(
        f"No member of {group} that stays serves, so there is no release that a new one could get. Bring them back "
        "with site.yml first.",
        code="nothing_serves",
    )


def entries(platform: Platform, asked: Asked, planned: Planned) -> list[dict[str, t.Any]]:
    """Return who takes part, as hosts to add to this run's groups, with the variables that they have in it."""
    found: list[dict[str, t.Any]] = []
    release_from = donor(planned, asked.group)
    own = list(asked.applications)
    for member in planned["joining"]:
        # Its group's variables say whether it has a firewall of its own; they only count once it is in the group.
        groups = [asked.group, JOINING, FIREWALL]
        found.append({**_named(member), "groups": groups, "scale_applications": own, "app_release_from": release_from})
    for member in planned["leaving"]:
        needed = is_needed(platform, member["name"], asked.group)
        groups = [asked.group, LEAVING, *([] if needed else [UNNEEDED])]
        found.append({**_named(member), "groups": groups, "scale_applications": own})
    if asked.is_watched and asked.leave and not planned["joining"]:
        found += _watched(platform, asked, planned)
    if planned["joining"]:
        found += [{"name": host, "groups": [ACCESS]} for host in admitting(platform)]
        found += [{"name": host, "groups": [FIREWALL]} for host in guarded(platform)]
    if planned["leaving"]:
        gone = {entry["name"] for entry in found if UNNEEDED in entry["groups"]}
        found += [{"name": host, "groups": [CLOSING]} for host in guarded(platform) if host not in gone]
    return found


def _watched(platform: Platform, asked: Asked, planned: Planned) -> t.Iterator[dict[str, t.Any]]:
    """Yield those that drain, those whose load is watched meanwhile, and where it is looked at."""
    for member in planned["leaving"]:
        if member["name"] in asked.leave and planned["health"].get(member["name"]) == SERVING:
            yield {"name": member["name"], "groups": [DRAINING]}
    yield from ({"name": member["name"], "groups": [WATCHED]} for member in planned["staying"])
    yield from ({"name": host, "groups": [WATCHING]} for host in platform.members("consul_server"))


def given_back(platform: Platform, asked: Asked, planned: Planned) -> list[dict[str, t.Any]]:
    """Return who leaves again because it did not come to serve, as hosts to add to this run's groups.

    :param planned: what the module ``members`` returned for them.
    """
    return entries(platform, dataclasses.replace(asked, by=CLEAN_UP), {**planned, "joining": []})


def merged(hosts: t.Iterable[t.Mapping[str, t.Any]]) -> list[dict[str, t.Any]]:
    """Return hosts that take part, each once: of several pools it may leave more than one."""
    found: dict[str, dict[str, t.Any]] = {}
    for host in hosts:
        known = found.setdefault(host["name"], {"groups": []})
        known.update({key: value for key, value in host.items() if key not in ("groups", "scale_applications")})
        known["groups"] = list(dict.fromkeys([*known["groups"], *host["groups"]]))
        if "scale_applications" in host:
            known["scale_applications"] = [*known.get("scale_applications", ()), *host["scale_applications"]]
    return list(found.values())


def size(seen: Planned, static: t.Sequence[Host]) -> int:
    """Return how many members the record asks for; as many as the inventory has where there is none.

    :param seen: what the module ``members`` returned before the request.
    """
    record = seen.get("record")
    if not record:
        return len(static)
    return sum(member["state"] in DESIRED for member in record["members"])


def became(planned: Planned, record: t.Mapping[str, t.Any] | None, kept: t.Sequence[str]) -> tuple[str, str]:
    """Return the outcome of an action and what there is to say of it.

    :param planned: with all that were to join and to leave, those among them that did not come to serve.
    :param record: as it is at the end.
    :param kept: those that were leaving and stay after all.
    """
    states = {member["name"]: member["state"] for member in (record or {}).get("members", ())}
    lacking = [one["name"] for one in planned["joining"] if states.get(one["name"]) != MEMBER]
    if lacking:
        return FAILED, f"{', '.join(lacking)} did not come to serve"
    if kept:
        return CALLED_OFF, f"load came back while {', '.join(kept)} drained"
    # Whose place was taken by another one may leave later.
    left = [] if planned["joining"] else [one["name"] for one in planned["leaving"] if one["name"] in states]
    return (FAILED, f"{', '.join(left)} could not be cleaned") if left else (SUCCEEDED, "")


def admitting(platform: Platform) -> list[str]:
    """Return the database hosts that name their clients one by one; a network that is allowed needs no change."""
    return [
        host
        for host in platform.members("postgres")
        if not all(
            any(platform.value(host, name) for name in (*variables, *NETWORKS["postgres"]))
            for variables in NETWORKS.values()
        )
    ]


def guarded(platform: Platform) -> list[str]:
    """Return the hosts whose firewall admits members by name; a network that is allowed needs no change.

    Consul's members all talk to each other, so that is each host of the platform that has a firewall.
    """
    return [
        host
        for host in platform.hosts
        if firewall.is_on(platform, host)
        and not is_idle(platform, host)
        and not platform.value(host, "firewall_networks")
    ]


def made(platform: Platform, asked: Asked, planned: Planned) -> list[dict[str, t.Any]]:
    """Return the hosts to make, as large as those that are there."""
    host = next(iter(platform.members(asked.group)), "")
    memory = platform.made_with(host, "memory")
    return [{**member, **({"memory": memory} if memory else {})} for member in planned["joining"]]


def told(asked: Asked, planned: Planned) -> str:
    """Return the plan, for a person."""
    joining, leaving = (", ".join(one["name"] for one in planned[kind]) or "none" for kind in ("joining", "leaving"))
    now = len(planned["staying"]) + len(planned["leaving"])
    wanted = len(planned["staying"]) + len(planned["joining"])
    return f"{asked.group}: {now} now, {wanted} wanted; to join: {joining}; to leave: {leaving}"


def departure(planned: Planned, unneeded: t.Collection[str], clean: t.Collection[str]) -> Departure:
    """Say what happens to those that leave.

    :param unneeded: those that nothing else of the inventory needs.
    :param clean: those on which nothing is left.
    """
    return depart(
        Leaver(one["name"], one["provider"], one["name"] not in unneeded, one["name"] in clean)
        for one in planned["leaving"]
    )


def listed(platform: Platform, asked: Asked, lost: t.Iterable[str]) -> list[dict[str, str]]:
    """Return where a load balancer may still list a host that is lost, and what a file without it is like."""
    reached = platform.groups.get("platform_reached", ())
    return [
        {
            "balancer": balancer,
            "path": f"/etc/nginx/upstreams/{service}.conf",
            # There is no way to wait for a text to go; this finds a file without it.
            "without": rf"\A(?![\s\S]*[^0-9A-Za-z.-]{re.escape(bracketed(platform.address(host)))}:)",
        }
        for host in lost
        for service in services_of(platform, asked)
        for balancer in platform.members("loadbalancer")
        if balancer in reached and service in nginx.services(platform, balancer)
    ]


def lost_host(platform: Platform, given: t.Mapping[str, t.Any]) -> str:
    """Return the host that is to be written off.

    :raises InvalidInput: there is none of that name.
    :raises Refused: it is a Consul server.
    """
    host = str(given.get("host") or "")
    if not host:
        raise InvalidInput("host", None, "is not set; name the host that is lost, such as -e host=api2")
    if host in platform.members("consul_server"):
        raise Refused(
            f"{host} is a Consul server, which the others would miss: put another one in its place in the inventory, "
            "or take it out of consul_server, and run site.yml.",
            code="needed",
        )
    return host


def refuse_alive(host: str, seen: Planned) -> None:
    """Refuse to write off a host whose agent is alive.

    :param seen: what the module ``members`` returned.
    """
    if seen["alive"].get(host):
        raise Refused(
            f"{host} is alive in Consul, so it is not lost: scale.yml -e leave={host} takes it out of its pool. If it "
            "is cut off and only seems alive, take its power away and wait a minute.",
            code="alive",
        )


def written_off(
    host: str, answers: t.Mapping[str, Planned], forgotten: t.Sequence[str], revoked: t.Sequence[str] = ()
) -> list[str]:
    """Return what was done about a host that is lost, for a person.

    :param answers: what the module ``members`` returned, by group.
    """
    changed = [group for group, answer in answers.items() if answer.get("changed")]
    lines = [f"{host} is written off in the record of {group}." for group in changed]
    if forgotten:
        lines.append(f"Consul has forgotten {host}, so that no load balancer sends requests there.")
    if host in revoked:
        lines.append(f"The Consul token of {host} is revoked, so that it registers nothing any more.")
    if not lines:
        return [f"{host} is in no pool's record and Consul does not know it. Nothing had to be done."]
    kept = [one["name"] for answer in answers.values() for one in (answer.get("record") or {}).get("members", ())]
    if host not in kept:
        return [*lines, "Its provider makes another one when the pool grows. Remove what is left of it there."]
    return [
        *lines,
        "If it comes back, no load balancer sends requests there, and the next scale.yml cleans it.",
    ]


def _named(member: Host) -> dict[str, t.Any]:
    return {"name": member["name"], "address": member["address"]}


def _described(platform: Platform, group: str) -> list[dict[str, str]]:
    return [{"name": host, "address": platform.address(host)} for host in platform.members(group)]
