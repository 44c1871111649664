# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The text of a redis.conf: reading one, and what a running server has otherwise; pure."""

from __future__ import annotations

import re
import typing as t

_UNITS = {"": 1, "b": 1, "k": 1000, "kb": 1024, "m": 10**6, "mb": 1024**2, "g": 10**9, "gb": 1024**3}
_SIZE = re.compile(r"([1-9][0-9]{0,17})(b|kb?|mb?|gb?)?")


def size(text: t.Any) -> int | None:
    """Return the bytes of a size as redis.conf has it; None where it is none."""
    match = _SIZE.fullmatch(str(text).lower())
    return int(match.group(1)) * _UNITS[match.group(2) or ""] if match else None


def parse(text: str) -> dict[str, list[list[str]]]:
    """Read a redis.conf: by directive, in lower case, the words of each of its lines."""
    found: dict[str, list[list[str]]] = {}
    # By line feeds only: a password may hold other characters that Python takes for the end of a line.
    for line in text.split("\n"):
        stripped = line.strip(" \t\r")
        if stripped and not stripped.startswith("#"):
            words = split(stripped)
            if words:
                found.setdefault(words[0].lower(), []).append(words[1:])
    return found


_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "a": "\a"}
_WORD = re.compile(r'"((?:[^"\\]|\\.)*)"|\'((?:[^\'\\]|\\.)*)\'|(\S+)')
_ESCAPED = re.compile(r"\\(?:x([0-9a-fA-F]{2})|(.))")


def split(line: str) -> list[str]:
    """Split a line into words as Redis does (sdssplitargs)."""

    def unescape(match: re.Match[str]) -> str:
        return chr(int(match.group(1), 16)) if match.group(1) else _ESCAPES.get(match.group(2), match.group(2))

    words = []
    for match in _WORD.finditer(line):
        double, single, plain = match.groups()
        if double is not None:
            words.append(_ESCAPED.sub(unescape, double))
        else:
            words.append(plain if single is None else single.replace("\\'", "'"))
    return words


def last(directives: t.Mapping[str, list[list[str]]], name: str, default: str = "") -> str:
    """Return what counts of a directive: its last line."""
    lines = directives.get(name)
    return " ".join(lines[-1]) if lines else default


#: Directives that a running server takes by CONFIG SET, and shows by CONFIG GET as it was given them.
LIVE = frozenset(
    {
        "maxmemory",
        "maxmemory-policy",
        "maxmemory-samples",
        "appendonly",
        "appendfsync",
        "save",
        "tcp-keepalive",
        "timeout",
        "loglevel",
        "slowlog-log-slower-than",
        "slowlog-max-len",
        "latency-monitor-threshold",
        "auto-aof-rewrite-percentage",
        "auto-aof-rewrite-min-size",
        "no-appendfsync-on-rewrite",
        "stop-writes-on-bgsave-error",
        "lazyfree-lazy-eviction",
        "lazyfree-lazy-expire",
        "lazyfree-lazy-server-del",
        "lazyfree-lazy-user-del",
    }
)


def canonical(value: str) -> str:
    """Return a value as CONFIG GET shows it, so that two spellings of one compare equal."""
    text = " ".join(value.split()).lower()
    number = size(text)
    if number is not None:
        return str(number)
    return str(int(text)) if text.isascii() and text.isdigit() else text


def changed(before: str, after: str) -> frozenset[str]:
    """Return the directives in which two files differ."""
    old, new = parse(before), parse(after)

    def shown(directives: t.Mapping[str, list[list[str]]], name: str) -> list[str] | None:
        lines = directives.get(name)
        # Case matters in a password, and the spelling of a number does not matter in a size.
        if lines is None:
            return None
        return [canonical(" ".join(line)) if name in LIVE else " ".join(line) for line in lines]

    return frozenset(name for name in old.keys() | new.keys() if shown(old, name) != shown(new, name))


def settable(names: t.Collection[str], wanted: str) -> bool:
    """Whether a running server can take up some directives of a file without a restart.

    One that is gone from the file has its default, which only a start finds. The append-only file may be turned on; to
    turn it off takes a snapshot first, as a stop does.
    """
    directives = parse(wanted)
    return all(
        name in LIVE and name in directives and (name != "appendonly" or last(directives, name) == "yes")
        for name in names
    )


def differences(running: t.Mapping[str, str], wanted: str) -> frozenset[str]:
    """Return the directives of a file, of those that can be compared, that a running server has otherwise.

    :param running: what CONFIG GET answers.
    """
    directives = parse(wanted)
    return frozenset(
        name
        for name in LIVE & directives.keys() & running.keys()
        if canonical(running[name]) != canonical(last(directives, name))
    )
