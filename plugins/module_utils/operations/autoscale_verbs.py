# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the command line of ``autoscale.yml`` asks for: a cycle, or the brake of one pool or of all (A2); pure."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, all_of
from ansible_collections.scaleout.platform.plugins.module_utils.platform import Platform, truth
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.journal import EVERYONE, parse_duration

CYCLE, PAUSE, RESUME = "cycle", "pause", "resume"


@dataclasses.dataclass(frozen=True)
class Verb:
    """What is asked.

    :param application: as it was given; empty for all pools.
    :param group: the pool's, or that of all pools.
    :param duration: of a pause, as it was given.
    """

    name: str
    application: str = ""
    group: str = EVERYONE
    duration: str = ""
    why: str = ""


def read(platform: Platform, given: t.Mapping[str, t.Any]) -> Verb:
    """Read the variables of the command line.

    :param given: ``pause`` and ``why``, or ``resume``, and ``application``; or none of them, for a cycle.
    :raises ScaleoutError: all that is wrong with them.
    """
    faults: list[InvalidInput] = []
    application = str(given.get("application") or "")
    group = EVERYONE
    if application:
        group = platform.pool_names.get(application, "")
        if not group:
            names = " or ".join(sorted(platform.applications)) or "none"
            faults.append(InvalidInput("application", application, f"is not an application; there is {names}"))
    pauses, resumes = given.get("pause") is not None, _flag("resume", given.get("resume"), faults)
    why = str(given.get("why") or "").strip()
    if "count" in given or "leave" in given:
        faults.append(InvalidInput("count", given.get("count"), "is no business of autoscale.yml; use scale.yml"))
    if pauses and resumes:
        faults.append(InvalidInput("resume", given["resume"], "is given beside pause; use one of the two"))
    if pauses:
        try:
            parse_duration(given["pause"], "pause")
        except InvalidInput as error:
            faults.append(error)
        if not why:
            faults.append(InvalidInput("why", given.get("why"), "is no reason, and a pause needs one: -e \"why='…'\""))
    elif why:
        faults.append(InvalidInput("why", why, "is the reason of a pause, and there is no pause: -e pause=2h"))
    if faults:
        raise all_of(faults)
    name = PAUSE if pauses else RESUME if resumes else CYCLE
    return Verb(name, application, group, str(given.get("pause") or ""), why)


def told(verb: Verb, journal: t.Mapping[str, t.Any], now: float) -> str:
    """Return what a pool, or all of them, are now, for a person.

    :param journal: what the module ``scaling_journal`` returned.
    """
    what = "all pools" if verb.group == EVERYONE else verb.group
    paused = journal.get("paused")
    if not paused:
        return f"{what}: not paused"
    by = f" by {paused['by']}" if paused.get("by") else ""
    return f"{what}: paused for another {paused['until'] - now:.0f} s{by}: {paused['why']}"


def _flag(name: str, value: t.Any, faults: list[InvalidInput]) -> bool:
    found = False if value in (None, "") else truth(value)
    if found is None:
        faults.append(InvalidInput(name, value, "is not true or false"))
    return found is True
