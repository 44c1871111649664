# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which hosts a provider has, and which of them come and go; pure, the role ``fleet`` asks the provider."""

from __future__ import annotations

import typing as t

Member = dict[str, t.Any]


def containers(found: t.Iterable[t.Mapping[str, t.Any]]) -> list[Member]:
    """Return the members of a fleet from the engine's description of its containers."""
    members = []
    for container in found:
        labels = container.get("Labels") or {}
        networks = list(((container.get("NetworkSettings") or {}).get("Networks") or {}).values())
        members.append(
            {
                "name": labels.get("scaleout.host"),
                "owner": labels.get("scaleout.owner"),
                "address": networks[0].get("IPAddress") if networks else None,
                "provider": "docker",
                "provider_id": container.get("Id"),
                "state": container.get("State"),
            }
        )
    return members


def plan(members: t.Sequence[Member], hosts: t.Sequence[t.Mapping[str, t.Any]], owner: str = "") -> dict[str, t.Any]:
    """Say what has to be done for hosts to be there, or to be gone.

    :param members: those that the provider has.
    :param hosts: those that are asked for.
    :param owner: who may log in to a host owns it; a member of another owner was made by another checkout.
    :return: ``foreign``, names of members that are in the way; ``missing``, the hosts to create or to start;
        ``released``, the members that go when the hosts are to be gone, and ``left``, those that stay.
    """
    names = {str(host["name"]) for host in hosts}
    running = {member["name"] for member in members if member["owner"] == owner and member["state"] == "running"}
    return {
        "members": list(members),
        "foreign": [member["name"] for member in members if member["name"] in names and member["owner"] != owner],
        "missing": [dict(host) for host in hosts if host["name"] not in running],
        "released": [member for member in members if member["name"] in names],
        "left": [member for member in members if member["name"] not in names],
    }


def static(hosts: t.Iterable[t.Mapping[str, t.Any]]) -> list[Member]:
    """Return the members of the static provider, which knows the inventory's VMs and nothing about them; each once."""
    found: dict[str, Member] = {}
    for host in hosts:
        found.setdefault(str(host["name"]), {**host, "provider_id": "", "owner": "", "state": "running"})
    return list(found.values())
