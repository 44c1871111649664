# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A pool under the demand of a trace, with a policy that changes its size; pure.

Time goes on in steps. In each of them, members whose warm-up is over begin to serve, the policy is asked, and the
demand is spread evenly over those that serve. A member measures what one of its size would: what exceeds its capacity
is refused before it, so its processor and its rate stop at their limits, as they do in a real overload.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.replay.faults import Fault, InvalidReplay
from ansible_collections.scaleout.platform.plugins.module_utils.replay.traces import Trace

UP, DOWN = "up", "down"
SUCCEEDED, CALLED_OFF = "succeeded", "called_off"

Document = dict[str, t.Any]
Policy = t.Callable[[float, "list[Document]", Document, "list[Document]"], t.Optional[int]]
"""Called with the time in seconds since 1970, the newest reading of each member, the pool, and its actions so far.

It returns the desired number of members, or None to leave it as it is. What it is given is the simulation's own: it is
the same object until something changed, and must not be changed.
"""

#: Milliseconds after which a client gives up: no latency is longer.
TIMEOUT = 30_000.0
#: Seconds that the first members have served already, so that none of them is in a warm-up.
_BEFORE = 86400.0
_TICK = 1e-6


@dataclasses.dataclass(frozen=True)
class Setup:
    """A pool and its members, which are all alike.

    :param capacity: requests per second at which a member's processors are fully used.
    :param minimum: members.
    :param maximum: members.
    :param initial: members at the beginning; None for the minimum.
    :param starts_in: seconds from the action to the first request that a new member serves.
    :param sync: seconds between two decisions, of which an interval of the trace is a multiple; None for one interval.
    :param memory: per cent of its memory that a member uses, whatever its load.
    :param memory_total: MB (1024²) of a member.
    :param request_bytes: received and sent for one request.
    """

    capacity: float
    minimum: int
    maximum: int
    initial: int | None = None
    starts_in: float = 60.0
    sync: float | None = None
    memory: float = 40.0
    memory_total: float = 2048.0
    request_bytes: float = 10_000.0


@dataclasses.dataclass(frozen=True)
class Run:
    """What became of a pool; the series have one value a step.

    :param start: seconds since 1970.
    :param step: seconds.
    :param parts: steps of one interval of the trace.
    :param demand: requests per second.
    :param needed: the fewest members that can serve the demand.
    :param supply: members that serve.
    :param ordered: members that there are, with those that do not serve yet.
    :param refused: requests that no member had room for, in all.
    :param actions: direction, from, to, started, finished and outcome of each, in the order of time.
    """

    start: float
    step: float
    parts: int
    demand: tuple[float, ...]
    needed: tuple[int, ...]
    supply: tuple[int, ...]
    ordered: tuple[int, ...]
    refused: float
    actions: tuple[Document, ...]


def simulate(trace: Trace, policy: Policy, setup: Setup) -> Run:
    """Let a policy run a pool through a trace.

    The policy is asked at the beginning of each step. Readings are renewed at the end of each interval and describe it;
    before the first one has ended there are none. A desired number outside the bounds is taken as the bound.

    :raises InvalidReplay: with all that is wrong with the setup.
    """
    faults = faults_of(setup, trace.interval)
    if faults:
        raise InvalidReplay(faults)
    steps = round(trace.interval / (setup.sync or trace.interval))
    step = trace.interval / steps
    pool = _Pool(trace.start, setup)
    readings: list[Document] = []
    needed: list[int] = []
    supply: list[int] = []
    ordered: list[int] = []
    refused = 0.0
    for number, demand in enumerate(trace.demand):
        begin = trace.start + number * trace.interval
        load, whole = 0.0, setup.maximum
        for part in range(steps):
            now = begin + part * step
            pool.advance(now)
            desired = policy(now, readings, pool.document, pool.actions)
            if desired is not None:
                pool.resize(now, desired)
            load += demand / pool.serving
            whole = min(whole, pool.serving)
            refused += max(0.0, demand - pool.serving * setup.capacity) * step
            supply.append(pool.serving)
            ordered.append(len(pool.since))
        needed += [members_for(demand, setup.capacity)] * steps
        readings = _readings(setup, begin + trace.interval, load / steps, whole)
    return Run(
        trace.start,
        step,
        steps,
        tuple(value for value in trace.demand for _part in range(steps)),
        tuple(needed),
        tuple(supply),
        tuple(ordered),
        refused,
        tuple(pool.actions),
    )


def members_for(demand: float, capacity: float) -> int:
    """Return the fewest members that can serve a demand; both in requests per second."""
    # A demand that is a multiple of the capacity, but for rounding, needs no member more.
    return math.ceil(demand / capacity - 1e-9)


class _Pool:
    """The members, in the order in which they were added; those added last leave first.

    All warm-ups are equally long, so those that serve come before those that do not yet.

    :ivar since: when each member began to serve or will.
    :ivar serving: how many of them serve.
    :ivar actions: as the history writes them.
    """

    def __init__(self, now: float, setup: Setup) -> None:
        self._setup = setup
        size = setup.minimum if setup.initial is None else setup.initial
        self.since = [now - _BEFORE] * size
        self.serving = size
        self.actions: list[Document] = []
        self._document: Document | None = None
        # The number of the action that added a member which does not serve yet.
        self._joining: list[int] = []

    @property
    def document(self) -> Document:
        """The pool as a policy sees it."""
        if self._document is None:
            running = self.actions[self._joining[-1]] if self._joining else None
            names = ("direction", "from", "to", "started")
            self._document = {
                "desired": len(self.since),
                "members": [_member(number, since, number < self.serving) for number, since in enumerate(self.since)],
                "paused": None,
                "running": {name: running[name] for name in names} if running else None,
            }
        return self._document

    def advance(self, now: float) -> None:
        """Let those serve whose warm-up is over."""
        ready = 0
        while ready < len(self._joining) and self.since[self.serving + ready] <= now + _TICK:
            # The time of the step, when it was not over at the beginning of one.
            self.since[self.serving + ready] = now
            ready += 1
        if ready:
            begun = self._joining[:ready]
            del self._joining[:ready]
            self.serving += ready
            self._close(begun, now, SUCCEEDED)

    def resize(self, now: float, desired: int) -> None:
        """Add members or take some away, within the bounds."""
        size = len(self.since)
        wanted = max(self._setup.minimum, min(self._setup.maximum, desired))
        if wanted == size:
            return
        action: Document = {
            "direction": UP if wanted > size else DOWN,
            "from": size,
            "to": wanted,
            "started": now,
            "finished": None,
            "outcome": None,
        }
        self.actions.append(action)
        self._document = None
        if wanted > size:
            self.since += [now + self._setup.starts_in] * (wanted - size)
            self._joining += [len(self.actions) - 1] * (wanted - size)
            self.advance(now)
            return
        del self.since[wanted:]
        kept = max(0, wanted - self.serving)
        called_off = self._joining[kept:]
        del self._joining[kept:]
        self.serving = min(self.serving, wanted)
        self._close(called_off, now, CALLED_OFF)
        action.update(finished=now, outcome=SUCCEEDED)

    def _close(self, numbers: list[int], now: float, outcome: str) -> None:
        """End the actions none of whose members is still to come."""
        self._document = None
        for number in set(numbers) - set(self._joining):
            self.actions[number].update(finished=now, outcome=outcome)


@functools.cache
def _name(number: int) -> str:
    return f"member{number + 1}"


def _member(number: int, since: float, serves: bool) -> Document:
    return {
        "name": _name(number),
        "healthy": serves,
        "in_rotation": serves,
        "since": since,
        "protected": False,
        "failed": False,
        "reached": serves,
    }


def _readings(setup: Setup, at: float, load: float, whole: int) -> list[Document]:
    """Return the readings of an interval, from the members that served all of it: the others have no rate yet.

    :param at: when it ended.
    :param load: requests per second for each member, on average.
    :param whole: how many served all of it.
    """
    served = min(load, setup.capacity)
    # The 99th percentile of the time in an M/M/1 queue, which is exponentially distributed with the rate capacity -
    # load (Kleinrock, Queueing Systems I, 1975, section 3.2).
    room = setup.capacity - load
    latency = min(TIMEOUT, 1000.0 * math.log(100.0) / room) if room > 0 else TIMEOUT
    values = {
        "cpu": 100.0 * served / setup.capacity,
        "memory": setup.memory,
        "memory_free": setup.memory_total * (100.0 - setup.memory) / 100.0,
        "requests": served,
        "application": served,
        "errors": max(0.0, load - setup.capacity),
        "network": served * setup.request_bytes,
        "latency": latency,
    }
    return [{"instance": _name(number), "at": at, "values": values} for number in range(whole)]


def faults_of(setup: Setup, interval: float) -> list[Fault]:
    """Return all that is wrong with a setup.

    :param interval: seconds of the trace.
    """
    faults = []
    for name, least in (("minimum", 1), ("maximum", 1), ("initial", 1)):
        value = getattr(setup, name)
        if name == "initial" and value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            faults.append(Fault(name, f"{value!r} is not a whole number of {least} or more."))
    for name in ("capacity", "starts_in", "sync", "memory", "memory_total", "request_bytes"):
        value = getattr(setup, name)
        if name == "sync" and value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
            faults.append(Fault(name, f"{value!r} is not a number of zero or more."))
        elif name in ("capacity", "sync") and value == 0:
            faults.append(Fault(name, f"{value!r} is not above zero."))
    return faults or _contradictions(setup, interval)


def _contradictions(setup: Setup, interval: float) -> list[Fault]:
    faults = []
    if setup.minimum > setup.maximum:
        faults.append(Fault("minimum", f"{setup.minimum} is above maximum, {setup.maximum}."))
    elif setup.initial is not None and not setup.minimum <= setup.initial <= setup.maximum:
        faults.append(Fault("initial", f"{setup.initial} is not between {setup.minimum} and {setup.maximum}."))
    if setup.memory > 100:
        faults.append(Fault("memory", f"{setup.memory:g} is above 100 per cent."))
    steps = interval / (setup.sync or interval)
    if round(steps) < 1 or abs(steps - round(steps)) > 1e-6:
        faults.append(Fault("sync", f"{setup.sync:g} does not divide the trace's interval of {interval:g} s."))
    return faults
