# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Names that are given once for all, and which others may go into configuration files, command lines and PostgreSQL."""

from __future__ import annotations

import re
import typing as t

#: PostgreSQL cuts longer names off (NAMEDATALEN is 64, with the final zero).
LONGEST_IDENTIFIER = 63

#: Who makes hosts: Docker, as containers with systemd; or none, as they are there already.
FLEET_PROVIDERS = ("docker", "static")

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")
_ADDRESS = re.compile(r"[A-Za-z0-9:]([A-Za-z0-9.:_-]{0,251}[A-Za-z0-9])?")
_IDENTIFIER = re.compile(r"[^\W\d][\w$-]*")
_NOT_IN_SLOT = re.compile(r"[^a-z0-9_]")


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
