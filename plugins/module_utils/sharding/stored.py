# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where a map and its earlier versions are kept: the map under its key, each version under one of its own beside it.

The versions of the map ``scaleout/shard_map`` are ``scaleout/shard_map.history/1`` and so on; that of the map in force
is among them. Each holds the map's document, so that whoever can read the map can read them, and has the time of its
publication, in seconds since 1970, as its flags.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils import moments
from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, Refused
from ansible_collections.scaleout.platform.plugins.module_utils.sharding import map as shard_maps

_VERSION = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)


class Archive(t.NamedTuple):
    """What a publication does to the history.

    :param added: the versions to keep a copy of.
    :param removed: the versions to delete, oldest first.
    """

    added: tuple[int, ...]
    removed: tuple[int, ...]


def check_key(key: str) -> str:
    """Return the option ``key``.

    :raises InvalidInput: it can be no key of Consul's KV.
    """
    if not key.isprintable() or not key.strip("/ ") or key.startswith("/"):
        raise InvalidInput("key", key, "is not a key of Consul's KV")
    return key


def decode(value: bytes, key: str, place: str, remark: str = "") -> shard_maps.ShardMap:
    """Read the map that a key holds.

    :param place: host and port of Consul, for the message.
    :param remark: a clause about what follows from it.
    :raises Refused: the key holds something else.
    """
    try:
        return shard_maps.decode(value)
    except shard_maps.InvalidMap as error:
        raise Refused(
            f"The key {key} in Consul at {place} holds something that is not a shard map{remark}: {error.message}",
            code=error.code,
            key=key,
        ) from error


def folder(key: str) -> str:
    """Return the folder of a map's versions."""
    return f"{key}.history"


def key_of(key: str, version: int) -> str:
    """Return the key of one version of a map."""
    return f"{folder(key)}/{version}"


def versions(key: str, names: t.Iterable[str]) -> list[int]:
    """Return the versions that the keys of a history name, in order; other keys are ignored."""
    start = f"{folder(key)}/"
    tails = [name[len(start) :] for name in names if name.startswith(start)]
    return sorted(int(tail) for tail in tails if _VERSION.fullmatch(tail))


def archive(kept: t.Iterable[int], replaced: int | None, planned: int, keep: int, limit: int) -> Archive:
    """Decide which versions a publication adds to the history and which it deletes.

    :param kept: the versions that the history holds.
    :param replaced: the version in force, which is kept as well; None where there is none.
    :param planned: the version that is published.
    :param keep: so many versions remain, the newest ones and always the one that is published.
    :param limit: no more are deleted at once; the others wait for the next publication.
    """
    held = set(kept)
    wanted = {planned} | ({replaced} if replaced is not None else set())
    # What is newer than the planned version is left from a map that was replaced by an older one.
    remaining = sorted(held | wanted, key=lambda version: (version == planned, version))[-keep:]
    return Archive(
        tuple(
            sorted(
                version for version in wanted if version in remaining and (version == planned or version not in held)
            )
        ),
        tuple(sorted(held.difference(remaining))[:limit]),
    )


def published_at(flags: int) -> str | None:
    """Return the time that the flags of a version hold, in UTC; None where they hold none."""
    try:
        return moments.text(flags) if flags else None
    except (OverflowError, ValueError, OSError):
        return None
