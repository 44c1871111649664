# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The record of a group's desired members: one JSON document under one key of Consul's KV.

Without a record, the hosts that the inventory names are the desired ones. Once there is one, it names all of them,
those of the inventory as well, so that each of them can leave. What it says is data from outside: its names and
addresses become host names, command lines and configuration, so they are checked before they are used.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.consul import strict
from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError

VERSION = 1

#: The folder of Consul's KV that holds a record for each group.
PREFIX = "scaleout/members"

JOINING = "joining"
MEMBER = "member"
LEAVING = "leaving"
#: Written off: it does not answer, and may be alive elsewhere. Its name and its address are not given to another host.
LOST = "lost"
#: Of those that the group is to have.
DESIRED = (JOINING, MEMBER)

_GROUP = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")
_ADDRESS = re.compile(r"[A-Za-z0-9:]([A-Za-z0-9.:_-]{0,251}[A-Za-z0-9])?")
_PROVIDER = re.compile(r"[a-z][a-z0-9_]{0,62}")
_PROVIDER_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,254}|")
_SINCE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
#: Ansible gives these names a meaning of its own.
_NO_HOST = ("all", "localhost", "ungrouped")
_DIGITS = re.compile(r"(\d+)")


class InvalidRecord(ScaleoutError):
    """A record, or a part of it, that cannot be; the message is a sentence without the record's key."""

    CODE = "invalid_record"


def fault_of_group(name: t.Any) -> str | None:
    """Say why a value is no name of an inventory group; None when it is one."""
    if not isinstance(name, str) or not _GROUP.fullmatch(name):
        return "is not the name of a group, which has letters, digits and underscores"
    return None


def fault_of_address(address: t.Any) -> str | None:
    """Say why a value is no address or host name; None when it is one."""
    return None if _matches(_ADDRESS, address) else "is not an address or a host name"


def natural(name: str) -> tuple[t.Any, ...]:
    """Return a key that sorts ``api10`` after ``api9``."""
    # Texts and numbers take turns in what split returns, so like is compared with like.
    return tuple(int(part) if at % 2 else part for at, part in enumerate(_DIGITS.split(name)))


@dataclasses.dataclass(frozen=True)
class Member:
    """A host that is desired in its group, or was and is not gone yet.

    :param provider_id: what the provider calls the host; empty where it is not known.
    :param since: when its state began, as ``2026-03-01T12:00:00Z``; None for a host of the inventory that the first
        record took over.
    :raises InvalidRecord: a value that is not fit to be used.
    """

    name: str
    address: str
    provider: str
    provider_id: str = ""
    state: str = MEMBER
    since: str | None = None

    def __post_init__(self) -> None:
        if not _matches(_NAME, self.name) or self.name in _NO_HOST:
            raise InvalidRecord(f"{self.name!r} is not the name of a host.")
        for field, pattern, what in (
            ("address", _ADDRESS, "the address"),
            ("provider", _PROVIDER, "the fleet provider"),
            ("provider_id", _PROVIDER_ID, "the provider's id"),
        ):
            if not _matches(pattern, getattr(self, field)):
                raise InvalidRecord(f"{getattr(self, field)!r} is not {what} of {self.name}.")
        if self.state not in (JOINING, MEMBER, LEAVING, LOST):
            raise InvalidRecord(f"{self.state!r} is not the state of {self.name}: joining, member, leaving or lost.")
        if self.since is not None and not _matches(_SINCE, self.since):
            raise InvalidRecord(f"{self.since!r} is not a time at which the state of {self.name} began.")

    @property
    def is_desired(self) -> bool:
        """Whether the group is to have it: it is in it, or on its way."""
        return self.state in DESIRED

    def document(self) -> dict[str, t.Any]:
        """Return the member as the record writes it."""
        return dataclasses.asdict(self)

    def summary(self) -> dict[str, t.Any]:
        """Return what a playbook needs to know of the member."""
        return {
            "name": self.name,
            "address": self.address,
            "provider": self.provider,
            "provider_id": self.provider_id,
        }


@dataclasses.dataclass(frozen=True)
class Record:
    """The members of one group, each name and each address once, in the order in which they are written.

    :raises InvalidRecord: whatever does not hold together.
    """

    group: str
    members: tuple[Member, ...] = ()

    def __post_init__(self) -> None:
        fault = fault_of_group(self.group)
        if fault:
            raise InvalidRecord(f"{self.group!r} {fault}.")
        for field in ("name", "address"):
            seen = set()
            for member in self.members:
                if getattr(member, field) in seen:
                    raise InvalidRecord(f"The {field} {getattr(member, field)} is there twice.")
                seen.add(getattr(member, field))

    @property
    def desired(self) -> tuple[Member, ...]:
        """The members that the group is to have: those that are in it and those on their way."""
        return tuple(member for member in self.members if member.is_desired)

    def only(self, state: str) -> tuple[Member, ...]:
        """Return the members in a state."""
        return tuple(member for member in self.members if member.state == state)

    def get(self, name: str) -> Member | None:
        """Return the member of a name; None where there is none."""
        return next((member for member in self.members if member.name == name), None)

    def document(self) -> dict[str, t.Any]:
        """Return the record as the document under its key."""
        return {
            "version": VERSION,
            "group": self.group,
            "members": [member.document() for member in self.members],
        }

    def text(self) -> str:
        """Return the record as a person reads it, a line for each member; ``--diff`` shows this."""
        return "".join(
            f"{self.group}: {member.name} ({member.address}, {member.provider}) {member.state}\n"
            for member in self.members
        )


def decode(value: bytes | str, group: str) -> Record:
    """Read the record of a group from its JSON text.

    :raises InvalidRecord: the text is not JSON, or :func:`read` refuses what it holds.
    """
    try:
        document = strict.parse(value)
    except strict.NotJson as error:
        raise InvalidRecord(error.message) from None
    return read(document, group)


def read(document: t.Any, group: str) -> Record:
    """Read the record of a group from its document, strictly: what is not understood must not be written over.

    :raises InvalidRecord: it is of another version or group, or does not hold together.
    """
    if not isinstance(document, dict):
        raise InvalidRecord("It is not an object.")
    if document.get("version") != VERSION or isinstance(document["version"], bool):
        raise InvalidRecord(f"Its version is {document.get('version')!r}, and {VERSION} is the one known here.")
    _fields(document, "It", {"version", "group", "members"})
    if document["group"] != group:
        raise InvalidRecord(f"It is of the group {document['group']!r}, not of {group}.")
    if not isinstance(document["members"], list):
        raise InvalidRecord("Its members are not a list.")
    return Record(group, tuple(_read_member(fields) for fields in document["members"]))


def _read_member(fields: t.Any) -> Member:
    if not isinstance(fields, dict):
        raise InvalidRecord(f"{fields!r} is not a member.")
    _fields(fields, "A member", {field.name for field in dataclasses.fields(Member)})
    return Member(**fields)


def _fields(value: dict[str, t.Any], what: str, names: set[str]) -> None:
    lacking, unknown = sorted(names - set(value)), sorted(set(value) - names)
    if lacking:
        raise InvalidRecord(f"{what} lacks the field {lacking[0]}.")
    if unknown:
        raise InvalidRecord(f"{what} has a field that is not known here: {unknown[0]!r}.")


def _matches(pattern: t.Pattern[str], value: t.Any) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None
