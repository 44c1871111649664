# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Judges, from one look at a service, whether it is ready, may still become so, or never will."""

from __future__ import annotations

import dataclasses

#: After so many restarts by systemd within one wait, the process is not going to stay.
HOPELESS_RESTARTS = 3

#: So many passes in a row make a service ready; load balancers use the same number.
PASSES = 2


@dataclasses.dataclass(frozen=True)
class Answer:
    """What the health path gave.

    :param status: HTTP status, or 0 when there was no answer.
    :param text: the beginning of the body, or why there was none.
    """

    status: int = 0
    text: str = ""

    @property
    def healthy(self) -> bool:
        """Consul's rule for an HTTP check as well."""
        return 200 <= self.status < 300

    def __str__(self) -> str:
        if not self.status:
            return f"did not answer ({self.text})"
        return f"answered {self.status}" + (f" ({self.text})" if self.text else "")


@dataclasses.dataclass(frozen=True)
class Observation:
    """One look at a unit and at its health path.

    :param active: systemd's ActiveState, such as ``active`` or ``activating``.
    :param enabled: whether it starts with the machine.
    :param restarts: how often systemd has started it again by itself.
    :param result: systemd's Result, such as ``success``, ``exit-code`` or ``signal``.
    :param status: exit status, or number of the signal, of the last main process that ended.
    :param strangers: the users who listen on the port when the unit's own does not.
    :param answer: what the health path gave; None when it was not asked, for the unit has no process.
    """

    active: str = "inactive"
    enabled: bool = False
    restarts: int = 0
    result: str = "success"
    status: int = 0
    strangers: tuple[str, ...] = ()
    answer: Answer | None = None

    @property
    def runs(self) -> bool:
        """Whether it runs or is about to."""
        return self.active in ("active", "activating", "reloading")


@dataclasses.dataclass(frozen=True)
class Readiness:
    """What follows from an observation: the wait is over when one of the two holds."""

    ready: bool
    hopeless: bool
    reason: str


def stays(seen: Observation, path: str, restarts_before: int, seconds: float) -> Readiness:
    """Judge one look at a service that was healthy and is watched. One that ends is not forgiven a restart.

    :param restarts_before: ``restarts`` when the watch began.
    :param seconds: for how long it has been watched.
    """
    judged = judge(seen, path, restarts_before)
    ended = seen.answer is None or seen.restarts > restarts_before
    if judged.ready and not ended:
        return judged
    reason = judged.reason
    if judged.ready or (seen.answer is None and not judged.hopeless):
        clean = seen.result == "success" and not seen.status
        reason = "its process ended" + ("" if clean else f" ({seen.result}, status {seen.status})")
    return Readiness(False, ended, f"{reason}, after it had been healthy for {seconds:.0f} s")


def judge(seen: Observation, path: str, restarts_before: int = 0) -> Readiness:
    """Judge one observation.

    :param path: the health path, for the reason; empty for who has none.
    :param restarts_before: ``restarts`` when the wait began.
    """
    clean = seen.result == "success" and not seen.status
    ended = "its process ended" + ("" if clean else f" ({seen.result}, status {seen.status})")
    if seen.active in ("failed", "inactive"):
        return Readiness(False, True, f"it is not running: {ended}" + (" without an error" if clean else ""))
    if seen.restarts - restarts_before >= HOPELESS_RESTARTS:
        return Readiness(False, True, f"{ended} and did so again after each restart")
    if seen.strangers:
        return Readiness(False, True, f"its port is held by a process of {', '.join(seen.strangers)}")
    if seen.active != "active" or seen.answer is None:
        return Readiness(False, False, ended if seen.restarts > restarts_before else f"it is {seen.active}")
    if not seen.answer.healthy:
        # Who has no health path says by itself what is missing.
        return Readiness(False, False, f"{path} {seen.answer}" if path else seen.answer.text)
    return Readiness(True, False, "")
