# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The cluster of a lab that the drill is about: who leads, what is redundant, and how its client reaches it."""

from __future__ import annotations

import json
import secrets
import shlex
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from tests.drill import client
from tests.end_to_end import lab

PATRONI, POSTGRES, POOLER = 8008, 5432, 6432
DATABASE = "shard_0"
#: Seconds that a cluster may take to be whole again before a round counts as failed.
PATIENCE = 300
#: Asks a Consul server, on its own loopback, how many servers are healthy and vote; reads the token.
VOTERS = """
import json, sys, urllib.request
where = "http://127.0.0.1:8500/v1/operator/autopilot/health"
ask = urllib.request.Request(where, headers={"X-Consul-Token": sys.stdin.read().strip()})
servers = json.load(urllib.request.urlopen(ask, timeout=3))["Servers"]
print(sum(server["Healthy"] and server["Voter"] for server in servers))
"""


@dataclass(frozen=True)
class Seen:
    """The cluster as a member of it sees it.

    :param roles: of each member: ``leader``, ``replica``, ``sync_standby`` or ``quorum_standby``.
    :param states: of each member: ``running``, ``streaming`` or what keeps it from that.
    """

    roles: Mapping[str, str]
    states: Mapping[str, str]

    @property
    def leader(self) -> str:
        """Who leads; empty when no one does."""
        return next((name for name, role in self.roles.items() if role == "leader"), "")


class Place:
    """A cluster of the lab that the tests are about.

    :param cluster: its name; by default that of the first database host.
    """

    def __init__(self, cluster: str = "") -> None:
        hosts = lab.hosts("postgres")
        self.cluster = cluster or lab.variables(hosts[0])["postgres_cluster"]
        self.members = [host for host in hosts if lab.variables(host)["postgres_cluster"] == self.cluster]
        #: Another one for each run: a pooler keeps sessions of a user, and a new one of that name would have no rights.
        self._user = f"drill_{secrets.token_hex(4)}"
        self._password = secrets.token_urlsafe(24)
        self._consul_token = yaml.safe_load(lab.CHOSEN.secrets.read_text())["consul_management_token"]

    def seen(self, members: list[str] | None = None) -> Seen | None:
        """Ask the members after each other; None when none of them answers."""
        for member in members or self.members:
            try:
                where = f"http://{lab.address(member)}:{PATRONI}/cluster"
                with urllib.request.urlopen(where, timeout=2) as answer:
                    found = json.load(answer)["members"]
            except (OSError, ValueError):
                continue
            return Seen({each["name"]: each["role"] for each in found}, {each["name"]: each["state"] for each in found})
        return None

    def leader(self) -> str:
        """Who leads, by what most members say."""
        told = [seen.leader for member in self.members if (seen := self.seen([member]))]
        return max(set(told), key=told.count) if told else ""

    def replica(self) -> str:
        """The first member that follows."""
        leader = self.leader()
        return next(member for member in self.members if member != leader)

    def is_redundant(self) -> bool:
        """Whether one member leads, all others stream, one of them confirms commits, and each Consul server votes."""
        seen = self.seen()
        if not seen or not seen.leader or len(seen.states) != len(self.members):
            return False
        others = [name for name in self.members if name != seen.leader]
        streams = all(seen.states.get(name) == "streaming" for name in others)
        confirms = not others or any(seen.roles[name] in ("sync_standby", "quorum_standby") for name in others)
        return streams and confirms and self.voters() == len(lab.hosts("consul_server"))

    def voters(self) -> int:
        """How many Consul servers answer and vote, by the first one that says so."""
        for server in lab.hosts("consul_server"):
            printed = lab.ssh(server, f"python3 -c {shlex.quote(VOTERS)}", check=False, told=self._consul_token)
            if printed.isdigit():
                return int(printed)
        return 0

    def wait_for(self, condition: Callable[[], bool], what: str) -> float:
        """Wait for something; returns the seconds that it took."""
        seconds = lab.wait_for(condition, PATIENCE)
        assert seconds is not None, f"{what}: not within {PATIENCE} s; the cluster is {self.seen()}"
        return seconds

    def prepare(self) -> None:
        """Make the drill's table, empty, and the user that writes to it through the poolers."""
        leader = self.leader()
        # The password comes by standard input, so that no list of processes shows it.
        statements = (
            f"DO $$ BEGIN CREATE ROLE {self._user} LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;"
            f" ALTER ROLE {self._user} PASSWORD '{self._password}'; DROP TABLE IF EXISTS drill; {client.TABLE};"
            f" GRANT SELECT, INSERT, UPDATE ON drill TO {self._user}"
        )
        lab.ssh(leader, f"cd / && sudo -u postgres psql -Xq -v ON_ERROR_STOP=1 -d {DATABASE}", told=statements)

    def clean(self) -> None:
        """Remove both."""
        statements = f"DROP TABLE IF EXISTS drill; DROP ROLE IF EXISTS {self._user}"
        lab.ssh(self.leader(), f"cd / && sudo -u postgres psql -Xq -d {DATABASE}", told=statements)

    def poolers(self) -> dict[str, dict[str, Any]]:
        """How the client reaches the leader: through the pooler of each member."""
        return {member: self._way(member, DATABASE) for member in self.members}

    def local(self) -> dict[str, dict[str, Any]]:
        """How the client reads each member itself."""
        return {member: self._way(member, f"{DATABASE}_local") for member in self.members}

    def _way(self, member: str, database: str) -> dict[str, Any]:
        place = {"host": lab.address(member), "port": POOLER, "dbname": database}
        return {**place, "user": self._user, "password": self._password, "connect_timeout": 3}
