# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an inventory may be and an operator should know of, before anything is changed; pure."""

from __future__ import annotations

import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.operations import scaling_policy
from ansible_collections.scaleout.platform.plugins.module_utils.platform import Platform, Problem
from ansible_collections.scaleout.platform.plugins.module_utils.topology.inventory import CONSUL_SERVER, together

#: The hosts that a group of the inventory has and its record of members does not, as the inventory plugin leaves them.
NOT_MEMBERS = "fleet_not_members"
#: The hosts of each group that the inventory plugin lets a record govern.
GOVERNED = "fleet_static_members"
#: What fails together with a host: a rack, a zone, a machine that runs several VMs.
DOMAIN = "platform_failure_domain"


def warnings(platform: Platform) -> list[Problem]:
    """Return what does not keep the platform from being set up."""
    return [
        *_not_members(platform),
        *_not_governed(platform),
        *_failure_domains(platform),
        *_consul_servers(platform),
        *_durability(platform),
        *_empty_shards(platform),
        *scaling_policy.warnings(platform),
    ]


def _not_members(platform: Platform) -> t.Iterator[Problem]:
    """Name the hosts that a run leaves out because the record has the last word on its group."""
    found = next((platform.value(host, NOT_MEMBERS) for host in platform.hosts), None) or {}
    for group, hosts in found.items():
        one = len(hosts) == 1
        text = (
            f"{together([str(host) for host in hosts])} {'is' if one else 'are'} in the group {group} of the inventory "
            f"and {'is no member' if one else 'are no members'} of it, because the record in Consul does not name "
            f"{'it' if one else 'them'}; playbooks/scale.yml -e {group}=<count> makes members of hosts of the "
            "inventory first"
        )
        yield Problem("not_a_member", "", text)


def _not_governed(platform: Platform) -> t.Iterator[Problem]:
    """Name applications whose pool a run would take from the inventory, whatever was scaled."""
    governed = next((platform.value(host, GOVERNED) for host in platform.hosts), None)
    if not isinstance(governed, t.Mapping):
        return
    for name, application in platform.applications.items():
        if application.group not in governed:
            text = (
                f"applications: {name} runs on the group {application.group}, which the inventory plugin does not look "
                f"up in Consul (its groups are {', '.join(sorted(governed)) or 'none'}), so what playbooks/scale.yml "
                f"makes of it would be forgotten; add {application.group} to groups in members.yml"
            )
            yield Problem("not_governed", "", text)


def _failure_domains(platform: Platform) -> t.Iterator[Problem]:
    """Name those that are there to stand in for each other and would fail together."""
    groups = {f"the cluster {one.name}": [server.name for server in one.members] for one in platform.clusters.values()}
    groups["Consul"] = platform.members(CONSUL_SERVER)
    for of, hosts in groups.items():
        # One host alone stands in for no other, and where nothing is said, nothing is known.
        domains = {platform.value(host, DOMAIN) and str(platform.value(host, DOMAIN)) for host in hosts}
        if len(hosts) > 1 and len(domains) == 1 and domains != {None}:
            text = f"all servers of {of} ({', '.join(hosts)}) are in one failure domain, {domains.pop()} ({DOMAIN}); "
            yield Problem("one_failure_domain", "", f"{text}whatever ends one of them ends all")


def _consul_servers(platform: Platform) -> t.Iterator[Problem]:
    """Say that one more server than an odd number of them is of no use: more than half of them decide."""
    count = len(platform.members(CONSUL_SERVER))
    if count and count % 2 == 0:
        most, needed = count // 2 - 1, count // 2 + 1
        text = (
            f"the group {CONSUL_SERVER} has {count} hosts, an even number: {needed} of them have to live, so that it "
            f"survives the loss of {most or 'none'}, as {count - 1} would; make it {count - 1} or {count + 1}"
        )
        yield Problem("even_servers", "", text)


def _durability(platform: Platform) -> t.Iterator[Problem]:
    """Name a cluster whose commits are to wait for a replica that it does not have."""
    for cluster in platform.clusters.values():
        if cluster.durability == "durable" and len(cluster.members) == 1:
            text = (
                f"postgres_clusters: {cluster.name}: durability is durable, and {cluster.members[0].name} is its only "
                "member: no replica confirms a commit, so what it loses with its disk is lost"
            )
            yield Problem("not_durable", "", text)


def _empty_shards(platform: Platform) -> t.Iterator[Problem]:
    """Say of shards that wait for rows what would bring them some."""
    empty = [str(shard_id) for cluster in platform.clusters.values() for shard_id in cluster.empty_shards]
    if empty:
        text = (
            f"empty_shards has {', '.join(empty)}: a shard that is new there gets a database and a place in the shard "
            "map, and no buckets; before it can have some, their rows have to be moved into it, and no playbook of "
            "this release does that"
        )
        yield Problem("empty_shard", "", text)
