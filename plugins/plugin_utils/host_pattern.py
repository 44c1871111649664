# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Patterns of hosts, less what Ansible would warn of because the inventory does not have it; pure."""

from __future__ import annotations

import typing as t

#: Matches no host, and Ansible says nothing of it.
NO_HOST = "all:!all"
_ALWAYS = ("all", "localhost")
#: Of globs, expressions and slices only Ansible knows what they match.
_SPECIAL = "*?[~"


def known(pattern: str, groups: t.Mapping[str, t.Collection[str]]) -> str:
    """Return a pattern that matches the same hosts and names nothing that is not there.

    :param pattern: names of groups and hosts with a colon between them, each perhaps behind ``!`` or ``&``.
    :param groups: the hosts of each group; ``all`` has those of the inventory.
    """
    there = {*_ALWAYS, *groups, *groups.get("all", ())}
    parts = [part for part in pattern.split(":") if part]
    kept = [part for part in parts if part.lstrip("!&") in there or any(mark in part for mark in _SPECIAL)]
    lost = [part for part in parts if part not in kept]
    # What all have to be in has no host; or none is left of those whose hosts are meant. Exclusions alone mean all.
    unmet = any(part.startswith("&") for part in lost)
    emptied = any(_adds(part) for part in parts) and not any(_adds(part) for part in kept)
    return NO_HOST if unmet or emptied else ":".join(kept) or "all"


def _adds(part: str) -> bool:
    return not part.startswith(("!", "&"))
