# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""When a replica may answer: session tokens, the memory of recent writes, and how far a replica is. Pure.

A position in the write-ahead log (LSN) is a plain number here. Two positions of a shard compare only while the shard
map is the same: another version may have moved the shard to a server with a log of its own. So every position goes with
the version of the map it was taken under, and a position of another version means: read the primary.

What a read needs of a replica is a number that the replica's replayed position must have reached: 0 (anything will do),
a position, or :data:`PRIMARY`, which no replica reaches.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import typing as t
import uuid
from collections import OrderedDict, deque
from dataclasses import dataclass, field

#: More than any position: only the primary can answer.
PRIMARY = math.inf

#: Seconds for which a token is worth carrying. A replica that is in use is far less behind than this.
TOKEN_LIFETIME = 600

_LONGEST_TOKEN = 4096
_MOST_MARKS = 32
#: No map has this version, so a mark with it compares with nothing.
_NO_VERSION = 0


@dataclass(frozen=True)
class Mark:
    """The caller wrote to a shard: under this version of the map, up to this position, at this time (seconds)."""

    version: int
    lsn: int
    at: int


@dataclass(frozen=True)
class SessionToken:
    """What a caller has written so far, as far as the caller tells us; opaque to the caller.

    :param readable: whether what the caller sent could be read. What cannot be read proves nothing.
    """

    marks: t.Mapping[str, Mark] = field(default_factory=dict)
    readable: bool = True

    def need(self, shard: str, version: int) -> float:
        """What a read from the shard needs of a replica, under this version of the map."""
        if not self.readable:
            return PRIMARY
        mark = self.marks.get(shard)
        if mark and mark.version == version:
            return mark.lsn
        # The caller wrote under another map, perhaps the very rows that this shard has now.
        return PRIMARY if any(mark.version != version for mark in self.marks.values()) else 0

    def written(self, shard: str, version: int, lsn: int, now: int) -> SessionToken:
        """The token after a write that is visible wherever ``lsn`` has been replayed."""
        before = self.marks.get(shard)
        if before and before.version == version:
            lsn = max(lsn, before.lsn)
        return self._with(shard, Mark(version, lsn, now), now)

    def in_doubt(self, shard: str, now: int) -> SessionToken:
        """The token after a write that may or may not have happened: the primary must answer until the next write."""
        return self._with(shard, Mark(_NO_VERSION, 0, now), now)

    def _with(self, shard: str, mark: Mark, now: int) -> SessionToken:
        marks = {name: old for name, old in self.marks.items() if now - old.at < TOKEN_LIFETIME}
        marks[shard] = mark
        newest = sorted(marks.items(), key=lambda item: item[1].at)[-_MOST_MARKS:]
        return SessionToken(dict(newest))

    def encode(self) -> str:
        value = [[shard, mark.version, mark.lsn, mark.at] for shard, mark in self.marks.items()]
        return base64.urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str) -> SessionToken:
        """Read what a caller sent; never fails (see ``readable``)."""
        if not text:
            return cls()
        try:
            if len(text) > _LONGEST_TOKEN:
                raise ValueError("too long")
            padded = (text + "=" * (-len(text) % 4)).encode("ascii")
            marks = {
                str(shard): Mark(int(version), int(lsn), int(at))
                for shard, version, lsn, at in json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
            }
            return cls(marks)
        except (binascii.Error, ValueError, TypeError, OverflowError, RecursionError):
            return cls(readable=False)

    def merge(self, other: SessionToken) -> SessionToken:
        """What either of the two says; of two positions in one shard, the later one."""
        marks = dict(self.marks)
        for shard, mark in other.marks.items():
            mine = marks.get(shard)
            if mine is None or (mark.version, mark.lsn) > (mine.version, mine.lsn):
                marks[shard] = mark
        return SessionToken(marks, self.readable and other.readable)


class RecentWrites:
    """This process's own writes of the last seconds, for callers who carry no token.

    Older ones need not be kept: a replica that is in use is behind by ``max_lag`` at most, so it has them.

    :param max_lag: seconds; see ``Settings.replica_max_lag``.
    :param most: how many users are remembered at the most.
    """

    def __init__(self, max_lag: float, most: int = 10_000) -> None:
        # A second more than needed, since a replica's age is measured some time before it is read.
        self._keep = max_lag + 1.0
        self._most = most
        self._writes: OrderedDict[uuid.UUID | str, tuple[float, int, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._writes)

    def note(self, user_id: uuid.UUID, shard: str, version: int, lsn: float, now: float) -> None:
        """Remember a write; ``lsn`` is :data:`PRIMARY` when its outcome is unknown. ``now`` is monotonic seconds."""
        for key in (user_id, shard):
            self._writes[key] = (now, version, max(lsn, self._need(key, version, now)))
            self._writes.move_to_end(key)
        while self._writes and (len(self._writes) > self._most or self._expired(next(iter(self._writes)), now)):
            self._writes.popitem(last=False)

    def need_of_user(self, user_id: uuid.UUID, version: int, now: float) -> float:
        return self._need(user_id, version, now)

    def need_of_shard(self, shard: str, version: int, now: float) -> float:
        """For a read of many users: everything that this process wrote there."""
        return self._need(shard, version, now)

    def _need(self, key: uuid.UUID | str, version: int, now: float) -> float:
        if key not in self._writes or self._expired(key, now):
            return 0
        _unused, written_under, lsn = self._writes[key]
        return lsn if written_under == version else PRIMARY

    def _expired(self, key: uuid.UUID | str, now: float) -> bool:
        return now - self._writes[key][0] > self._keep


class PrimaryHistory:
    """Where a primary's log stood lately, to tell from a replica's position how old its data is."""

    def __init__(self, most: int = 120) -> None:
        self._samples: deque[tuple[float, int]] = deque(maxlen=most)

    def add(self, asked_at: float, lsn: int) -> None:
        """
        :param asked_at: monotonic seconds just *before* the primary was asked, so that everything that was
            committed by then is within ``lsn``.
        """
        self._samples.append((asked_at, lsn))

    def as_of(self, replayed: int) -> float:
        """The moment up to which a replica with this position has everything; minus infinity when unknown."""
        return max((asked_at for asked_at, lsn in self._samples if lsn <= replayed), default=-math.inf)
