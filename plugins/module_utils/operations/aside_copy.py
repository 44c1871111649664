# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What ``restore.yml`` decides and says of a copy beside everything (``-e aside=true``); asks no host."""

from __future__ import annotations

import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils import moments
from ansible_collections.scaleout.platform.plugins.module_utils.errors import Refused
from ansible_collections.scaleout.platform.plugins.module_utils.failover import target
from ansible_collections.scaleout.platform.plugins.module_utils.operations.restore_cluster import REMOVE, Asked
from ansible_collections.scaleout.platform.plugins.module_utils.platform import Platform, leader_of
from ansible_collections.scaleout.platform.plugins.module_utils.services import archiving, backups
from ansible_collections.scaleout.platform.plugins.module_utils.services import pgbackrest_conf as conf

Document = dict[str, t.Any]
Said = t.Mapping[str, t.Any]


def decide(platform: Platform, asked: Asked, stanza: Said | None) -> tuple[Document, list[str]]:
    """Return what the module ``restore_aside`` is told, and the plan for a person.

    :param stanza: what ``backup_info`` returned of the cluster; None where the host of the backups does not answer.
    :raises Refused: the point cannot be reached.
    """
    name, where = asked.cluster.name, str(conf.repository_of(platform))
    if stanza is None:
        raise Refused(f"The host that keeps the backups, {where}, does not answer.", code="unreachable", host=where)
    if asked.aside == REMOVE:
        return {"state": "absent", "restore": {}}, [f"{name}: the copy on {where} stops and is removed"]
    there = target.read(stanza)
    backup = target.choose(there, asked.to, asked.timeline, asked.label, name)
    told = {
        "told": str(asked.to),
        "command": target.arguments(asked.to, asked.timeline or target.newest_timeline(there)),
        "set": backup.label,
        "size": backup.size,
    }
    lines = [
        f"{name}: a copy as of {asked.to} is restored on {where}, beside everything, from the backup {backup.label} "
        f"({backup.kind}, of a database of {backups.size(backup.size)}), which ended {moments.shown(backup.stopped)}",
        *target.covered(there),
        f"{name} itself goes on, and nothing of it changes",
    ]
    return {"state": "present", "restore": told}, lines


def options(platform: Platform, asked: Asked, decision: Said, run: str, wait: float) -> Document:
    """Return what the module ``restore_aside`` is told.

    :param run: which run this is.
    """
    where = str(conf.repository_of(platform))
    version = conf.version_of(platform, where, asked.cluster)
    return {
        "cluster": archiving.stanza(asked.cluster),
        "state": decision["state"],
        "hosts": len(asked.cluster.members),
        "programs": f"/usr/lib/postgresql/{version}/bin",
        "restore": {**decision["restore"], "run": run} if decision["restore"] else {},
        "wait": wait,
    }


def summary(platform: Platform, asked: Asked, done: Said) -> list[str]:
    """Return what came of it, and what is to be typed."""
    name, where = asked.cluster.name, str(conf.repository_of(platform))
    if asked.aside == REMOVE:
        return [f"{name}: there is no copy on {where} any more"]
    socket, leader = done["socket"], leader_of(asked.cluster).name
    there, back = "runuser -u postgres --", f"ssh {leader} 'runuser -u postgres -- psql DATABASE'"
    return [
        f"{name}: a copy as of {asked.to} runs on {where}, on the socket {socket} alone",
        f"   to look into it, there: {there} psql -h {socket} DATABASE",
        "   to hand a table back that is gone, from here:",
        f"   ssh {where} '{there} pg_dump -h {socket} --table=TABLE DATABASE' | {back}",
        f"   to remove it: restore.yml -e cluster={name} -e aside=remove",
    ]
