# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One run at a time: a lock in Consul's KV that says who changes the platform, from where, and since when.

The process that holds it may be killed. On the same controller the next run sees that and takes the lease over at
once. Anywhere else it cannot be seen, so a lease counts until :data:`EXPIRES` seconds after its last renewal; each part
of a run renews it.
"""

from __future__ import annotations

import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils import moments
from ansible_collections.scaleout.platform.plugins.module_utils.consul import documents, lock
from ansible_collections.scaleout.platform.plugins.module_utils.consul.client import Consul

KEY = "scaleout/run"
#: Seconds after its last renewal for which a lease counts when its process cannot be looked at, unless a run says less.
EXPIRES = 3600.0
#: A lease that ends later than one that is renewed now is a matter of clocks, up to this many seconds.
LATE = 300.0
#: What a holder tells of itself; ``machine`` is the kernel's boot and process namespace, ``started`` is in its ticks.
FIELDS = ("run", "playbook", "user", "host", "machine", "pid", "started")


def take(
    consul: Consul, holder: lock.Holder, gone: str | None, now: float, expires: float = EXPIRES
) -> lock.Holder | None:
    """Take or renew the lease; as :func:`lock.take`, with the holder named so that a person finds it.

    :param gone: the ``run`` of a holder that is known to be dead.
    :param expires: for how many seconds it counts from now on.
    :raises lock.Held: another run has it.
    """
    try:
        return lock.take(consul, KEY, holder, now, expires, _is(gone))
    except lock.Held as held:
        raise _told(held, now) from None


def look(consul: Consul, holder: lock.Holder, gone: str | None, now: float) -> None:
    """Take nothing, and raise what :func:`take` would raise: for a dry run (A6)."""
    try:
        lock.look(consul, KEY, holder, now, _is(gone))
    except lock.Held as held:
        raise _told(held, now) from None


def release(consul: Consul, holder: lock.Holder) -> bool:
    """Give the lease back; return whether it was still ours."""
    return lock.release(consul, KEY, holder)


def fence(consul: Consul, run: str, now: float) -> documents.Fence:
    """Return what makes a write depend on the lease of a run (A5); as :func:`lock.fence`.

    :raises lock.LeaseLost: another run has the lease, no one has it, or it has expired.
    """
    try:
        return lock.fence(consul, KEY, lambda holder: holder.get("run") == run, now)
    except lock.LeaseLost as lost:
        other = lost.facts["holder"]
        if other:
            why = f"another run has it: {describe(other, lost.facts['since'])}"
        elif "renewed" in lost.facts:
            why = f"it was renewed {now - lost.facts['renewed']:.0f} s ago, and no run may count on it after that"
        else:
            why = "no run has it"
        raise lock.LeaseLost(f"This run has lost its lease, and nothing was written: {why}.", **lost.facts) from None


def describe(holder: t.Mapping[str, t.Any], since: float) -> str:
    """Say who runs, and since when."""
    known = {name: holder.get(name, "unknown") for name in FIELDS}
    return "{playbook} of {user} on {host} (process {pid})".format(**known) + f", since {moments.shown(since)}"


def _is(gone: str | None) -> t.Callable[[lock.Holder], bool]:
    return lambda other: bool(gone) and other.get("run") == gone


def _told(held: lock.Held, now: float) -> lock.Held:
    text = f"Another run changes this platform: {describe(held.facts['holder'], held.facts['since'])}. "
    if held.facts["until"] > now + EXPIRES + LATE:
        text += (
            f"Its lease ends as late as {moments.shown(held.facts['until'])}, so a clock is wrong, or something else "
            f"wrote the lease. It is respected. If no such run works any more, delete the key {KEY} in Consul."
        )
    else:
        text += "Wait for its end, or stop it there."
    return lock.Held(text, **held.facts)
