# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What became of those that were to join and to leave, and what there is to tell a person; pure."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.members.health import DEAD, FAILING, SERVING
from ansible_collections.scaleout.platform.plugins.module_utils.members.record import natural

STATIC = "static"
_WHY = {DEAD: "its Consul agent is gone", FAILING: "its health check does not pass"}


@dataclasses.dataclass(frozen=True)
class Leaver:
    """A host that leaves a pool.

    :param needed: whether another group or application of the inventory still needs it.
    :param clean: whether nothing of what it did for the pool is left on it.
    """

    name: str
    provider: str
    needed: bool = False
    clean: bool = False


@dataclasses.dataclass(frozen=True)
class Departure:
    """What happens to them, by their names.

    :param lost: taken out of Consul's catalog now, since they cannot do it themselves.
    :param released: given back to their provider.
    :param forgotten: by Consul, once they are gone.
    :param left: recorded as gone.
    """

    lost: tuple[str, ...] = ()
    released: tuple[str, ...] = ()
    forgotten: tuple[str, ...] = ()
    left: tuple[str, ...] = ()


def depart(leavers: t.Iterable[Leaver]) -> Departure:
    """Say what happens to each host that leaves.

    A container goes, however it is; a VM that stays is only handed back clean. A host that something else needs keeps
    its agent and stays where it is.
    """
    all_of_them = list(leavers)
    gone = [one for one in all_of_them if not one.needed and (one.clean or one.provider != STATIC)]
    return Departure(
        lost=tuple(one.name for one in all_of_them if not one.needed and not one.clean),
        released=tuple(one.name for one in gone),
        forgotten=tuple(one.name for one in gone),
        left=tuple(one.name for one in all_of_them if one in gone or (one.needed and one.clean)),
    )


def tell(
    group: str,
    health: t.Mapping[str, str],
    joining: t.Collection[str],
    joined: t.Collection[str],
    leaving: t.Collection[str],
    left: t.Collection[str],
    notes: t.Sequence[t.Mapping[str, t.Any]] = (),
    returned: t.Collection[str] = (),
) -> tuple[list[str], list[str]]:
    """Return what a run came to, and what of it is not as it was asked.

    :param health: of each member of the record, and of those that joined or are still to join or to leave.
    :param joining: those that were to join; ``joined``, those of them that are recorded as members now.
    :param leaving: those that were to leave; ``left``, those of them that are gone.
    :param notes: the run's ledger; a failure of a host that has a sentence here is its reason.
    :param returned: those of ``joining`` that were to leave again because they did not serve.
    """
    serving = _sorted(name for name, how in health.items() if how == SERVING and name not in leaving)
    lines = [
        f"serving: {', '.join(serving) or 'none'}",
        f"joined:  {', '.join(_sorted(joined)) or 'none'}",
        f"left:    {', '.join(_sorted(left)) or 'none'}",
    ]
    reasons = {str(note["host"]): str(note.get("reason") or "") for note in notes if note["kind"] == "failed"}
    troubles = [
        f"{name} did not come to serve and leaves again{_because(reasons.get(name))}" for name in _sorted(returned)
    ]
    pending = set(joining) - set(joined) - set(returned)
    troubles += [
        f"{name} does not serve and is tried again by the next run{_because(reasons.get(name))}"
        for name in _sorted(pending)
    ]
    troubles += [
        f"{name} could not be cleaned and stays recorded as leaving{_because(reasons.get(name))}; the next run tries "
        f"again, and forget.yml -e host={name} writes it off"
        for name in _sorted(set(leaving) - set(left) - set(returned))
    ]
    troubles += [
        f"{name} is a member of {group} and does not serve: {_WHY[how]}; -e leave={name} takes it out"
        for name, how in sorted(health.items(), key=lambda item: natural(item[0]))
        if how != SERVING and name not in pending and name not in leaving
    ]
    troubles += [
        f"{host}: {reason or 'see above'}"
        for host, reason in reasons.items()
        if host not in joining and host not in leaving and host not in returned
    ]
    return lines, troubles


def _because(reason: str | None) -> str:
    return f" ({reason.rstrip('.')})" if reason else ""


def _sorted(names: t.Iterable[str]) -> list[str]:
    return sorted(names, key=natural)
