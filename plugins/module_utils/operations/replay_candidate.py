# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Let a scaling policy decide in a simulation, by the same code that decides on a real pool."""

from __future__ import annotations

import dataclasses
import math
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.replay.simulate import Policy as Decider
from ansible_collections.scaleout.platform.plugins.module_utils.replay.simulate import Setup, simulate
from ansible_collections.scaleout.platform.plugins.module_utils.replay.traces import HOUR, START, Trace
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.decide import HOLD, SCALE, Choice, look_at
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.history import SUCCEEDED, Action, History, read
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.measures import DOWN, UP
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.policy import Policy
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.pool import Member, Pool
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.readings import Readings
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.voices import UNPROVEN, Voice

Document = dict[str, t.Any]

#: What a decision came to, beside the codes of the reasons that hold growth.
GROWS, RUNNING, WAITS, CALM = "grows", "running", "waits", "calm"

#: Samples between two times at which old ones are dropped.
_KEPT = 1000
_LEADER = "member1"
_TICK = 1e-6

#: What the pool of a doubling does before the load comes, in seconds; and how long it may take.
_QUIET = HOUR / 2
_PATIENCE = (2 * HOUR, 6 * HOUR, 24 * HOUR)


class Asked(t.NamedTuple):
    """Who asked for an action, and what it saw."""

    by: str
    why: str


class Candidate:
    """A policy for one simulation, of which it sees what it would of a real pool: its members and their readings.

    :param policy: the scaling policy.
    :param cycle: seconds between two decisions; None for one at each step of the simulation.
    :ivar said: what became of each step: a reason that held growth, or one of the words of this file.
    :ivar asked: by the time of a change of the size, who asked for it.
    """

    def __init__(self, policy: Policy, cycle: float | None = None) -> None:
        self._policy, self._cycle = policy, cycle or 0.0
        self._decided = -math.inf
        self._readings = Readings()
        self._newest: list[Document] | None = None
        self._following = 1
        self._added = 0
        self._pool: Pool | None = None
        self._history = History()
        self._finished: list[Action] = []
        self._seen: Document | None = None
        self._metrics = {one.metric for one in (*policy.desires, *policy.guards)}
        self.said: list[str] = []
        self.asked: dict[float, Asked] = {}

    def __call__(self, now: float, readings: list[Document], pool: Document, history: list[Document]) -> int | None:
        """Return the desired number of members; None where nothing is to change."""
        self._collect(readings, pool["desired"])
        if now < self._decided + self._cycle - _TICK:
            self.said.append(RUNNING if pool["running"] else WAITS)
            return None
        self._decided = now
        if pool["running"]:
            # It holds everything (A4), whoever asks.
            self.said.append(RUNNING)
            return None
        # The simulation makes a document of its pool only when something has changed; so does the history.
        if pool is not self._seen or self._pool is None:
            self._seen, self._pool, self._history = pool, _pool_of(pool), self._remember(now, history)
        _look, voices, choice = look_at(self._policy, self._readings, self._pool, self._history, now)
        self.said.append(_word(choice, voices))
        if choice.outcome != SCALE:
            return None
        winner = choice.winner
        self.asked[now] = Asked(winner.title, winner.why) if winner else Asked("", "")
        return choice.after

    def _remember(self, now: float, history: list[Document]) -> History:
        """Return the last actions; those that have finished are read once.

        No rule looks back further than an hour, to the last success in each direction, and to the action before these.
        """
        while len(self._finished) < len(history) and history[len(self._finished)]["finished"] is not None:
            self._finished.append(read(history[len(self._finished)]))
        start, unseen = len(self._finished), {UP, DOWN}
        while start and (unseen or now - (self._finished[start].finished or 0.0) <= HOUR):
            start -= 1
            if self._finished[start].outcome == SUCCEEDED:
                unseen.discard(self._finished[start].direction)
        return History([*self._finished[max(0, start - 1) :], *history[len(self._finished) :]])

    def _collect(self, readings: list[Document], desired: int) -> None:
        """Keep what was measured: all members serve the same load, so that one series is enough for them."""
        while self._following > max(desired, 1):
            self._readings.unfollow(f"member{self._following}")
            self._following -= 1
        if not readings or readings is self._newest:
            return
        self._newest = readings
        first = readings[0]
        values = first["values"]
        self._readings.put(_LEADER, first["at"], {name: values[name] for name in self._metrics if name in values})
        for reading in readings[self._following : desired]:
            self._following += 1
            self._readings.follow(reading["instance"], _LEADER)
        self._added += 1
        if self._added % _KEPT == 0:
            self._readings.forget(first["at"] - self._policy.horizon)


def _pool_of(document: Document) -> Pool:
    """Return the pool of a simulation: its document is sound, and nothing of it runs when a decision is due."""
    return Pool(document["desired"], tuple(Member(**one) for one in document["members"]))


def _word(choice: Choice, voices: list[Voice]) -> str:
    if choice.direction == UP and choice.outcome == SCALE:
        return GROWS
    if choice.direction == UP and choice.outcome == HOLD:
        return choice.reasons[0].code
    return UNPROVEN if any(voice.asks == UNPROVEN for voice in voices) else CALM


def doubling(make: t.Callable[[int, int], Decider], size: int, setup: Setup, interval: float) -> float | None:
    """Return how long a pool takes from twice its load to twice its members.

    The pool is idle, then the load comes that twice its members can just carry.

    :param make: makes a policy from its minimum and its maximum.
    :param size: members before.
    :param setup: the members; its bounds do not count.
    :param interval: seconds between two samples.
    :returns: seconds until the last of them serves; None if that takes more than a day.
    """
    setup = dataclasses.replace(setup, minimum=size, maximum=2 * size, initial=size)
    before = math.ceil(_QUIET / interval)
    for patience in _PATIENCE:
        demand = (0.0,) * before + (2 * size * setup.capacity,) * math.ceil(patience / interval)
        run = simulate(Trace(START, interval, demand), make(size, 2 * size), setup)
        for number, serving in enumerate(run.supply):
            if serving >= 2 * size:
                return max(0.0, number * run.step - before * interval)
    return None
