# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Gives one service of this host another configuration, or leaves it with the one that it was proven with.

``transaction.py`` has the order of the steps and why it is that; ``journal.py`` writes them down; a driver knows the
service. Whatever kills this process, at whatever step, the next call finishes what it began.
"""

from __future__ import annotations

import dataclasses
import os
import time
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils import journal as files_of
from ansible_collections.scaleout.platform.plugins.module_utils.errors import Refused
from ansible_collections.scaleout.platform.plugins.module_utils.plan import Plan
from ansible_collections.scaleout.platform.plugins.module_utils.services.drivers.unit import Driver, UnitState
from ansible_collections.scaleout.platform.plugins.module_utils.transaction import (
    NONE,
    REFUSED,
    RELOAD,
    RESTART,
    Due,
    File,
    Found,
    due,
    harder,
)

#: So many good looks in a row prove a service.
PASSES = 2
#: Seconds between two looks, at first and at the end.
_FIRST_PAUSE = 0.1
_LAST_PAUSE = 1.0


class Clock(t.Protocol):
    """What waits; the module ``time`` is one."""

    def monotonic(self) -> float:
        """Seconds from some point on."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


@dataclasses.dataclass(frozen=True)
class Look:
    """What there is to do.

    :param serving: whether the service runs, so that others may miss it during an activation.
    """

    due: Due
    level: str
    serving: bool
    unfinished: bool
    found: t.Mapping[str, Found]


class Configuration:
    """One service's configuration on this host.

    :param files: as they are wanted, with the digest in place.
    :param driver: knows the service.
    :param journal: of this service.
    :param timeout: seconds within which the service has to be proven.
    :param on_step: is told each step before it is taken.
    """

    def __init__(
        self,
        files: t.Sequence[File],
        driver: Driver,
        journal: files_of.Journal,
        timeout: float,
        clock: Clock = time,
        on_step: t.Callable[[str], None] = lambda _step: None,
    ) -> None:
        self._files = tuple(files)
        self._driver = driver
        self._journal = journal
        self._timeout = timeout
        self._clock = clock
        self._on_step = on_step

    # Looking

    def look(self) -> Look:
        """See what there is to do, and change nothing."""
        found = {file.path: files_of.read(file.path) for file in self._files}
        units = self._driver.look()
        step = self._journal.step()
        judged = due(self._files, found, self._journal.in_force(), step is not None, stale=_stale(self._files, units))
        reasons, levels = list(judged.reasons), [judged.level]
        for unit in units:
            if not unit.active:
                reasons.append(f"{unit.name} is not running")
                levels.append(RESTART if not unit.known else RELOAD)
            elif not unit.enabled:
                reasons.append(f"{unit.name} does not start with the host")
        if not reasons:
            drift = self._driver.drift()
            if drift != NONE:
                reasons.append("the running service has other settings than its files")
                levels.append(drift)
        serving = any(unit.active for unit in units)
        return Look(
            dataclasses.replace(judged, reasons=tuple(reasons)), harder(*levels), serving, step is not None, found
        )

    def plan(self) -> Plan:
        """Plan what :meth:`apply` carries out."""
        look = self.look()
        shown = [file for file in look.due.differing if not file.secret]
        before = {file.path: look.found[file.path].content for file in shown}
        after = {file.path: file.content for file in shown}
        for file in look.due.differing:
            if file.secret:
                before[file.path] = "holds secrets" if look.found[file.path].content is not None else None
                after[file.path] = None if file.content is None else f"holds secrets, {file.fingerprint}"
        return Plan(
            before,
            after,
            actions=(look,) if look.due.reasons else (),
            result={
                "pending": list(look.due.reasons),
                "level": look.level,
                "serving": look.serving,
                "code": "",
            },
        )

    def plan_absence(self) -> Plan:
        """Plan what :meth:`remove` carries out."""
        found = [files_of.read(file.path) for file in self._files]
        left = [each.path for each in found if each.content is not None]
        units = [unit.name for unit in self._driver.look() if unit.active]
        reasons = [f"{unit} runs" for unit in units] + [f"{path} is there" for path in left]
        return Plan(
            dict.fromkeys(left, "present"),
            {},
            actions=tuple(reasons),
            result={"pending": reasons, "level": NONE, "serving": bool(units), "code": ""},
        )

    # Changing

    def remove(self) -> dict[str, t.Any]:
        """Stop the service and remove its files.

        :raises Refused: ``not_stopped``: its units do not stop; nothing was removed.
        """
        with self._journal.lock():
            reason = self._driver.absent()
            if reason:
                raise Refused(f"{self._driver.name} does not stop: {reason}.", code="not_stopped", reason=reason)
            for file in self._files:
                files_of.exchange(dataclasses.replace(file, content=None))
        self._journal.forget()
        return {}

    def apply(self) -> dict[str, t.Any]:
        """Carry the transaction out.

        :return: values for the result.
        :raises Refused: ``invalid_configuration`` and ``not_healthy``: what was in force before is in force;
            ``needed``: the service's group cannot be without it now, nothing was changed.
        """
        with self._journal.lock():
            look = self.look()
            if not look.due.reasons:
                return {}
            if self._journal.step() == REFUSED:
                # A run was killed while it put the proven files back.
                self._put_back(RESTART)
                look = self.look()
            self._exchange(look)
            self._prove(look)
            return {}

    def _exchange(self, look: Look) -> None:
        differing = look.due.differing
        self._on_step("stage")
        staged: dict[str, str] = {}
        try:
            for file in differing:
                if file.content is not None:
                    staged[file.path] = files_of.stage(file)
            self._on_step("validate")
            reason = self._driver.validate(staged)
            if reason:
                self._refuse_invalid(look, reason)
            if look.level != NONE and look.serving:
                self._on_step("guard")
                reason = self._driver.guard()
                if reason:
                    raise Refused(f"{self._driver.name} must not stop now: {reason}.", code="needed")
            self._on_step("keep")
            if differing:
                self._journal.begin([file.path for file in differing])
            self._on_step("prepare")
            reason = self._driver.prepare(look.level) if look.level != NONE else ""
            if reason:
                if not look.unfinished:
                    self._journal.close(None)
                raise Refused(
                    f"{self._driver.name} keeps its configuration: {reason}.", code="not_prepared", reason=reason
                )
            self._on_step("exchange")
            for file in differing:
                files_of.exchange(file)
        finally:
            files_of.unstage(differing)

    def _refuse_invalid(self, look: Look, reason: str) -> None:
        """What the service itself refuses never takes its place; what a killed run left unproven goes as well."""
        outcome = "the one in force stays"
        if look.unfinished:
            self._put_back(RESTART)
            outcome = "the one that an interrupted run had replaced is back"
        raise Refused(
            f"{self._driver.name} refuses its new configuration, {outcome}: {reason}",
            code="invalid_configuration",
            reason=reason,
        )

    def _prove(self, look: Look) -> None:
        self._on_step("activate")
        trouble = ""
        if look.level != NONE or not look.serving:
            trouble = self._driver.activate(look.level)
        elif any(not unit.enabled for unit in self._driver.look()):
            trouble = self._driver.activate(RELOAD)
        self._on_step("probe")
        began = self._clock.monotonic()
        ailments = self._wait() if look.due.reasons else []
        waited = self._clock.monotonic() - began
        if not ailments:
            self._on_step("close")
            self._driver.proven()
            self._journal.close({file.path: file.fingerprint for file in self._files})
            return
        reasons = "; ".join(ailments)
        words = self._driver.last_words() or trouble
        outcome = "Its files had not changed."
        if self._journal.step() is not None:
            self._on_step("refuse")
            self._journal.refuse()
            self._on_step("restore")
            outcome = self._put_back(look.level)
        raise Refused(
            f"{self._driver.name} is not healthy with its configuration after {waited:.0f} s: {reasons}. "
            f"{outcome} Its log: {words or 'no cause found'}",
            code="not_healthy",
            reason=reasons,
            log=words,
        )

    def _put_back(self, level: str) -> str:
        """Put the proven files back and have the service run with them; return a sentence that says how that went."""
        there_was = self._journal.restore()
        self._driver.restored()
        if not there_was:
            # A reload of nothing: the service is left as its package made it.
            self._driver.activate(RESTART)
            self._journal.close(None)
            return "There is no earlier one."
        # A reload that broke off half way leaves a mixture.
        self._driver.activate(level if level != NONE else RELOAD)
        ailments = self._wait()
        self._journal.close(None)
        if ailments:
            return f"The earlier configuration is back and not healthy either ({'; '.join(ailments)})."
        return "The earlier configuration is back."

    def _wait(self) -> list[str]:
        """Look until the service is healthy :data:`PASSES` times in a row, has given up, or the time is over."""
        end, pause, passes = self._clock.monotonic() + self._timeout, _FIRST_PAUSE, 0
        while True:
            ailments = self._driver.ailments()
            passes = 0 if ailments else passes + 1
            if passes >= PASSES:
                return []
            if self._clock.monotonic() >= end or (ailments and self._driver.hopeless()):
                return ailments
            self._clock.sleep(pause)
            pause = min(pause * 1.5, _LAST_PAUSE)


def _stale(files: t.Sequence[File], units: t.Sequence[UnitState]) -> list[str]:
    """Name the files that changed after the service read them, as far as times tell."""
    found = []
    for file in files:
        try:
            changed = os.lstat(file.path).st_mtime
        except OSError:
            continue
        if any(unit.active and changed > (unit.since if file.needs == RESTART else unit.read) for unit in units):
            found.append(file.path)
    return found
