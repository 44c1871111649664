# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A lock that outlives the process that took it: a document that names its holder, taken by compare-and-set.

A session of Consul's would do with less, but it has to be renewed, and the processes that Ansible works in end
with each task. So a holder takes the lock again with each task, and it counts as left once that has not happened for
the time that the holder itself wrote down. The clocks of two holders are compared then; they have to agree within a
small part of that time.
"""

from __future__ import annotations

import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.consul import documents, strict
from ansible_collections.scaleout.platform.plugins.module_utils.consul.client import Consul
from ansible_collections.scaleout.platform.plugins.module_utils.errors import Refused

Holder = t.Mapping[str, t.Any]
"""Who holds a lock, in values of JSON; two holders are the same one when these are equal."""

_FIELDS: dict[str, type | tuple[type, ...]] = {
    "holder": dict,
    "since": (int, float),
    "renewed": (int, float),
    "patience": (int, float),
}


class Held(Refused):
    """A lock that another holds.

    The facts are its ``holder``, and ``since``, ``renewed`` and ``until``, in seconds since 1970.
    """

    CODE = "held"


class InvalidLock(Refused):
    """A key that holds something that is not a lock."""

    CODE = "invalid_lock"


class LeaseLost(Refused):
    """A lock that is no longer ours; the facts are the ``holder`` who has it now, or none."""

    CODE = "lease_lost"


def take(
    consul: Consul,
    key: str,
    holder: Holder,
    now: float,
    patience: float,
    gone: t.Callable[[Holder], bool] = lambda _other: False,
) -> Holder | None:
    """Take a lock, or renew it.

    :param now: the time, in seconds since 1970.
    :param patience: seconds after which it counts as left, unless it is taken again.
    :param gone: whether another holder is known to be dead; then it is taken over at once.
    :returns: the holder from whom it was taken over; None where it was free or ours already.
    :raises Held: another holds it.
    :raises InvalidLock: the key holds something else, which is left alone.
    :raises Unreachable: as :func:`documents.write`.
    """

    def attempt() -> Holder | None:
        document, found = _look(consul, key, holder, now, gone)
        ours = found is not None and found["holder"] == dict(holder)
        since = found["since"] if found and ours else now
        value = {"holder": dict(holder), "since": since, "renewed": now, "patience": patience}
        documents.write(consul, key, value, document)
        return None if found is None or ours else found["holder"]

    return documents.retried(attempt)


def look(
    consul: Consul, key: str, holder: Holder, now: float, gone: t.Callable[[Holder], bool] = lambda _other: False
) -> None:
    """Change nothing, and raise what :func:`take` would raise: for a dry run."""
    _look(consul, key, holder, now, gone)


def release(consul: Consul, key: str, holder: Holder) -> bool:
    """Release a lock.

    :returns: whether it was still ours.
    :raises InvalidLock: as :func:`take`; :raises Unreachable: as :func:`documents.write`.
    """

    def attempt() -> bool:
        document = documents.read(consul, key)
        if document is None or _fields(document)["holder"] != dict(holder):
            return False
        documents.delete(consul, key, document)
        return True

    return documents.retried(attempt)


def fence(consul: Consul, key: str, ours: t.Callable[[Holder], bool], now: float) -> documents.Fence:
    """Return what makes a write depend on a lock that is ours and has not expired.

    Consul compares the fence in the transaction that writes, so the lock may be lost at any time before it. A renewal
    between the two is a :class:`Conflict`; then the fence is made again, see :func:`documents.retried`.

    :param ours: whether a holder is the one that writes.
    :param now: the time, in seconds since 1970.
    :raises LeaseLost: another holds it, no one does, or it has not been renewed in time.
    :raises InvalidLock: as :func:`take`; :raises Unreachable: as :func:`documents.read`.
    """
    document = documents.read(consul, key)
    found = None if document is None else _fields(document)
    if document is None or found is None:
        raise LeaseLost(f"No one holds the lock {key}, and nothing is written without it.", holder={})
    if not ours(found["holder"]):
        raise LeaseLost(
            f"The lock {key} is another's, {_named(found['holder'])}, and nothing is written without it.",
            holder=found["holder"],
            since=found["since"],
            renewed=found["renewed"],
        )
    overdue = _overdue(found, now)
    if overdue > 0:
        raise LeaseLost(
            f"The lock {key} expired {overdue:.0f} s ago, and nothing is written without it.",
            holder={},
            since=found["since"],
            renewed=found["renewed"],
        )
    return documents.Fence(key, document.modify_index)


def _look(
    consul: Consul, key: str, holder: Holder, now: float, gone: t.Callable[[Holder], bool]
) -> tuple[documents.Document | None, dict[str, t.Any] | None]:
    """Return the lock that may be taken: it is free, ours, or left by its holder.

    :raises Held: another holds it.
    """
    document = documents.read(consul, key)
    found = None if document is None else _fields(document)
    ours = found is not None and found["holder"] == dict(holder)
    if found and not ours and _overdue(found, now) <= 0 and not gone(found["holder"]):
        raise Held(
            f"The lock {key} is held by {_named(found['holder'])}.",
            holder=found["holder"],
            since=found["since"],
            renewed=found["renewed"],
            until=found["renewed"] + found["patience"],
        )
    return document, found


def _named(holder: Holder) -> str:
    return ", ".join(f"{name} {value}" for name, value in holder.items())


def _overdue(found: dict[str, t.Any], now: float) -> float:
    """Return for how many seconds a lock has been expired; negative, or zero, for one that counts."""
    return float(now - found["renewed"] - found["patience"])


def _fields(document: documents.Document) -> dict[str, t.Any]:
    try:
        value = document.value
    except strict.NotJson as error:
        raise InvalidLock(
            f"The key {document.key} holds something that is not a lock: {error.message}",
            code=error.code,
            key=document.key,
        ) from None
    if not isinstance(value, dict) or set(value) != set(_FIELDS):
        raise InvalidLock(f"The key {document.key} holds something that is not a lock.", key=document.key)
    for name, kind in _FIELDS.items():
        if not isinstance(value[name], kind) or isinstance(value[name], bool):
            raise InvalidLock(f"The key {document.key} holds a lock whose {name} cannot be.", key=document.key)
    return value
