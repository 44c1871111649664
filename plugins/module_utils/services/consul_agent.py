# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Consul's agent and cluster as they run: what their answers say of a member and of a registration; pure."""

from __future__ import annotations

import re
import typing as t

API = "http://127.0.0.1:8500"
FOLDER = "/etc/consul.d"

#: A service's fact of this name says which file the agent read.
SERVICE_DIGEST = "scaleout-digest"

#: An agent's fact of this name says which configuration it runs with.
MEMBER_DIGEST = "scaleout-config"


# Registrations


def service_file(instance: str) -> str:
    """Return the file that registers an instance."""
    return f"{FOLDER}/service_{instance}.json"


def fault_of_registration(
    wanted: t.Mapping[str, t.Any] | None, status: int, known: t.Any, revoked: bool = False
) -> str:
    """Say how the agent has a service otherwise than its file does, as a clause; empty when it does not.

    :param wanted: what the file holds; None where there is none.
    :param status: of the agent's answer to the question for this instance; 0 for no answer.
    :param known: the answer.
    :param revoked: whether Consul knows none of this host's tokens. Then the host has nothing in the catalog.
    """
    if not status:
        return "the agent does not answer" if wanted is not None else ""
    if status == 403:
        return "" if wanted is None and revoked else "Consul does not accept the token of this host"
    if status == 404:
        return "" if wanted is None else "the agent does not have the service"
    if status != 200:
        return f"the agent answers {status}"
    if wanted is None:
        return "the agent still has the service"
    digest = _digest_of(wanted.get("service"), "meta")
    return "" if digest and digest == _digest_of(known, "Meta") else "the agent has another definition of the service"


def fault_of_catalog(wanted: t.Mapping[str, t.Any] | None, instance: str, status: int, known: t.Any) -> str:
    """Say how the catalog has a service otherwise than its file does, as a clause; empty when it does not.

    Agents hand on what they have by themselves. What the token of the host does not allow stays with the agent.

    :param known: what the catalog has of this node.
    """
    if status != 200:
        return f"Consul's catalog answers {status}" if status else "the agent does not answer"
    services = (known.get("Services") if isinstance(known, t.Mapping) else None) or {}
    if wanted is None:
        return "Consul's catalog still has the service" if instance in services else ""
    definition = wanted.get("service")
    digest = _digest_of(definition, "meta")
    if digest and digest == _digest_of(services.get(instance), "Meta"):
        return ""
    name = definition.get("name") if isinstance(definition, t.Mapping) else instance
    return (
        f"Consul's catalog does not have the service; if the host's token may not register {name}, list it in "
        "consul_services and run site.yml --tags consul"
    )


def _digest_of(entry: t.Any, meta: str) -> str:
    facts = entry.get(meta) if isinstance(entry, t.Mapping) else None
    return str(facts.get(SERVICE_DIGEST, "")) if isinstance(facts, t.Mapping) else ""


# The running cluster


def version_in(text: str) -> str:
    """Return the version that ``consul version`` prints, such as ``1.8.7``; empty for anything else."""
    match = re.search(r"^Consul v([0-9][0-9.]*)", text, re.MULTILINE)
    return match.group(1).rstrip(".") if match else ""


def keys_of(rings: t.Any) -> set[str]:
    """Return the gossip keys of all pools and datacenters; they have the same ones unless a change broke off."""
    rings = rings if isinstance(rings, list) else []
    return {str(key) for ring in rings if isinstance(ring, t.Mapping) for key in ring.get("Keys") or ()}


def fault_of_answer(status: int) -> str:
    """Say what an answer's status means, as a clause; empty for a good one."""
    if status == 200:
        return ""
    if not status:
        return f"nothing answers on {API}"
    return {403: "its token is not accepted", 500: "it does not know a leader"}.get(status, f"it answers {status}")


def fault_of_server(node: str, health: t.Any) -> str:
    """Say what a server lacks to be one that the others can count on; empty for nothing.

    :param health: what the leader's autopilot says about all servers.
    """
    known = [one for one in _members(health) if one.get("Name") == node]
    if not known:
        return "the leader does not know it as a server"
    if not known[0].get("Voter"):
        return "it has no vote yet"
    return "" if known[0].get("Healthy") else "the leader does not find it healthy"


def needed(node: str, expected: int, health: t.Any) -> str:
    """Say why a server must not stop, as a clause; empty when the others keep the quorum without it.

    One server alone may stop, and of two servers each may: such a cluster cannot do without any.

    :param expected: how many servers there should be.
    """
    known = _members(health)
    if len(known) == 1:
        return ""
    voteless = [str(one.get("Name")) for one in known if not one.get("Voter") and one.get("SerfStatus") == "alive"]
    if voteless:
        return f"{', '.join(sorted(voteless))} has no vote yet"
    voters = [one for one in known if one.get("Voter")]
    if all(one.get("Name") != node for one in voters):
        return ""
    size = max(expected, len(voters))
    healthy = sum(1 for one in voters if one.get("Healthy") and one.get("Name") != node)
    if healthy >= min(size // 2 + 1, size - 1):
        return ""
    return f"of the other {size - 1} servers {healthy} can vote, which is no quorum"


def _members(health: t.Any) -> list[t.Mapping[str, t.Any]]:
    listed = health.get("Servers") if isinstance(health, t.Mapping) else None
    return [one for one in listed or () if isinstance(one, t.Mapping)]
