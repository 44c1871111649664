# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Names that are given once for all, and which others may go into configuration files, command lines and PostgreSQL."""

from __future__ import annotations

import difflib
import re
import typing as t

#: PostgreSQL cuts longer names off (NAMEDATALEN is 64, with the final zero).
LONGEST_IDENTIFIER = 63

#: Who makes hosts: Docker, as containers with systemd; or none, as they are there already.
FLEET_PROVIDERS = ("docker", "static")

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")
_ADDRESS = re.compile(r"[A-Za-z0-9:]([A-Za-z0-9.:_-]{0,251}[A-Za-z0-9])?")
_IDENTIFIER = re.compile(r"[^\W\d][\w$-]*")
_RELEASE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
#: A release without a name of its own is called by twelve digits of its digest, which are no number here.
_VERSION = re.compile(r"v?(\d{1,9}(?:\.\d{1,9}){0,7})")
_NOT_IN_SLOT = re.compile(r"[^a-z0-9_]")
#: How near a name is that may be meant, by the ratio of difflib.
_NEAR = 0.7
#: So many letters at the beginning of one name alone say which is meant.
_BEGINNING = 3


def slot(host: str) -> str:
    """Return the name of the replication slot of a standby: its host name in the characters that a slot may have."""
    return _NOT_IN_SLOT.sub("_", host.lower())


def bracketed(address: str) -> str:
    """Return an address as it stands before a port, in a URL and elsewhere."""
    return f"[{address}]" if ":" in address else address


def fault_of_host(name: str) -> str | None:
    """Say why an inventory name is not fit to be one; None when it is."""
    if not _HOST.fullmatch(name):
        return "is not a host name of letters, digits, dots, hyphens and underscores"
    return None


def fault_of_address(address: t.Any) -> str | None:
    """Say why a value is no address or host name; None when it is one."""
    if not isinstance(address, str) or not _ADDRESS.fullmatch(address):
        return "is not an address or a host name"
    return None


def is_release(version: str) -> bool:
    """Whether a release may have this name, which becomes a directory."""
    return _RELEASE.fullmatch(version) is not None


def version_number(version: str) -> tuple[int, ...] | None:
    """Return a version as numbers that compare, such as ``1.4``; None for any other name.

    >>> version_number("v1.4.0") == version_number("1.4")
    True
    """
    found = _VERSION.fullmatch(version)
    if found is None:
        return None
    parts = [int(part) for part in found[1].split(".")]
    while len(parts) > 1 and parts[-1] == 0:
        parts.pop()
    return tuple(parts)


def fault_of_identifier(name: t.Any) -> str | None:
    """Say why a value is no name for a database or a role of ours; None when it is one.

    PostgreSQL would take any name in quotes. Names travel through URLs, configuration files and scripts as well.
    """
    if not isinstance(name, str) or not _IDENTIFIER.fullmatch(name):
        return "is not a name of letters, digits, underscores and hyphens"
    return fault_of_length(name)


def fault_of_length(name: str) -> str | None:
    """Say that PostgreSQL would cut a name off; None when it would not."""
    length = len(name.encode("utf-8"))
    if length > LONGEST_IDENTIFIER:
        return f"has {length} bytes, and PostgreSQL keeps {LONGEST_IDENTIFIER} of a name"
    return None


def nearest(name: t.Any, known: t.Sequence[str], prefix: str = "") -> str:
    """Return the name that may be meant by one that is misspelled; empty where none is near.

    :param known: the names that there are.
    :param prefix: what is written before a name elsewhere, such as ``app_``.
    """
    given = str(name).lower().replace("-", "_")
    given = given[len(prefix) :] if prefix and given.startswith(prefix) else given
    if given in known:
        return given
    near = difflib.get_close_matches(given, known, n=1, cutoff=_NEAR)
    if near:
        return near[0]
    alike = [one for one in known if min(len(one), len(given)) >= _BEGINNING and _begins(one, given)]
    return alike[0] if len(alike) == 1 else ""


def _begins(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)


def unknown_key(key: t.Any, known: t.Sequence[str], prefix: str = "") -> str:
    """Say that an entry has a key that means nothing, and what may be meant; :func:`nearest` says of which names."""
    meant = nearest(key, known, prefix)
    hint = f"; did you mean {meant}" if meant else ""
    return f"has {key!r}, which is not known here{hint}; it may have {', '.join(known)}"
