# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a run of ``scale.yml`` asks for: which pool, how many members, and who leaves it; pure."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, Refused
from ansible_collections.scaleout.platform.plugins.module_utils.members.plan import check_bounds
from ansible_collections.scaleout.platform.plugins.module_utils.platform import Platform

#: What to do instead, by groups that have members and are no pool.
INSTEAD = {
    "postgres": "add a host with its postgres_cluster to the inventory and run site.yml",
    "cache": "add a host to the group in the inventory, move keys to it in the applications' settings, run site.yml",
    "monitoring": "add a host to the group in the inventory and run site.yml",
    "queue": "add a host to the group in the inventory and run site.yml",
    "loadbalancer": "add a host to the group in the inventory, run site.yml, add its address where clients look it up",
    "consul_server": "add a host to the group in the inventory, so that there are three or five, and run site.yml",
}
_COUNT = re.compile(r"[1-9][0-9]{0,3}")
_EXAMPLE = "-e application=NAME -e count=5, or -e NAME=5"


#: Who asks, beside the rules of a policy: a person, or what an action that broke off has left.
MANUAL, CLEAN_UP = "manual", "clean-up"


@dataclasses.dataclass(frozen=True)
class Asked:
    """A size for a pool.

    :param applications: that run on each of its hosts.
    :param count: None for as many as there are, less those that leave.
    :param leave: names of members.
    :param by: :data:`MANUAL`, :data:`CLEAN_UP`, or the rule that won a decision.
    :param why: what it saw.
    :param replaced: those that leave because they are dead, and others join in their places.
    """

    group: str
    applications: tuple[str, ...]
    count: int | None
    leave: tuple[str, ...] = ()
    by: str = MANUAL
    why: str = ""
    replaced: tuple[str, ...] = ()

    @property
    def is_manual(self) -> bool:
        """Whether a person asks, who may try again; what a decision could not make is taken back at once."""
        return self.by == MANUAL

    @property
    def is_watched(self) -> bool:
        """Whether it is a decision that the load may still change."""
        return self.by not in (MANUAL, CLEAN_UP)

    def document(self) -> dict[str, t.Any]:
        """Return it as one step hands it to the next."""
        return dataclasses.asdict(self)

    def action(self, before: int) -> dict[str, t.Any] | None:
        """Return the action that it is, as the journal writes it; None where no member comes or goes by it.

        :param before: how many members the record asked for.
        """
        after = before - len(self.leave) if self.count is None else self.count
        replaced = self.replaced or (self.leave if after == before else ())
        if self.by == CLEAN_UP or (after == before and not replaced):
            return None
        named = {"from": before, "to": after, "by": self.by, "why": self.why, "replaced": list(replaced)}
        return {"direction": "down" if after < before else "up", **named}


def of(document: t.Mapping[str, t.Any]) -> Asked:
    """Return a request that an earlier step has handed on."""
    several = {name: tuple(document[name]) for name in ("applications", "leave", "replaced")}
    return dataclasses.replace(Asked("", (), None), **{**document, **several})


def read(platform: Platform, given: t.Mapping[str, t.Any]) -> Asked:
    """Read the variables of the command line.

    :param given: ``application``, ``count`` and ``leave``; or, in the place of the first two, the name of an
        application or of its group with the count.
    :raises InvalidInput: they do not say it, or contradict each other.
    :raises Refused: the group is none that grows by a number.
    """
    names = platform.pool_names
    option, name, count = _named(given, names, platform)
    if name not in names:
        raise _other(option, name, names, platform)
    leave = _leave(given.get("leave"))
    group = names[name]
    if count is None and not leave:
        raise InvalidInput("count", None, f"is not set: how many members is {group} to have? For example {_EXAMPLE}")
    number = None if count is None else _number(option if option == name else "count", count)
    if number is not None:
        minimum, maximum = bounds(platform, group)
        check_bounds(group, number, minimum, maximum)
    return Asked(group, platform.pools[group], number, leave)


def bounds(platform: Platform, group: str) -> tuple[int, int | None]:
    """Return the fewest and the most members that the inventory lets a pool have.

    What an application says of its pool counts instead of what is said of the platform's pools. Of several
    applications on the same hosts, the narrowest bounds count.
    """
    host = next(iter([*platform.members(group), *platform.hosts]), "")
    pools = [one.pool for one in platform.applications.values() if one.group == group]
    low = [pool.min for pool in pools if pool.min] or [int(platform.value(host, "scale_minimum") or 1)]
    high = [pool.max for pool in pools if pool.max] or [int(platform.value(host, "scale_maximum") or 0)]
    return max(low), min(high) or None


def _named(given: t.Mapping[str, t.Any], names: t.Mapping[str, str], platform: Platform) -> tuple[str, str, t.Any]:
    """Return the variable that names the pool, the name, and the count."""
    short = [name for name in given if name in names or (name in INSTEAD and name in platform.groups)]
    if "application" in given:
        if short:
            raise InvalidInput(short[0], given[short[0]], "is given beside application; use one of the two forms")
        return "application", str(given["application"]), given.get("count")
    if len(short) > 1:
        raise InvalidInput(short[1], given[short[1]], f"is given beside {short[0]}; scale one pool at a time")
    if short:
        if "count" in given:
            raise InvalidInput("count", given["count"], f"is given beside {short[0]}, which says it already")
        return short[0], short[0], given[short[0]]
    groups = sorted(set(names.values()))
    if len(groups) == 1:
        # Before there were several, the short form of the only pool was its group's name.
        return "application", groups[0], given.get("count")
    raise InvalidInput("application", None, f"is not set; say {_EXAMPLE}, where NAME is {' or '.join(sorted(names))}")


def _other(option: str, name: str, names: t.Mapping[str, str], platform: Platform) -> Exception:
    if name in INSTEAD and name in platform.groups:
        return Refused(
            f"The group {name} does not grow by a number, because its hosts hold data or an address: {INSTEAD[name]}.",
            code="not_scalable",
            group=name,
        )
    return InvalidInput(option, name, f"is not an application; there is {' or '.join(sorted(names))}")


def _number(option: str, value: t.Any) -> int:
    if isinstance(value, bool) or not _COUNT.fullmatch(str(value)):
        raise InvalidInput(option, value, "is not how many members there should be: 1 or more, such as 5")
    return int(value)


def _leave(value: t.Any) -> tuple[str, ...]:
    names = value.split(",") if isinstance(value, str) else value or ()
    if not isinstance(names, (list, tuple)):
        raise InvalidInput("leave", value, "is not the name of a member, or names with commas between them")
    return tuple(dict.fromkeys(str(name).strip() for name in names if str(name).strip()))
