# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A pool as it is: its desired size, its members, and what keeps it from being changed (A2 to A4); pure."""

from __future__ import annotations

import dataclasses
import functools
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import told
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.fields import Fault, Fields

_FLAGS = {"healthy": False, "in_rotation": False, "protected": False, "failed": False, "reached": False}


@dataclasses.dataclass(frozen=True)
class Member:
    """A member of a pool.

    :param healthy: whether its health check passes.
    :param in_rotation: whether it gets requests: it is not draining.
    :param since: when it began to serve, in seconds since the epoch; None for a time long ago.
    :param protected: whether an operator said that it stays.
    :param failed: whether Consul has declared it failed.
    :param reached: whether the load balancer reaches it.
    """

    name: str
    healthy: bool = True
    in_rotation: bool = True
    since: float | None = None
    protected: bool = False
    failed: bool = False
    reached: bool = True


@dataclasses.dataclass(frozen=True)
class Pause:
    """A brake that an operator has set, until a time in seconds since the epoch.

    :param by: who set it; empty where that is not known.
    :param since: when it was set; None where that is not known.
    """

    until: float
    why: str
    by: str = ""
    since: float | None = None


@dataclasses.dataclass(frozen=True)
class Running:
    """An action that is on its way, since a time in seconds since the epoch."""

    started: float
    what: str


@dataclasses.dataclass(frozen=True)
class Pool:
    """A pool.

    :param desired: how many members the record asks for, which is its size (A3).
    """

    desired: int
    members: tuple[Member, ...] = ()
    paused: Pause | None = None
    running: Running | None = None

    @functools.cached_property
    def has_failed(self) -> bool:
        """Whether Consul has declared a member failed."""
        return any(member.failed for member in self.members)

    @functools.cached_property
    def free(self) -> int:
        """How many members may leave."""
        return sum(not member.protected for member in self.members)


def parse(given: t.Any, faults: list[Fault]) -> Pool:
    """Read a pool; what is wrong is added to the faults, and the pool is of no use then."""
    fields = Fields(given, "pool", faults)
    desired = fields.count("desired", low=0)
    members = []
    items = fields.items("members")
    if items is None:
        fields.missing("members")
    seen: set[str] = set()
    for item in items or ():
        member = _member(item)
        if member.name in seen and item.is_mapping:
            item.fault("name", f"{told(member.name)} is there twice.")
        seen.add(member.name)
        members.append(member)
    paused = running = None
    if fields.raw("paused") is not None:
        inner = fields.inner("paused")
        since = inner.number("since", unit="seconds") if "since" in inner else None
        by = inner.text("by") if inner.raw("by") else ""
        paused = Pause(inner.number("until", unit="seconds"), inner.text("why", "no reason was given"), by, since)
    if fields.raw("running") is not None:
        inner = fields.inner("running")
        what = [f"{name} {inner.raw(name)}" for name in ("direction", "from", "to", "by") if name in inner]
        running = Running(inner.number("started", unit="seconds"), ", ".join(what))
    fields.done()
    return Pool(desired, tuple(members), paused, running)


def _member(item: Fields) -> Member:
    name = item.text("name")
    flags = {flag: item.flag(flag, default) for flag, default in _FLAGS.items()}
    since = item.number("since", unit="seconds") if "since" in item else item.raw("since")
    item.done()
    return Member(name, since=since, **flags)
