# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is remembered of a pool between two runs: its pause, the action that runs, past actions and alerts; pure.

It is one JSON document. What cannot be understood of it is of one of two kinds. A document that is none of ours is
refused. An entry that cannot be is kept as it is and named, so that the decision holds (A7) until someone repairs it.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils import moments
from ansible_collections.scaleout.platform.plugins.module_utils.consul import strict
from ansible_collections.scaleout.platform.plugins.module_utils.errors import (
    InvalidInput,
    Refused,
    ScaleoutError,
    told,
)
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.history import FAILED, Action, History, fault
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.history import InvalidAction as Invalid
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.history import read as read_action
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.pool import Pause

VERSION = 1
#: The folder of Consul's KV that holds a journal for each pool.
PREFIX = "scaleout/scaling"
#: In place of a group: what holds for all pools, which is only a pause.
EVERYONE = "_all"

#: So many past actions are kept, and none that finished so many seconds ago.
MOST = 200
LONGEST = 8 * 86400.0
#: A pause is no longer than this.
LONGEST_PAUSE = 30 * 86400.0
#: How long a manual change of the size pauses its pool (A2).
MANUAL_PAUSE = 900.0
#: What became of an action whose run ended without a word about it.
BROKE_OFF = "broke off"

#: All past actions in bytes; older ones make room. A key of Consul holds twice as much, with the alerts.
LARGEST = 256 * 1024
#: A reason, and who gave it, are cut after so many characters.
LONGEST_TEXT = 400
#: What cannot be may be anything; so much of it is told.
_LONGEST_FAULT = 300
_FIELDS = {"version", "group", "paused", "running", "history", "alerts"}
_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)\s*([smhd]?)")
_HISTORY, _RUNNING, _PAUSED = "history", "running", "paused"


class InvalidJournal(ScaleoutError):
    """A document that is no journal; the message is a sentence without its key."""

    CODE = "invalid_journal"


class ActionRuns(Refused):
    """Another action of the pool has not been finished."""

    CODE = "action_runs"


class Broken(t.NamedTuple):
    """A part of a journal that cannot be.

    :param place: which field it is in.
    :param value: as it was found, and as it is written back.
    :param text: what is wrong with it, a sentence.
    """

    place: str
    value: t.Any
    text: str


@dataclasses.dataclass(frozen=True)
class Started:
    """An action that runs, and the run that carries it out."""

    action: Action
    run: str

    def document(self) -> dict[str, t.Any]:
        """Return it as the journal writes it."""
        return {**self.action.document(), "run": self.run}


@dataclasses.dataclass(frozen=True)
class Alert:
    """An alert that has not cleared, by its key in the journal.

    :param since: when it was first seen, in seconds since the epoch.
    :param sent: when it was sent; None where that failed.
    """

    since: float
    sent: float | None = None


@dataclasses.dataclass(frozen=True)
class Journal:
    """The journal of one pool, or of all pools: then it has a pause and nothing else.

    :param actions: those that have finished, oldest first.
    :param broken: what cannot be.
    """

    group: str
    pause: Pause | None = None
    running: Started | None = None
    actions: tuple[Action, ...] = ()
    alerts: t.Mapping[str, Alert] = dataclasses.field(default_factory=dict)
    broken: tuple[Broken, ...] = ()

    @property
    def faults(self) -> list[str]:
        """What cannot be, a sentence each; as long as there is one, the decision holds (A7)."""
        return [one.text for one in self.broken]

    @property
    def sent(self) -> list[str]:
        """The keys of the alerts that were sent and have not cleared."""
        return sorted(key for key, alert in self.alerts.items() if alert.sent is not None)

    def past(self) -> list[t.Any]:
        """Return what a decision takes as the history: the actions, the one that runs, and what cannot be."""
        running = [self.running.action.document()] if self.running else []
        return [*(fault(text) for text in self.faults), *(one.document() for one in self.actions), *running]

    def paused_at(self, now: float, everyone: Journal | None = None) -> Pause | None:
        """Return the pause that is in force, the pool's own or that of all pools, whichever ends later; None without.

        :param now: seconds since the epoch.
        :param everyone: the journal of all pools.
        """
        pauses = [self.pause, everyone.pause if everyone else None]
        return max((one for one in pauses if one and one.until > now), key=lambda one: one.until, default=None)

    def paused(self, until: float, why: str, by: str, now: float, keep_longer: bool = False) -> Journal:
        """Return the journal with a pause, in place of one that it has.

        :param keep_longer: leave a pause that ends later as it is, and one that cannot be read.
        """
        unreadable = any(one.place == _PAUSED for one in self.broken)
        if keep_longer and (unreadable or (self.pause and self.pause.until >= until)):
            return self
        return self._without(_PAUSED, pause=Pause(until, line(why), line(by), now))

    def resumed(self) -> Journal:
        """Return the journal without a pause."""
        return self._without(_PAUSED, pause=None)

    def begun(self, action: Action, run: str, now: float) -> Journal:
        """Return the journal with an action that begins now. The same of the same run is not begun twice.

        :raises ActionRuns: another one runs, or one that cannot be read.
        """
        by, why = line(action.by), line(action.why)
        started = dataclasses.replace(action, by=by, why=why, started=now, finished=None, outcome=None)
        found = self.running
        if found and found.run == run and dataclasses.replace(found.action, started=now) == started:
            return self
        if found or any(one.place == _RUNNING for one in self.broken):
            what = f"The action {_of_run(found)}" if found else "One that cannot be read"
            raise ActionRuns(f"{what} has not been finished, so {self.group} begins no other action.")
        return dataclasses.replace(self, running=Started(started, run))

    def finished(self, outcome: str, now: float, why: str = "", run: str = "") -> Journal:
        """Return the journal in which the action that runs has its outcome; unchanged where none runs.

        :param run: the run that says so; empty for one that found the action.
        :raises ActionRuns: the action is another run's.
        :raises InvalidAction: there is no such outcome.
        """
        if self.running is None:
            return self
        if run and self.running.run != run:
            raise ActionRuns(f"An action is {_of_run(self.running)}; {run} cannot finish it.")
        action = self.running.action
        # The clocks of two hosts may differ by a little.
        why = line("; ".join(text for text in (action.why, why.strip()) if text))
        ended = dataclasses.replace(action, finished=max(now, action.started), outcome=outcome, why=why)
        kept = [one for one in self.actions if now - (one.finished or now) < LONGEST]
        kept = [*kept, ended][-MOST:]
        while len(kept) > 1 and len(strict.render([one.document() for one in kept])) > LARGEST:
            kept = kept[1 + len(kept) // 8 :]
        return dataclasses.replace(self, running=None, actions=tuple(kept))

    def broken_off(self, run: str, now: float) -> Journal:
        """Return the journal in which an action of another run has failed.

        Who holds the lease knows that no other run works, so what another one began has ended without an outcome.
        """
        if self.running is None or self.running.run == run:
            return self
        return self.finished(FAILED, now, BROKE_OFF)

    def alerted(self, keys: t.Iterable[str], now: float, unsent: t.Collection[str] = ()) -> Journal:
        """Return the journal with these alerts, and without those that have cleared.

        :param unsent: those of them that could not be sent now.
        """
        alerts = {}
        for key in sorted(set(keys)):
            known = self.alerts.get(key, Alert(now))
            sent = now if known.sent is None and key not in unsent else known.sent
            alerts[key] = Alert(known.since, sent)
        return dataclasses.replace(self, alerts=alerts)

    def repaired(self, now: float) -> Journal:
        """Return the journal without what keeps it from being believed: what cannot be, and what is yet to come."""
        past = tuple(one for one in self.actions if not History([one]).future(now))
        return dataclasses.replace(self, actions=past, broken=())

    def document(self) -> dict[str, t.Any]:
        """Return the journal as the document under its key; what cannot be is in it as it was found."""
        kept = {place: [one.value for one in self.broken if one.place == place] for place in _FIELDS}
        return {
            "version": VERSION,
            "group": self.group,
            "paused": dataclasses.asdict(self.pause) if self.pause else next(iter(kept[_PAUSED]), None),
            "running": self.running.document() if self.running else next(iter(kept[_RUNNING]), None),
            "history": [*kept[_HISTORY], *(one.document() for one in self.actions)],
            "alerts": {key: dataclasses.asdict(alert) for key, alert in self.alerts.items()},
        }

    def text(self) -> str:
        """Return the journal as a person reads it; ``--diff`` shows this."""
        lines = [f"cannot be: {text}" for text in self.faults]
        if self.pause:
            lines.append(f"paused until {moments.shown(self.pause.until)}: {self.pause.why}")
        for one in self.actions:
            lines.append(
                f"{moments.shown(one.started)} {_step(one)}: {one.outcome}; {one.by or 'by no one'}; {one.why}"
            )
        if self.running:
            lines.append(f"{moments.shown(self.running.action.started)} {_step(self.running.action)}: runs")
        lines += [f"alert {key}{'' if alert.sent else ', not sent'}" for key, alert in self.alerts.items()]
        return "".join(f"{self.group}: {line}\n" for line in lines)

    def _without(self, place: str, **changes: t.Any) -> Journal:
        """Return the journal with changes that take the place of what cannot be."""
        return dataclasses.replace(self, broken=tuple(one for one in self.broken if one.place != place), **changes)


def decode(value: bytes | str, group: str) -> Journal:
    """Read the journal of a group from its JSON text.

    :raises InvalidJournal: the text is not JSON, or :func:`read` refuses what it holds.
    """
    try:
        document = strict.parse(value)
    except strict.NotJson as error:
        raise InvalidJournal(error.message) from None
    return read(document, group)


def read(document: t.Any, group: str) -> Journal:
    """Read the journal of a group from its document.

    :raises InvalidJournal: it is of another version or group, or has other fields: it must not be written over.
    """
    if not isinstance(document, dict):
        raise InvalidJournal("It is not an object.")
    if document.get("version") != VERSION or isinstance(document["version"], bool):
        raise InvalidJournal(f"Its version is {told(document.get('version'))}, and {VERSION} is the one known here.")
    lacking, unknown = sorted(_FIELDS - set(document)), sorted(set(document) - _FIELDS)
    if lacking:
        raise InvalidJournal(f"It lacks the field {lacking[0]}.")
    if unknown:
        raise InvalidJournal(f"It has a field that is not known here: {told(unknown[0])}.")
    if document["group"] != group:
        raise InvalidJournal(f"It is of the group {told(document['group'])}, not of {group}.")
    if not isinstance(document["history"], list) or not isinstance(document["alerts"], dict):
        raise InvalidJournal("Its history is not a list, or its alerts are not an object.")
    broken: list[Broken] = []
    pause = _kept(_PAUSED, document["paused"], "The pause", _read_pause, broken)
    running = _kept(_RUNNING, document["running"], "The action that runs", _read_started, broken)
    past = [
        _kept(_HISTORY, entry, f"Entry {place} of the history", _read_past, broken)
        for place, entry in enumerate(document["history"], 1)
    ]
    actions = sorted((one for one in past if one), key=lambda one: one.finished or 0.0)
    alerts = {key: alert for key, alert in ((key, _alert(value)) for key, value in document["alerts"].items()) if alert}
    return Journal(group, pause, running, tuple(actions), alerts, tuple(broken))


def line(text: str) -> str:
    """Return a text in one line that can be written and shown anywhere, and no longer than a person reads."""
    shown = "".join(one if one.isprintable() else "?" for one in " ".join(text.split()))
    return shown if len(shown) <= LONGEST_TEXT else f"{shown[:LONGEST_TEXT]}..."


def parse_duration(value: t.Any, option: str = "duration") -> float:
    """Return how many seconds a text or a number says: ``2h``, ``30m``, ``90s``, ``1d``, or plain seconds.

    :raises InvalidInput: it says something else, nothing, or more than 30 days.
    """
    found = None
    if not isinstance(value, bool) and isinstance(value, (int, float, str)):
        found = _DURATION.fullmatch(str(value).strip())
    if found is None:
        negative = (isinstance(value, (int, float)) and value < 0) or str(value).strip().startswith("-")
        reason = "is negative" if negative else "is not a time such as 2h, 30m, 90s, 1d, or a number of seconds"
        raise InvalidInput(option, value, reason)
    seconds = float(found[1]) * _UNITS[found[2]]
    if seconds == 0:
        raise InvalidInput(option, value, "is no time at all")
    if seconds > LONGEST_PAUSE:
        raise InvalidInput(option, value, f"is longer than {LONGEST_PAUSE / 86400:.0f} days")
    return seconds


Part = t.TypeVar("Part")


def _kept(place: str, value: t.Any, name: str, reader: t.Callable[[t.Any], Part], broken: list[Broken]) -> Part | None:
    """Read a part; one that cannot be is added to the broken ones. No value is no part, except in the history."""
    if value is None and place != _HISTORY:
        return None
    try:
        return reader(value)
    except Invalid as error:
        broken.append(Broken(place, value, f"{name} cannot be. {error.message}"[:_LONGEST_FAULT]))
        return None


def _read_past(value: t.Any) -> Action:
    action = read_action(value)
    if action.finished is None:
        raise Invalid("It has not finished, and is not the action that runs.")
    return action


def _read_started(value: t.Any) -> Started:
    if not isinstance(value, dict):
        raise Invalid(f"{told(value)} is not an object.")
    run = value.get("run")
    if not isinstance(run, str) or not run:
        raise Invalid("It does not say which run it is of.")
    action = read_action({name: one for name, one in value.items() if name != "run"})
    if action.finished is not None:
        raise Invalid("It has finished.")
    return Started(action, run)


def _read_pause(value: t.Any) -> Pause:
    if not isinstance(value, dict) or set(value) != {"until", "why", "by", "since"}:
        raise Invalid("It does not have until, why, by and since, and nothing else.")
    if not moments.is_time(value["until"]) or not moments.is_time(value["since"]):
        raise Invalid("Its until or its since is no time in seconds since 1970.")
    if not isinstance(value["why"], str) or not value["why"].strip() or not isinstance(value["by"], str):
        raise Invalid("Its why or its by is not a text.")
    return Pause(**value)


def _alert(value: t.Any) -> Alert | None:
    """Read an alert; None for one that cannot be. It is sent again then, which does no harm."""
    if not isinstance(value, dict) or set(value) != {"since", "sent"} or not moments.is_time(value["since"]):
        return None
    return Alert(**value) if value["sent"] is None or moments.is_time(value["sent"]) else None


def _step(action: Action) -> str:
    return f"{action.direction} from {action.before} to {action.after}"


def _of_run(started: Started) -> str:
    return f"{_step(started.action)} of the run {line(started.run)}"
