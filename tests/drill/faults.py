# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The rows of the failover table: what is broken, how it is seen that it broke, and how it is made whole.

Each fault is a generator: up to its ``yield`` it breaks something, and has to see that it did; after it, and also where
it did not bite, it heals what does not heal by itself. It yields the poolers whose host it took.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

from tests.drill.place import Place
from tests.end_to_end import lab

Steps = Generator[Sequence[str], None, None]


@dataclass(frozen=True)
class Row:
    """A row of the table.

    :param name: what a person reads.
    :param steps: the fault.
    :param goal: the longest gap in seconds that is accepted; 0 where none is named.
    :param away: seconds for which it stays broken.
    """

    name: str
    steps: Callable[[Place], Steps]
    goal: float = 0.0
    away: float = 15.0


def _running(host: str) -> bool:
    return (
        lab.engine("inspect", "-f", "{{.State.Running}} {{.State.Paused}}", lab.container(host)).strip() == "true false"
    )


def _killed(host: str) -> Steps:
    lab.engine("kill", lab.container(host))
    try:
        assert not _running(host), f"{host} still runs"
        yield [host]
    finally:
        lab.engine("start", lab.container(host))


def _process(host: str, pattern: str, signal: str) -> str:
    """Send a signal to the one process of a host that matches; returns its number."""
    found = lab.ssh(host, f"pgrep -o -f {pattern!r}")
    lab.ssh(host, f"kill -{signal} {found}")
    return found


def postmaster_killed(place: Place) -> Steps:
    leader = place.leader()
    number = _process(leader, "^/usr/lib/postgresql/.*/postgres -D", "KILL")
    assert not lab.ssh(leader, f"test -d /proc/{number} && echo there", check=False), "PostgreSQL was not killed"
    yield []


def patroni_killed(place: Place) -> Steps:
    leader = place.leader()
    number = _process(leader, "/usr/bin/patroni ", "KILL")
    assert not lab.ssh(leader, f"test -d /proc/{number} && echo there", check=False), "Patroni was not killed"
    yield []


def patroni_hung(place: Place) -> Steps:
    leader = place.leader()
    number = _process(leader, "/usr/bin/patroni ", "STOP")
    try:
        assert "T" in lab.ssh(leader, f"ps -o stat= -p {number}"), "Patroni was not stopped"
        yield []
    finally:
        lab.ssh(leader, f"kill -CONT {number}", check=False)


def leader_killed(place: Place) -> Steps:
    yield from _killed(place.leader())


def replica_killed(place: Place) -> Steps:
    yield from _killed(place.replica())


def leader_paused(place: Place) -> Steps:
    """For longer than the lease lasts."""
    leader = place.leader()
    lab.engine("pause", lab.container(leader))
    try:
        assert not _running(leader), f"{leader} was not paused"
        yield [leader]
    finally:
        lab.engine("unpause", lab.container(leader))


def _within(host: str, command: str) -> None:
    """Run a shell command in the network of a VM, which may not change it itself."""
    vm = lab.container(host)
    image = lab.engine("inspect", "-f", "{{.Config.Image}}", vm).strip()
    alone = ("--rm", "--network", f"container:{vm}", "--cap-add", "NET_ADMIN", "--entrypoint", "sh")
    lab.engine("run", *alone, image, "-ec", command)


def _cut_off(host: str, others: Sequence[str]) -> Steps:
    """Lose what goes from a host to others and back, in silence; the tester still reaches it.

    The address of a network card that no one has takes the place of the other's.
    """

    def change(how: str) -> None:
        for one, far in ((host, others), *((other, [host]) for other in others)):
            steps = (
                f"device=$(ip -o route get {address} | sed 's/.* dev \\([^ ]*\\).*/\\1/'); "
                f"ip neigh {how.format(address=address)} dev $device"
                for address in map(lab.address, far)
            )
            _within(one, "; ".join(steps))

    try:
        change("replace {address} lladdr 02:00:00:00:00:01 nud permanent")
        probe = f"timeout 2 bash -c '</dev/tcp/{lab.address(others[0])}/22' && echo reached"
        assert lab.ssh(host, probe, check=False) != "reached", f"{host} is not cut off"
        yield [host]
    finally:
        change("del {address}")


def leader_cut_off(place: Place) -> Steps:
    leader = place.leader()
    yield from _cut_off(leader, [host for host in lab.hosts() if host != leader])


def agent_restarted(place: Place) -> Steps:
    leader = place.leader()
    before = lab.ssh(leader, "systemctl show -p MainPID --value consul")
    lab.ssh(leader, "systemctl restart consul")
    assert lab.ssh(leader, "systemctl show -p MainPID --value consul") != before, "Consul was not restarted"
    yield []


def consul_gone(place: Place) -> Steps:
    """All Consul servers stop; failsafe keeps the leader."""
    servers = lab.hosts("consul_server")
    lab.everywhere("systemctl stop consul", servers)
    try:
        states = lab.everywhere("systemctl is-active consul || true", servers)
        assert "active" not in states.values(), states
        yield []
    finally:
        lab.everywhere("systemctl start consul", servers)


def switched_over(place: Place) -> Steps:
    leader = place.leader()
    lab.local("ansible-playbook", "playbooks/switchover.yml", "-e", f"cluster={place.cluster}")
    assert place.leader() not in ("", leader), f"{leader} still leads"
    yield []


def everything_off(place: Place) -> Steps:
    """All VMs of the cluster and of Consul, with Consul last to come back."""
    servers = [host for host in lab.hosts("consul_server") if host not in place.members]
    everyone = [*place.members, *servers]
    try:
        for host in everyone:
            lab.engine("kill", lab.container(host))
        assert not any(map(_running, everyone)), "one still runs"
        yield everyone
    finally:
        for host in place.members:
            lab.engine("start", lab.container(host))
        time.sleep(5)
        for host in servers:
            lab.engine("start", lab.container(host))


ROWS = (
    Row("postmaster killed", postmaster_killed, goal=5),
    Row("Patroni killed", patroni_killed, goal=5),
    Row("Patroni hung", patroni_hung, away=40),
    Row("leader's VM killed", leader_killed, goal=12),
    Row("replica's VM killed", replica_killed),
    Row("leader's VM paused", leader_paused, away=40),
    Row("leader cut off from all", leader_cut_off, away=40),
    Row("Consul agent on the leader restarted", agent_restarted),
    Row("all Consul servers stopped for 60 s", consul_gone, away=60),
    Row("planned switchover", switched_over, goal=2),
    Row("all VMs off and on, Consul last", everything_off),
)
