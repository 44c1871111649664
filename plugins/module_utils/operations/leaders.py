# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who leads which PostgreSQL cluster: Patroni's word, as Consul keeps it."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.consul.client import Consul
from ansible_collections.scaleout.platform.plugins.module_utils.topology.databases import LEADERS_FACT

#: Where Patroni keeps its clusters.
FOLDER = "service"
_LEADER = re.compile(rf"{FOLDER}/([^/]+)/leader")


def read(consul: Consul) -> dict[str, str]:
    """Return the leader of each cluster that has one, in one request.

    :raises Unreachable: no answer.
    """
    found = ((_LEADER.fullmatch(key), entry) for key, entry in consul.entries(FOLDER).items())
    return {key[1]: entry.value.decode("utf-8", "replace") for key, entry in found if key and entry.value}


def facts(leaders: t.Mapping[str, str]) -> dict[str, t.Any]:
    """Return what a task's result has to hold so that the rest of the run knows them."""
    return {"ansible_facts": {LEADERS_FACT: dict(leaders)}}
