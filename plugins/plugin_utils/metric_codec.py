# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How samples lie in the metric store, and how the samples of a minute become one; pure.

An entry of a stream holds the samples that one run took of one service. They are stored by columns, one for each
number of a sample, and compressed: neighbouring instances have similar numbers, so a sample takes about a third of
the bytes that its document has.

What is older than a day is kept as one sample for each minute and instance. A gauge becomes its mean. A counter
keeps its newest value, with the time at which it was read: the differences of counters are what rates come from, and
the mean of a counter before and after a restart would be a number that never was.
"""

from __future__ import annotations

import json
import math
import re
import typing as t
import zlib
from collections.abc import Iterable, Mapping, Sequence

from ansible_collections.scaleout.platform.plugins.module_utils import moments
from ansible_collections.scaleout.platform.plugins.module_utils.metrics.columns import are_numbers

Document = dict[str, t.Any]
Path = tuple[str, ...]

#: Of an entry. A reader skips those that it does not know.
FORMAT = 1
#: The document of a sample may have as many bytes; a histogram of 500 buckets has 10,000.
LARGEST_SAMPLE = 32 * 1024
#: An entry may have as many bytes when it is unpacked: 2,000 samples of the largest kind.
LARGEST_ENTRY = 64 * 1024 * 1024
_DEEPEST = 8
#: What of an entry is before its columns ends with this; within a text, its quotes would be escaped.
_COLUMNS = b',"columns":'
#: Bytes of it that are unpacked at a time.
_HEAD = 16 * 1024
_LARGEST_NUMBER = 2**64
_KEYS = ("timestamp", "service", "instance", "metrics")
_SERVICE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,126}[A-Za-z0-9])?")
_LONGEST_INSTANCE = 253
#: Numbers of ``metrics`` that only rise. All of ``counters`` belongs to them.
_COUNTERS: frozenset[Path] = frozenset(
    [
        ("metrics", "network", "rx_bytes"),
        ("metrics", "network", "tx_bytes"),
        ("metrics", "application", "requests"),
        ("metrics", "application", "errors"),
        ("metrics", "application", "shard_errors"),
    ]
)


class Garbage(ValueError):
    """Something that is no sample, or no entry of ours; the text says what is wrong with it."""


def plain(value: t.Any, depth: int = 0) -> t.Any:
    """Return a value in Python's own types, whatever tags or proxies of ansible-core it consists of.

    :raises Garbage: there is something in it that JSON does not have.
    """
    if depth > _DEEPEST:
        raise Garbage(f"is nested deeper than {_DEEPEST}")
    if value is None or value is True or value is False:
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        if abs(value) > _LARGEST_NUMBER:
            raise Garbage("has a number that no counter holds")
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise Garbage("has a number that is not finite")
        return float(value)
    if isinstance(value, Mapping):
        return {_key(key): plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item, depth + 1) for item in value]
    raise Garbage(f"has a {type(value).__name__}")


def _key(key: t.Any) -> str:
    if not isinstance(key, str):
        raise Garbage(f"has a key that is a {type(key).__name__}")
    return str.__str__(key)


def sample(value: t.Any) -> Document:
    """Return the document of a sample in plain types.

    Only its shape is judged: what its numbers mean is for the reader to judge, which may be a newer one.

    :raises Garbage: it is not the document of a sample.
    """
    found = plain(value)
    if not isinstance(found, dict):
        raise Garbage("is not a mapping")
    missing = [key for key in _KEYS if key not in found]
    if missing:
        raise Garbage(f"lacks {', '.join(missing)}")
    if not moments.is_time(found["timestamp"]):
        raise Garbage("has a timestamp that is not seconds since 1970")
    if not is_service(found["service"]):
        raise Garbage("has a service that is not a name of letters, digits, dots, hyphens and underscores")
    if not _is_instance(found["instance"]):
        raise Garbage("has an instance that is not a name")
    for key in ("metrics", "counters"):
        if not isinstance(found.get(key, {}), dict):
            raise Garbage(f"has {key} that are not a mapping")
    if len(json.dumps(found)) > LARGEST_SAMPLE:
        raise Garbage(f"has more than {LARGEST_SAMPLE} bytes")
    # Milliseconds: what a duplicate is recognised by survives the way through JSON.
    found["timestamp"] = round(float(found["timestamp"]), 3)
    return found


def _are_times(values: list[t.Any]) -> bool:
    return are_numbers(values, moments.LAST) and all(values)


def _is_instance(value: t.Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST_INSTANCE


def is_service(name: t.Any) -> bool:
    """Whether a name can be that of a service, and so a part of a key of the store."""
    return isinstance(name, str) and _SERVICE.fullmatch(name) is not None


def encode(samples: Sequence[Document]) -> bytes:
    """Return an entry with samples of one service.

    :param samples: as :func:`sample` returned them, at least one.
    """
    columns: dict[Path, list[t.Any]] = {}
    for index, document in enumerate(samples):
        for path, leaf in _leaves(document):
            columns.setdefault(path, [None] * len(samples))[index] = leaf
    body = {
        "format": FORMAT,
        "service": samples[0]["service"],
        "timestamp": [document["timestamp"] for document in samples],
        "instance": [document["instance"] for document in samples],
        "columns": [[list(path), column] for path, column in columns.items()],
    }
    return zlib.compress(json.dumps(body, separators=(",", ":")).encode())


def _leaves(document: Document) -> t.Iterator[tuple[Path, t.Any]]:
    for top in ("metrics", "counters"):
        if top in document:
            yield from _below((top,), document[top])


def _below(path: Path, value: t.Any) -> t.Iterator[tuple[Path, t.Any]]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _below((*path, key), item)
    elif value is not None:
        # Nothing was measured where there is None, and None stands for that in a column.
        yield path, value


class Columns(t.NamedTuple):
    """What an entry holds.

    :param timestamps: of its samples, in seconds since 1970.
    :param columns: by the path in a sample's document; None stands for what was not measured.
    """

    service: str
    timestamps: list[float]
    instances: list[str]
    columns: list[tuple[Path, list[t.Any]]]


def unpack(entry: bytes) -> Columns:
    """Return what an entry holds, in the order in which it was encoded.

    Its numbers are not judged. Who reads them does that, and knows what they mean.

    :raises Garbage: it is no entry of ours.
    """
    unpacker = zlib.decompressobj()
    try:
        text = unpacker.decompress(entry, LARGEST_ENTRY)
        if not unpacker.eof:
            raise Garbage("is torn" if not unpacker.unconsumed_tail else f"has more than {LARGEST_ENTRY} bytes")
        return _columns(json.loads(text))
    except (zlib.error, ValueError, RecursionError) as error:
        raise error if isinstance(error, Garbage) else Garbage("is not compressed JSON") from None


def taken(entry: bytes) -> Columns:
    """Return when the samples of an entry were taken, and of whom; without the columns, which is most of the work.

    :raises Garbage: it is no entry of ours, as far as that is seen.
    """
    unpacker = zlib.decompressobj()
    text, rest = b"", entry
    try:
        while _COLUMNS not in text and len(text) < LARGEST_ENTRY:
            more = unpacker.decompress(rest, _HEAD)
            text, rest = text + more, unpacker.unconsumed_tail
            if not more:
                break
        return _columns({**json.loads(text.partition(_COLUMNS)[0] + b"}"), "columns": []})
    except (zlib.error, ValueError, TypeError, RecursionError):
        # Who wrote it does not write as we do, or nothing that can be read.
        return unpack(entry)._replace(columns=[])


def _columns(body: t.Any) -> Columns:
    if not isinstance(body, dict) or body.get("format") != FORMAT:
        raise Garbage(f"has not the format {FORMAT}")
    try:
        times, instances, service = body["timestamp"], body["instance"], body["service"]
        if not isinstance(times, list) or not isinstance(instances, list) or len(times) != len(instances):
            raise Garbage("has no columns of samples")
        if not (is_service(service) and _are_times(times) and all(map(_is_instance, set(instances)))):
            raise Garbage("has a time, a service or an instance that is none")
        columns = [(tuple(keys), column) for keys, column in body["columns"]]
        for path, column in columns:
            if not all(isinstance(key, str) for key in path) or path[0] not in ("metrics", "counters"):
                raise Garbage("has a column that is of no sample")
            if not isinstance(column, list) or len(column) != len(times):
                raise Garbage("has columns of different lengths")
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise error if isinstance(error, Garbage) else Garbage("has no columns of samples") from None
    return Columns(service, times, instances, columns)


def decode(entry: bytes) -> list[Document]:
    """Return the samples of an entry, in the order in which they were encoded.

    :raises Garbage: it is no entry of ours.
    """
    return documents(unpack(entry))


def documents(packed: Columns) -> list[Document]:
    """Return the documents of samples.

    :raises Garbage: columns are in each other's place.
    """
    found: list[Document] = [
        {"timestamp": at, "service": packed.service, "instance": instance, "metrics": {}}
        for at, instance in zip(packed.timestamps, packed.instances)
    ]
    parts: dict[Path, list[Document]] = {(): found}
    try:
        for path, column in packed.columns:
            if None in column:
                for document, leaf in zip(found, column):
                    if leaf is not None:
                        _put(document, path, leaf)
                continue
            # All samples have it, so their mappings can be made, and found again, all at once.
            for part, leaf in zip(_parts(parts, path[:-1]), column):
                part[path[-1]] = leaf
    except (KeyError, TypeError, AttributeError):
        raise Garbage("has no columns of samples") from None
    return found


def _parts(known: dict[Path, list[Document]], path: Path) -> list[Document]:
    """Return the mapping at a path of each sample."""
    if path not in known:
        known[path] = [part.setdefault(path[-1], {}) for part in _parts(known, path[:-1])]
    return known[path]


def _put(document: Document, path: Sequence[str], leaf: t.Any) -> None:
    if len(path) == 1:
        # An empty mapping, which has no leaf of its own.
        document[path[0]] = leaf
        return
    part = document
    for key in path[:-1]:
        part = part.setdefault(key, {})
    part[path[-1]] = leaf


def distinct(samples: Iterable[Document]) -> list[Document]:
    """Return samples without those that are the same in everything, by time and instance.

    Two with one time and different numbers are both kept: which of them counts is for the decision to say.
    """
    seen: dict[tuple[float, str], list[Document]] = {}
    for document in samples:
        others = seen.setdefault((document["timestamp"], document["instance"]), [])
        if document not in others:
            others.append(document)
    return [one for key in sorted(seen) for one in _ordered(seen[key])]


def _ordered(documents: list[Document]) -> list[Document]:
    """Return them in an order that does not depend on the one in which they came."""
    if len(documents) == 1:
        return documents
    return sorted(documents, key=lambda document: json.dumps(document, sort_keys=True))


def minute_means(samples: Iterable[Document]) -> list[Document]:
    """Return one sample for each minute and instance, by time.

    Its time is that of the newest one, for so its counters are right.
    """
    groups: dict[tuple[int, str], list[Document]] = {}
    for document in distinct(samples):
        groups.setdefault((int(document["timestamp"] // 60), document["instance"]), []).append(document)
    return sorted((_one_of(group) for group in groups.values()), key=lambda one: (one["timestamp"], one["instance"]))


def _one_of(group: Sequence[Document]) -> Document:
    """Return the mean of samples, or the newest of those that have none: who reads it judges what it holds."""
    try:
        return _mean(group)
    except (OverflowError, ValueError, TypeError, AttributeError):
        # A number too large for a float, infinities against each other, a number where another has a mapping.
        return group[-1]


def _mean(group: Sequence[Document]) -> Document:
    """Return the mean of samples of one instance, the oldest first."""
    if len(group) == 1:
        return group[0]
    leaves: dict[Path, list[t.Any]] = {}
    for document in group:
        for path, leaf in _leaves(document):
            leaves.setdefault(path, []).append(leaf)
    newest = group[-1]
    mean: Document = {
        "timestamp": newest["timestamp"],
        "service": newest["service"],
        "instance": newest["instance"],
        "metrics": {},
    }
    counted = newest.get("counters")
    if counted is not None:
        # As a whole: a boot's id and the counters since then belong together.
        mean["counters"] = counted
    last = dict(_leaves(newest))
    for path, values in leaves.items():
        if path[0] == "counters":
            continue
        if path in _COUNTERS:
            # One that the newest sample lacks was read at another time than it says.
            if path in last:
                _put(mean, path, last[path])
        else:
            _put(mean, path, _mean_of(values))
    return mean


def _mean_of(values: Sequence[t.Any]) -> t.Any:
    if all(_is_number(value) for value in values):
        return math.fsum(values) / len(values)
    lists = [value for value in values if isinstance(value, list) and value]
    if lists and all(len(one) == len(lists[0]) and all(map(_is_number, one)) for one in lists):
        # An empty list says that there was nothing to measure, such as no request; it has no weight.
        return [math.fsum(column) / len(column) for column in zip(*lists)]
    return values[-1]


def _is_number(value: t.Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
