# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Variables of an inventory that look like ours and are not: misspelled ones, and those of earlier releases."""

from __future__ import annotations

import dataclasses
import difflib
import fnmatch
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.platform import Platform, Problem
from ansible_collections.scaleout.platform.plugins.module_utils.topology import renamed
from ansible_collections.scaleout.platform.plugins.module_utils.topology.inventory import VARIABLES, together

#: Patterns of names that begin as ours do and belong to the operator.
OWN = "platform_own_variables"
#: What playbooks and plugins read or set and no role has as an argument.
DECLARED = (
    *VARIABLES,
    "autoscale_alerts",
    "autoscale_alerts_secret",
    "consul_reader_token",
    "fleet_cache_file",
    "fleet_host",
    "fleet_member_state",
    "fleet_not_members",
    "fleet_static_members",
    "platform_failure_domain",
    "platform_lease",
    OWN,
    "scale_address_range",
    "scale_applications",
    "scale_maximum",
    "scale_minimum",
    "scale_protected",
    "scale_provider",
    # What playbooks/_scale.yml gives its plays, which a look during the run finds among the variables of hosts.
    "scale_closes",
    "scale_gone",
    "scale_joined",
    "scale_left",
    "scale_on",
    "scale_plan",
    "scale_watch",
)
#: What these say decides who is in the topology. Without one of them hosts or data are missing from it.
TOPOLOGY = ("applications", "platform_address", "platform_shard_buckets", "postgres_cluster", "postgres_clusters")
#: Prefixes that are common words. A name that is near to none of ours is the operator's own.
_COMMON = ("app_", "base_")
#: Where Ansible puts words of -e that belong to no variable: those behind the first space of a value without quotes.
STRAY = "_raw_params"
# The words themselves may be the end of a secret.
_STRAY_WORDS = (
    "-e has words that belong to no variable, such as those behind the first space of a value; put the value into "
    """quotes of its own, as in -e "why='The sale begins'\""""
)
#: How near a name is that may be meant, by the ratio of difflib: the prefix alone makes names alike.
_NEAR = 0.8
#: Where a prefix itself is misspelled, by the ratio of difflib.
_NEAR_PREFIX = 0.85
#: A name that is so near to another, and as long but for two letters, is a slip of the keyboard.
_SLIP = 0.85


@dataclasses.dataclass(frozen=True)
class Names:
    """What is known.

    :param known: the arguments of roles.
    :param roles: the names of roles, which their arguments begin with.
    """

    known: t.Collection[str] = ()
    roles: t.Collection[str] = ()


def judge(platform: Platform, names: Names) -> tuple[list[Problem], list[Problem]]:
    """Return what has to be corrected, and what may be meant as it is."""
    refused = [
        Problem("renamed_group", "", f"the group {old} is called {new} now; rename it in the inventory")
        for old, new in renamed.GROUPS.items()
        if old in platform.groups
    ]
    doubtful = []
    for name, hosts in _strange(platform, names).items():
        if name == STRAY:
            refused.append(Problem("stray_words", "", _STRAY_WORDS))
            continue
        nearest = _nearest(name, names)
        meant = renamed.VARIABLES.get(nearest, nearest)
        where = together(hosts)
        if name in renamed.VARIABLES:
            refused.append(Problem("renamed_variable", "", f"{where}: {name} is no longer read; use {meant}"))
        elif name in renamed.REMOVED:
            text = f"{where}: {name} is no longer read: {renamed.REMOVED[name]}; remove it from the inventory"
            refused.append(Problem("renamed_variable", "", text))
        elif nearest in renamed.VARIABLES and _is_slip(name, nearest):
            text = f"{where}: {name} is not known here, and {nearest} is no longer read; use {meant}"
            refused.append(Problem("renamed_variable", "", text))
        elif meant in TOPOLOGY and _is_slip(name, nearest) and _lack(platform, hosts, meant):
            text = f"{where}: {name} is not known here; did you mean {meant}, which is not set"
            refused.append(Problem("misspelled_variable", "", text))
        elif _looks_like_ours(name, names) and (meant or not name.startswith(_COMMON)):
            text = f"{where}: {name} is not known here"
            hint = f"; did you mean {meant}" if meant else ""
            doubtful.append(Problem("unknown_variable", "", f"{text}{hint}; {OWN} takes names of your own"))
    return refused, doubtful


def _strange(platform: Platform, names: Names) -> dict[str, list[str]]:
    """Return the variables that nothing of ours has, each with its hosts; magic variables and Ansible's among them."""
    known = {*names.known, *DECLARED}
    own: list[str] = []
    for host in platform.hosts:
        patterns = platform.value(host, OWN)
        own += [str(pattern) for pattern in patterns] if isinstance(patterns, (list, tuple)) else []
    found: dict[str, list[str]] = {}
    for host, variables in platform.hosts.items():
        for name in variables:
            if name not in known:
                found.setdefault(str(name), []).append(host)
    return {
        name: hosts
        for name, hosts in sorted(found.items())
        if not name.startswith("ansible_") and not any(fnmatch.fnmatchcase(name, pattern) for pattern in set(own))
    }


def _prefixes(names: Names) -> list[str]:
    return [f"{role}_" for role in sorted({*names.roles, "platform", "scale"}, key=len, reverse=True)]


def _looks_like_ours(name: str, names: Names) -> bool:
    return _corrected(name, names).startswith(tuple(_prefixes(names)))


def _corrected(name: str, names: Names) -> str:
    """Return a name with its prefix as we write it."""
    prefixes = _prefixes(names)
    if name.startswith(tuple(prefixes)):
        return name
    head, _mark, rest = name.partition("_")
    # Of a short prefix any word of three or four letters would be a misspelling.
    long = [prefix for prefix in prefixes if len(prefix) > len("base_")]
    near = difflib.get_close_matches(f"{head}_", long, n=1, cutoff=_NEAR_PREFIX) if rest else []
    return f"{near[0]}{rest}" if near else name


def _nearest(name: str, names: Names) -> str:
    """Return the nearest name that is known, or was; empty where none is near."""
    known = [*names.known, *DECLARED, *renamed.VARIABLES]
    near = difflib.get_close_matches(_corrected(name, names), sorted({*known}), n=1, cutoff=_NEAR)
    return near[0] if near else ""


def _is_slip(name: str, nearest: str) -> bool:
    ratio = difflib.SequenceMatcher(None, name, nearest).ratio()
    return abs(len(name) - len(nearest)) <= 2 and ratio >= _SLIP


def _lack(platform: Platform, hosts: t.Sequence[str], variable: str) -> bool:
    return any(platform.value(host, variable) is None for host in hosts)
