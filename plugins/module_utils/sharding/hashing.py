# Copyright (c) 2026, The scaleout.platform team
# Simplified BSD License (https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The bucket of a key, computed as PostgreSQL computes it; the standard library is all it needs.

The bucket of a key is the remainder that PostgreSQL uses for ``PARTITION BY HASH (key)``, so each of these
three says the same for a uuid key and 4096 buckets::

    bucket_of("6b1bbd04-8ee8-4f0a-b7d4-b1a8d4e1f5a7")                                         # here
    SELECT ((uuid_hash_extended(key, 8816678312871386365) & 4095) + 2275) & 4095              -- in SQL
    SELECT satisfies_hash_partition('a_table_partitioned_by_hash_of_key'::regclass, 4096, bucket, key)

The file stands alone: it may be copied beside any application that has to find the shard of a key.

Sources: Bob Jenkins, *lookup3.c* (2006, public domain), for the mixing steps; PostgreSQL's
``src/common/hashfn.c`` for their order in ``hash_bytes_extended`` and ``hash_bytes_uint32_extended``,
``src/backend/access/hash/hashfunc.c`` for ``hashint8extended``, and ``compute_partition_hash_value`` in
``src/backend/partitioning/partbounds.c`` with ``hash_combine64`` for the remainder. Values are those of servers on
little-endian machines (x86-64, ARM64), with UTF-8 databases and deterministic collations.
"""

from __future__ import annotations

import struct
import typing as t
import uuid

#: The number of buckets of a shard map, fixed for the life of the map.
BUCKETS = 4096

#: PostgreSQL's ``HASH_PARTITION_SEED``.
PARTITION_SEED = 0x7A5B22367996DCFD

#: What ``hash_combine64`` adds when a single column is combined into an empty row hash.
_COMBINE = 0x49A0F4DD15E5A8E3

_MASK_32 = 0xFFFFFFFF
_MASK_64 = 0xFFFFFFFFFFFFFFFF
#: Where the internal state of lookup3 starts, before the length of the key is added.
_START = 0x9E3779B9 + 3923095

_three_words = struct.Struct("<3I").unpack_from
_four_words = struct.Struct("<4I").unpack

_State = tuple[int, int, int]


def _mix(a: int, b: int, c: int) -> _State:
    """Mix three words reversibly (lookup3's ``mix``).

    Only ``c`` must, and will, fit in 32 bits: Python's integers have no width, so a word is cut
    to 32 bits just before it is rotated and not after each addition.
    """
    a = (a - c ^ (c << 4 | c >> 28)) & _MASK_32
    c += b
    b = (b - a ^ (a << 6 | a >> 26)) & _MASK_32
    a += c
    c = (c - b ^ (b << 8 | b >> 24)) & _MASK_32
    b += a
    a = (a - c ^ (c << 16 | c >> 16)) & _MASK_32
    c += b
    b = (b - a ^ (a << 19 | a >> 13)) & _MASK_32
    a += c
    c = (c - b ^ (b << 4 | b >> 28)) & _MASK_32
    return a, b + a, c


def _final(a: int, b: int, c: int) -> int:
    """Mix three words of any width into the 64-bit hash (lookup3's ``final``)."""
    b &= _MASK_32
    c = ((c ^ b) - (b << 14 | b >> 18)) & _MASK_32
    a = ((a ^ c) - (c << 11 | c >> 21)) & _MASK_32
    b = ((b ^ a) - (a << 25 | a >> 7)) & _MASK_32
    c = ((c ^ b) - (b << 16 | b >> 16)) & _MASK_32
    a = ((a ^ c) - (c << 4 | c >> 28)) & _MASK_32
    b = ((b ^ a) - (a << 14 | a >> 18)) & _MASK_32
    c = ((c ^ b) - (b << 24 | b >> 8)) & _MASK_32
    return b << 32 | c


def _start(length: int, seed: int) -> _State:
    """Return the state before the first word of a key of ``length`` bytes."""
    start = (_START + length) & _MASK_32
    if seed == 0:
        return start, start, start
    return _mix(start + (seed >> 32), start + (seed & _MASK_32), start)


def hash_bytes(key: bytes, seed: int = PARTITION_SEED) -> int:
    """Hash bytes of any length; equals ``hash_bytes_extended``.

    :param seed: an unsigned 64-bit number.
    :returns: an unsigned 64-bit number (SQL shows the same bits as a signed one).
    """
    a, b, c = _start(len(key), seed)
    whole = len(key) - len(key) % 12
    for offset in range(0, whole, 12):
        x, y, z = _three_words(key, offset)
        a, b, c = _mix(a + x, b + y, c + z & _MASK_32)
    tail = key[whole:]
    # lookup3 keeps the lowest byte of the last word for the length, which PostgreSQL has added already.
    return _final(
        a + int.from_bytes(tail[:4], "little"),
        b + int.from_bytes(tail[4:8], "little"),
        c + (int.from_bytes(tail[8:], "little") << 8),
    )


def hash_int64(key: int, seed: int = PARTITION_SEED) -> int:
    """Hash a signed 64-bit number; equals ``hashint8extended``.

    PostgreSQL folds the halves so that a number has the same hash as a smallint, an integer and a bigint.

    :returns: an unsigned 64-bit number.
    """
    high = key >> 32
    word = (key ^ (high if key >= 0 else ~high)) & _MASK_32
    a, b, c = _start(4, seed)
    return _final(a + word, b, c)


_UUID_A, _UUID_B, _UUID_C = _start(16, PARTITION_SEED)


def _hash_uuid(key: bytes) -> int:
    """Hash 16 bytes with the partition seed: ``hash_bytes`` with its loop unrolled, since requests wait for it."""
    w, x, y, z = _four_words(key)
    a, b, c = _mix(_UUID_A + w, _UUID_B + x, _UUID_C + y & _MASK_32)
    return _final(a + z, b, c)


def _uuid_bytes(key: uuid.UUID | str) -> bytes:
    if isinstance(key, uuid.UUID):
        return key.bytes
    if not isinstance(key, str):
        raise TypeError(f"a uuid key is a uuid.UUID or a str, not {type(key).__name__}")
    digits = key.replace("-", "")
    # bytes.fromhex skips blanks, so 32 characters that give 16 bytes are 32 digits.
    if len(digits) == 32 and (len(key) == 32 or (len(key) == 36 and key[8] == key[13] == key[18] == key[23] == "-")):
        try:
            octets = bytes.fromhex(digits)
        except ValueError:
            octets = b""
        if len(octets) == 16:
            return octets
    raise ValueError(f"{key!r} is not a uuid such as 6b1bbd04-8ee8-4f0a-b7d4-b1a8d4e1f5a7")


def _row_hash_of_uuid(key: t.Any) -> int:
    return _hash_uuid(_uuid_bytes(key))


def _row_hash_of_text(key: t.Any) -> int:
    if not isinstance(key, str):
        raise TypeError(f"a text key is a str, not {type(key).__name__}")
    if "\0" in key:
        raise ValueError("a text key cannot hold the character U+0000, as in PostgreSQL")
    try:
        return hash_bytes(key.encode("utf-8"))
    except UnicodeEncodeError:
        raise ValueError(f"{key!r} has a lone surrogate, which UTF-8 cannot hold") from None


def _row_hash_of_bigint(key: t.Any) -> int:
    if isinstance(key, bool) or not isinstance(key, int):
        raise TypeError(f"a bigint key is an int, not {type(key).__name__}")
    if not -(1 << 63) <= key < 1 << 63:
        raise ValueError(f"{key} is out of range for a bigint")
    return hash_int64(key)


_HASHES: dict[str, t.Callable[[t.Any], int]] = {
    "uuid": _row_hash_of_uuid,
    "text": _row_hash_of_text,
    "bigint": _row_hash_of_bigint,
}

#: The kinds of key that :func:`bucket_of` knows, named as the PostgreSQL types of their columns.
KINDS = tuple(_HASHES)


def bucket_of(key: uuid.UUID | str | int, kind: str = "uuid", buckets: int = BUCKETS) -> int:
    """Return the bucket of a key: a number from 0 to ``buckets - 1``.

    :param key: a ``uuid.UUID`` or its text for ``uuid``, a ``str`` for ``text``, an ``int`` for ``bigint``.
    :param kind: the PostgreSQL type of the key's column: ``uuid``, ``text`` or ``bigint``.
    :param buckets: the number of buckets of the map (PostgreSQL's modulus); at least 1.
    :raises TypeError: the key is of another type than ``kind`` needs.
    :raises ValueError: the key is no value of ``kind``, or there is no such kind or number of buckets.
    """
    try:
        row_hash = _HASHES[kind]
    except (KeyError, TypeError):
        raise ValueError(f"{kind!r} is not a kind of key: choose one of {', '.join(KINDS)}") from None
    if not isinstance(buckets, int) or buckets < 1:
        raise ValueError(f"{buckets!r} is not a number of buckets")
    return (row_hash(key) + _COMBINE & _MASK_64) % buckets
