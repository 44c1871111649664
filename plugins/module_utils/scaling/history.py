# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What was done to a pool before: its actions, read strictly (A7), and their clocks (W2, A1, A4); pure."""

from __future__ import annotations

import dataclasses
import math
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils import moments
from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError, told
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.measures import AHEAD, DOWN, UP

SUCCEEDED, FAILED, CALLED_OFF = "succeeded", "failed", "called_off"
OUTCOMES = (SUCCEEDED, FAILED, CALLED_OFF)

#: More changes of direction than this within an hour are flapping (A1).
CHANGES = 4
HOUR = 3600.0
#: The first wait after a failed growth; each further failure doubles it (A4).
FIRST_WAIT = 30.0
#: So many failed growths in a row are an alert.
IN_A_ROW = 3

_REQUIRED = {"direction", "from", "to", "started"}
_OPTIONAL = {"finished", "outcome", "by", "why", "replaced"}
_LARGEST = 100_000
_FAULT = "fault"


class InvalidAction(ScaleoutError):
    """An entry of the history that cannot be; the message is a sentence without its place."""

    CODE = "invalid_history"


@dataclasses.dataclass(frozen=True)
class Action:
    """One change of a pool's size.

    :param before: the desired size when it began, ``from`` in a document.
    :param after: the desired size that it was to have, ``to`` in a document.
    :param started: seconds since the epoch.
    :param finished: None while it runs.
    :param outcome: None while it runs.
    :param by: who asked for it, such as ``rule cpu > 70`` or ``manual``.
    :param replaced: names of dead members that it replaced.
    :raises InvalidAction: whatever does not hold together.
    """

    direction: str
    before: int
    after: int
    started: float
    finished: float | None = None
    outcome: str | None = None
    by: str = ""
    why: str = ""
    replaced: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.direction not in (UP, DOWN):
            raise InvalidAction(f"Its direction is {told(self.direction)}, not up or down.")
        for name, size in (("from", self.before), ("to", self.after)):
            if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size <= _LARGEST:
                raise InvalidAction(f"Its {name} is {told(size)}, which is no size of a pool.")
        if not isinstance(self.replaced, tuple) or not all(isinstance(name, str) for name in self.replaced):
            raise InvalidAction(f"Its replaced is {told(self.replaced)}, not a list of names.")
        if not all(isinstance(text, str) for text in (self.by, self.why)):
            raise InvalidAction("Its by or its why is not a text.")
        self._check_sizes()
        self._check_times()

    def _check_sizes(self) -> None:
        # A growth that only replaces dead members leaves the size as it is.
        fits = self.after < self.before if self.direction == DOWN else self.after > self.before
        if not fits and not (self.direction == UP and self.after == self.before and self.replaced):
            raise InvalidAction(f"It goes {self.direction} from {self.before} to {self.after}.")

    def _check_times(self) -> None:
        for name, time in (("started", self.started), ("finished", self.finished)):
            if time is None and name == "finished":
                continue
            if not moments.is_time(time):
                raise InvalidAction(f"Its {name} is {told(time)}, which is no time in seconds since 1970.")
        if (self.finished is None) != (self.outcome is None):
            raise InvalidAction("It has one of finished and outcome without the other.")
        if self.outcome is not None and self.outcome not in OUTCOMES:
            raise InvalidAction(f"Its outcome is {told(self.outcome)}, not succeeded, failed or called_off.")
        if self.finished is not None and self.finished < self.started:
            raise InvalidAction("It finished before it started.")

    def document(self) -> dict[str, t.Any]:
        """Return the action as the history writes it."""
        return {
            "direction": self.direction,
            "from": self.before,
            "to": self.after,
            "started": self.started,
            "finished": self.finished,
            "outcome": self.outcome,
            "by": self.by,
            "why": self.why,
            "replaced": list(self.replaced),
        }


def read(document: t.Any) -> Action:
    """Read one entry of the history, strictly.

    :raises InvalidAction: it is not understood, or does not hold together.
    """
    if not isinstance(document, dict):
        raise InvalidAction(f"{told(document)} is not a mapping.")
    names = {str(name) for name in document}
    if not names >= _REQUIRED:
        raise InvalidAction(f"It has no {' and no '.join(sorted(_REQUIRED - names))}.")
    unknown = sorted(names - _REQUIRED - _OPTIONAL)
    if unknown:
        raise InvalidAction(f"It has {', '.join(unknown)}, which is not known here.")
    replaced = document.get("replaced") or ()
    return Action(
        document["direction"],
        document["from"],
        document["to"],
        document["started"],
        document.get("finished"),
        document.get("outcome"),
        document.get("by") or "",
        document.get("why") or "",
        tuple(replaced) if isinstance(replaced, (list, tuple)) else replaced,
    )


def fault(text: str) -> dict[str, str]:
    """Return an entry that says what was found wrong before, such as by who keeps the history."""
    return {_FAULT: text}


class History:
    """The actions of a pool in the order of time, and what follows from them.

    :param documents: entries in any order; each may be broken.
    :ivar faults: what is wrong with entries, a sentence each.
    """

    def __init__(self, documents: t.Any = ()) -> None:
        self.faults: list[str] = []
        actions: list[Action] = []
        if not isinstance(documents, (list, tuple)):
            self.faults.append(f"The history is not a list: {told(documents)}.")
            documents = ()
        for place, document in enumerate(documents, 1):
            if isinstance(document, dict) and set(document) == {_FAULT}:
                self.faults.append(str(document[_FAULT]))
                continue
            try:
                actions.append(document if isinstance(document, Action) else read(document))
            except InvalidAction as error:
                self.faults.append(f"Entry {place} of the history cannot be. {error.message}")
        # The same action told twice is one.
        self.actions = sorted(dict.fromkeys(actions), key=lambda one: (one.started, one.finished or math.inf))
        self.running = [one for one in self.actions if one.finished is None]
        ended = [one for one in self.actions if one.finished is not None]
        self._newest = max((one.finished or one.started for one in self.actions), default=-math.inf)
        #: When the last action finished, whatever became of it; then only growths and only successes.
        self.last = _latest(ended)
        self.last_success = _latest(one for one in ended if one.outcome == SUCCEEDED)
        self.last_growth = _latest(one for one in ended if one.outcome == SUCCEEDED and one.direction == UP)
        self.failures, self.last_failure = self._failures(ended)
        self._changes = self._turns(ended)

    def future(self, now: float) -> str | None:
        """Name an entry from the future; None when there is none. Clocks may differ by five seconds."""
        if self._newest <= now + AHEAD:
            return None
        one = next(one for one in self.actions if (one.finished or one.started) > now + AHEAD)
        ahead = (one.finished or one.started) - now
        return (
            f"An action {one.direction} from {one.before} to {one.after} in the history is {ahead:.0f} s in the future."
        )

    def wait(self, cooldown: float) -> float:
        """Return how many seconds after the last failed growth the next one may begin; 0 when it did not fail."""
        if not self.failures:
            return 0.0
        return min(cooldown, FIRST_WAIT * 2.0 ** min(self.failures - 1, 32))

    def broken(self, now: float) -> list[str]:
        """Return what keeps the history from being believed, a sentence each (A7)."""
        future = self.future(now)
        return [*self.faults, *([future] if future else ())]

    def changes(self, now: float) -> list[float]:
        """Return the times of the changes of direction within the last hour."""
        return [at for at in self._changes if now - at < HOUR]

    def flapping(self, now: float) -> str | None:
        """Say that the pool flaps; None when it does not (A1)."""
        # The first of the last five is within the hour, and then all of them are.
        if len(self._changes) <= CHANGES or now - self._changes[-CHANGES - 1] >= HOUR:
            return None
        return f"The direction changed more than {CHANGES} times within an hour."

    def calm_at(self, now: float) -> float:
        """Return when so many changes of direction are older than an hour that they are no flapping."""
        changes = self.changes(now)
        return changes[-CHANGES - 1] + HOUR if len(changes) > CHANGES else -math.inf

    @staticmethod
    def _failures(ended: t.Sequence[Action]) -> tuple[int, float]:
        count, last = 0, -math.inf
        for one in ended:
            if one.direction != UP:
                continue
            failed = one.outcome == FAILED
            count = count + 1 if failed else 0
            last = max(last, one.finished or 0.0) if failed else last
        return count, last

    @staticmethod
    def _turns(ended: t.Sequence[Action]) -> list[float]:
        done = [one for one in ended if one.outcome == SUCCEEDED]
        return sorted(one.finished or 0.0 for before, one in zip(done, done[1:]) if before.direction != one.direction)


def _latest(actions: t.Iterable[Action]) -> float:
    return max((one.finished or 0.0 for one in actions), default=-math.inf)
