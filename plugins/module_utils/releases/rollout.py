# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""In which order the servers of a pool get another release, how many at a time, and which go back; pure.

The first server is the canary: it is alone, and has to stay healthy for a while before it gets requests. Until the last
server has the release, each keeps its journal open; so whatever ends the rollout, each still knows what it had.
"""

from __future__ import annotations

import dataclasses
import math
import re
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.names import is_release

#: What a rolling update asks for where the command line says nothing.
PARALLELISM = "1"
DELAY = 10.0
MINIMUM_HEALTHY_TIME = 10.0
#: Seconds; a longer wait between two servers is a mistake.
_LONGEST = 3600.0

_SHARE = re.compile(r"(\d{1,4})(%?)")


@dataclasses.dataclass(frozen=True)
class Share:
    """How many servers at a time: a number of them, or so many of a hundred."""

    number: int
    percent: bool = False

    def of(self, pool: int) -> int:
        """Return the number for a pool of that size; at least one, and a percentage is rounded down."""
        wanted = pool * self.number // 100 if self.percent else self.number
        return max(1, min(wanted, pool))

    def __str__(self) -> str:
        return f"{self.number}%" if self.percent else str(self.number)


@dataclasses.dataclass(frozen=True)
class Asked:
    """What the command line asks for.

    :param version: the release by name; empty where it follows from the application's entry or from the hosts.
    :param delay: seconds for which a batch is watched before the next one.
    :param minimum_healthy_time: seconds for which the canary has to stay healthy before it gets requests.
    :param accept_no_rollback: the release that may be deployed although nothing can be gone back to.
    """

    application: str
    version: str = ""
    parallelism: Share = Share(1)
    delay: float = DELAY
    minimum_healthy_time: float = MINIMUM_HEALTHY_TIME
    accept_no_rollback: str = ""


@dataclasses.dataclass(frozen=True)
class Server:
    """A server of the pool before the rollout.

    :param before: the release that it was last proven with, which it goes back to; empty where there is none.
    :param ready: whether it is healthy.
    :param due: whether there is anything to do on it.
    :param unconfirmed: whether an earlier run was cut short after it had exchanged the release there.
    :param domain: its failure domain; empty where none is known.
    """

    host: str
    before: str = ""
    ready: bool = True
    due: bool = True
    unconfirmed: bool = False
    domain: str = ""


def read(known: t.Collection[str], given: t.Mapping[str, t.Any], back: bool = False) -> Asked:
    """Read the variables of the command line.

    :param known: the names of the applications.
    :param back: whether it is a rollback.
    :raises ScaleoutError: all that is wrong, a sentence each.
    """
    faults: list[InvalidInput] = []
    application, version = str(given.get("application") or ""), str(given.get("version") or "")
    if application not in known:
        there = " or ".join(sorted(known)) or "none"
        reason = f"is not an application; there is {there}" if application else f"is not set; there is {there}"
        faults.append(InvalidInput("application", given.get("application"), reason))
    if isinstance(given.get("version"), (bool, float)):
        faults.append(InvalidInput("version", given["version"], "is no text, and 1.10 would be 1.1; put it in quotes"))
    elif version and not is_release(version):
        reason = "is no name of a release: 1 to 64 letters, digits and ._+-, no dot first"
        faults.append(InvalidInput("version", given["version"], reason))
    accept = str(given.get("accept_no_rollback") or "")
    if accept and back:
        faults.append(InvalidInput("accept_no_rollback", accept, "has no meaning for a rollback"))
    share = _share(given.get("parallelism", PARALLELISM), faults)
    # Ansible warns of a variable called delay, since tasks have a keyword of that name.
    name = "delay" if "delay" in given else "batch_delay"
    delay = _seconds(name, given.get(name, DELAY), faults)
    healthy = _seconds("minimum_healthy_time", given.get("minimum_healthy_time", MINIMUM_HEALTHY_TIME), faults)
    if faults:
        text = " ".join(fault.message for fault in faults)
        raise ScaleoutError(text, code=InvalidInput.CODE, problems=[fault.message for fault in faults])
    return Asked(application, version, share, delay, healthy, accept)


def _share(value: t.Any, faults: list[InvalidInput]) -> Share:
    found = _SHARE.fullmatch("" if isinstance(value, bool) else str(value).strip())
    number, percent = (int(found[1]), bool(found[2])) if found else (0, False)
    if number < 1 or (percent and number > 100):
        reason = "is not how many servers at a time: a number from 1 on, or a percentage from 1% to 100%"
        faults.append(InvalidInput("parallelism", value, reason))
    return Share(number, percent)


def _seconds(option: str, value: t.Any, faults: list[InvalidInput]) -> float:
    try:
        found = math.nan if isinstance(value, bool) else float(value)
    except (OverflowError, TypeError, ValueError):
        found = math.nan
    if not 0 <= found <= _LONGEST:
        faults.append(InvalidInput(option, value, f"is not a number of seconds from 0 to {_LONGEST:g}"))
    return found


def order(servers: t.Iterable[Server]) -> list[Server]:
    """Return the servers that are due, the first one first.

    Those that serve no one come first, since nothing is lost if they fail; among equals, those that an earlier run
    had begun with, and then as given. Neighbours are in different failure domains as far as possible.
    """
    ordered: list[Server] = []
    due = [server for server in servers if server.due]
    for rank in ((False, True), (False, False), (True, True), (True, False)):
        equals = [server for server in due if (server.ready, server.unconfirmed) == rank]
        ordered += _apart(equals, ordered[-1].domain if ordered else None)
    return ordered


def _apart(servers: t.Sequence[Server], last: str | None) -> list[Server]:
    """Take from the fullest failure domain that is not the last one; without a domain, a server is its own."""
    left: dict[str, list[Server]] = {}
    for server in servers:
        left.setdefault(server.domain or f" {server.host}", []).append(server)
    found: list[Server] = []
    while left:
        others = {domain: here for domain, here in left.items() if domain != last} or left
        last = max(others, key=lambda domain: len(others[domain]))
        found.append(left[last].pop(0))
        if not left[last]:
            del left[last]
    return found


def at_once(servers: t.Collection[Server], share: Share, floor: int) -> int:
    """Return how many servers that are healthy may be out at a time.

    :param servers: the whole pool.
    :param floor: how many the pool has to have; one at a time may go below it, or nothing could ever be updated.
    """
    healthy = sum(server.ready for server in servers)
    return min(share.of(len(servers)), max(1, healthy - floor))


def batches(servers: t.Collection[Server], share: Share, floor: int) -> list[tuple[str, ...]]:
    """Return the hosts that are updated together, the first ones first; the canary is alone.

    :param servers: the whole pool, those that are not due included.
    """
    size, limit = share.of(len(servers)), at_once(servers, share, floor)
    found: list[list[Server]] = []
    for server in order(servers):
        batch = found[-1] if len(found) > 1 else None
        if batch is None or len(batch) == size or (server.ready and sum(one.ready for one in batch) == limit):
            found.append([server])
        else:
            batch.append(server)
    return [tuple(server.host for server in batch) for batch in found]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of the rollout once no host begins another turn.

    :param updated: the hosts that serve the new release.
    :param failed: those that did not get there, or did not stay healthy there.
    :param lost: those that did not answer any more in their turn.
    :param back: those that are to be taken back, the last one first.
    """

    updated: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    back: tuple[str, ...] = ()

    @property
    def broken(self) -> bool:
        return bool(self.failed or self.lost)


def judge(notes: t.Mapping[str, t.Sequence[str]], hosts: t.Sequence[str], one_way: bool = False) -> Outcome:
    """Decide who goes back.

    :param notes: what each host noted of its turn: ``begun``, ``ended`` and ``failed``.
    :param hosts: all that are due, in their order.
    :param one_way: the schema does not serve what they had, and that was accepted.
    """
    updated = tuple(host for host in hosts if "ended" in notes.get(host, ()))
    failed = tuple(host for host in hosts if "failed" in notes.get(host, ()))
    began = [host for host in hosts if "begun" in notes.get(host, ())]
    lost = tuple(host for host in began if host not in (*updated, *failed))
    broken = bool(failed or lost)
    return Outcome(updated, failed, lost, tuple(reversed(updated)) if broken and not one_way else ())
