# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""UUIDs of version 7 (RFC 9562, section 5.7): their order is the order of their making.

The first 48 bits are milliseconds since 1970. Of the other bits 74 are random; within a millisecond they are a
counter instead, that starts at a random number and grows by random steps (section 6.2, method 2), so that the ids of
one process strictly increase and still cannot be guessed.
"""

from __future__ import annotations

import secrets
import time
import typing as t
import uuid

_RANDOM_BITS = 74
_STEP_BITS = 32
#: A clock that was set back further than this is believed; a smaller step back is waited out by counting on.
_LARGEST_STEP_BACK_MS = 10_000


class Uuid7:
    """Makes ids. One for each process.

    :param clock: returns milliseconds since 1970.
    :param random_bits: returns that many random bits as a number.
    """

    def __init__(
        self,
        clock: t.Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        random_bits: t.Callable[[int], int] = secrets.randbits,
    ) -> None:
        self._clock = clock
        self._random_bits = random_bits
        self._millisecond = -1
        self._counter = 0

    def __call__(self) -> uuid.UUID:
        now = self._clock()
        if now > self._millisecond or now < self._millisecond - _LARGEST_STEP_BACK_MS:
            self._start(now)
        else:
            self._counter += 1 + self._random_bits(_STEP_BITS)
            if self._counter >> _RANDOM_BITS:
                self._start(self._millisecond + 1)
        return _assemble(self._millisecond, self._counter)

    def _start(self, millisecond: int) -> None:
        self._millisecond = millisecond
        # The highest bit starts as 0, so that there is room to count within the millisecond.
        self._counter = self._random_bits(_RANDOM_BITS - 1)


def _assemble(millisecond: int, counter: int) -> uuid.UUID:
    high, low = counter >> 62, counter & ((1 << 62) - 1)
    return uuid.UUID(int=(millisecond & ((1 << 48) - 1)) << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low)


def milliseconds_of(value: uuid.UUID) -> int:
    """Return when a UUID of version 7 was made, in milliseconds since 1970."""
    return value.int >> 80


def first_of(milliseconds: int) -> uuid.UUID:
    """Return the least UUID of that time, milliseconds since 1970: the bound of a range of ids."""
    return uuid.UUID(int=milliseconds << 80)
