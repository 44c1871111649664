# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A broker's users, virtual hosts and permissions: what differs, and the definitions that make it right; pure.

The form is that of RabbitMQ's definitions, as ``rabbitmqctl export_definitions`` writes them; see
https://www.rabbitmq.com/docs/definitions and https://www.rabbitmq.com/docs/passwords.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import typing as t

RIGHTS = ("configure", "write", "read")

#: Makes 4 random bytes.
Salt = t.Callable[[], bytes]

Rights = t.Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class User:
    """A user as it is wanted.

    :param permissions: ``configure``, ``write`` and ``read`` by virtual host; none in those that are not named.
    """

    name: str
    password: str = dataclasses.field(repr=False)
    tags: tuple[str, ...] = ()
    permissions: t.Mapping[str, Rights] = dataclasses.field(default_factory=dict)

    @classmethod
    def of(cls, entry: t.Mapping[str, t.Any]) -> User:
        """Parse a user as the module and the role take it."""
        permissions = {
            str(vhost): {right: str(rights[right]) for right in RIGHTS}
            for vhost, rights in (entry.get("vhosts") or {}).items()
        }
        return cls(
            str(entry["name"]), str(entry["password"]), tuple(sorted(map(str, entry.get("tags") or ()))), permissions
        )


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What there must be, and who must not; what is not named is left alone."""

    vhosts: tuple[str, ...] = ()
    users: tuple[User, ...] = ()
    absent_users: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Known:
    """A user as the broker has it.

    :param definition: the whole of it; what it has besides, such as limits, stays.
    """

    definition: t.Mapping[str, t.Any] = dataclasses.field(repr=False)
    tags: tuple[str, ...] = ()
    permissions: t.Mapping[str, Rights] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Present:
    """What the broker has."""

    vhosts: frozenset[str] = frozenset()
    users: t.Mapping[str, Known] = dataclasses.field(default_factory=dict)

    @classmethod
    def of(cls, exported: t.Mapping[str, t.Any]) -> Present:
        """Parse exported definitions."""
        granted: dict[str, dict[str, Rights]] = {}
        for entry in exported.get("permissions", ()):
            granted.setdefault(entry["user"], {})[entry["vhost"]] = {right: entry[right] for right in RIGHTS}
        users = {
            entry["name"]: Known(entry, _tags(entry.get("tags")), granted.get(entry["name"], {}))
            for entry in exported.get("users", ())
        }
        return cls(frozenset(entry["name"] for entry in exported.get("vhosts", ())), users)


@dataclasses.dataclass(frozen=True)
class Change:
    """One thing that differs.

    :param kind: ``vhost``, ``user`` or ``permissions``.
    :param name: of the virtual host or the user.
    :param vhost: of permissions.
    :param text: a clause for a person.
    """

    kind: str
    name: str
    text: str
    vhost: str = ""


@dataclasses.dataclass(frozen=True)
class Differences:
    """What an import makes right, and what it cannot take away."""

    to_create: tuple[Change, ...] = ()
    to_change: tuple[Change, ...] = ()
    to_delete: tuple[Change, ...] = ()

    @property
    def all(self) -> tuple[Change, ...]:
        """All of them, in the order in which they are carried out."""
        return (*self.to_create, *self.to_change, *self.to_delete)


def _tags(value: t.Any) -> tuple[str, ...]:
    """Before version 3.9 the tags were one text."""
    return tuple(sorted(filter(None, value.split(",")) if isinstance(value, str) else value or ()))


def compare(wanted: Wanted, present: Present) -> Differences:
    """Say what differs."""
    create = [
        Change("vhost", name, f"virtual host {name}: created") for name in sorted(set(wanted.vhosts) - present.vhosts)
    ]
    change: list[Change] = []
    delete: list[Change] = []
    for user in wanted.users:
        known = present.users.get(user.name)
        if known is None:
            create.append(Change("user", user.name, f"user {user.name}: created"))
        else:
            change += [Change("user", user.name, f"user {user.name}: {text}") for text in _differs(user, known)]
        granted = known.permissions if known else {}
        for vhost in sorted(user.permissions):
            if vhost not in granted:
                text = f"user {user.name}: permissions in {vhost}"
                create.append(Change("permissions", user.name, text, vhost))
            elif dict(granted[vhost]) != dict(user.permissions[vhost]):
                text = f"user {user.name}: other permissions in {vhost}"
                change.append(Change("permissions", user.name, text, vhost))
        for vhost in sorted(set(granted) - set(user.permissions)):
            text = f"user {user.name}: no permissions in {vhost} any more"
            delete.append(Change("permissions", user.name, text, vhost))
    delete += [Change("user", name, f"user {name}: removed") for name in wanted.absent_users if name in present.users]
    return Differences(tuple(create), tuple(change), tuple(delete))


def _differs(user: User, known: Known) -> list[str]:
    found = []
    if not has_password(known.definition, user.password):
        found.append("password changed")
    if known.tags != user.tags:
        found.append(f"tags {', '.join(known.tags) or 'none'} -> {', '.join(user.tags) or 'none'}")
    return found


def definitions(wanted: Wanted, present: Present, due: Differences, salt: Salt) -> dict[str, list[dict[str, t.Any]]]:
    """Return what to import; passwords as hashes. Empty lists where only something has to be taken away."""
    users = {user.name: user for user in wanted.users}
    made = (*due.to_create, *due.to_change)
    found: dict[str, list[dict[str, t.Any]]] = {"vhosts": [], "users": [], "permissions": []}
    found["vhosts"] = [{"name": change.name} for change in made if change.kind == "vhost"]
    for name in dict.fromkeys(change.name for change in made if change.kind == "user"):
        known = present.users.get(name)
        found["users"].append(
            {
                **(known.definition if known else {}),
                "name": name,
                "tags": list(users[name].tags),
                "password_hash": hash_of(users[name].password, salt()),
                "hashing_algorithm": "rabbit_password_hashing_sha256",
            }
        )
    found["permissions"] = [
        {"user": change.name, "vhost": change.vhost, **users[change.name].permissions[change.vhost]}
        for change in made
        if change.kind == "permissions"
    ]
    return found


def removals(due: Differences) -> list[list[str]]:
    """Return the words of the calls of rabbitmqctl that take away what an import cannot."""
    return [
        ["delete_user", change.name]
        if change.kind == "user"
        else ["clear_permissions", "--vhost", change.vhost, change.name]
        for change in due.to_delete
    ]


def shown(wanted: Wanted, present: Present) -> tuple[dict[str, t.Any], dict[str, t.Any]]:
    """Return what the broker has of all that is governed here, and what it is going to have; no passwords."""
    before: dict[str, t.Any] = {"vhosts": sorted(present.vhosts & set(wanted.vhosts)), "users": {}}
    after: dict[str, t.Any] = {"vhosts": sorted(wanted.vhosts), "users": {}}
    for user in wanted.users:
        known = present.users.get(user.name)
        if known:
            fits = has_password(known.definition, user.password)
            before["users"][user.name] = _entry(known.tags, known.permissions, "as wanted" if fits else "another")
        after["users"][user.name] = _entry(user.tags, user.permissions, "as wanted")
    for name in wanted.absent_users:
        if name in present.users:
            known = present.users[name]
            before["users"][name] = _entry(known.tags, known.permissions, "unknown")
    return before, after


def _entry(tags: t.Sequence[str], permissions: t.Mapping[str, Rights], password: str) -> dict[str, t.Any]:
    granted = {vhost: dict(rights) for vhost, rights in sorted(permissions.items())}
    return {"password": password, "permissions": granted, "tags": list(tags)}


def hash_of(password: str, salt: bytes, algorithm: str = "sha256") -> str:
    """RabbitMQ's own form: base64 of a salt of 4 bytes and the digest of salt and password."""
    return base64.b64encode(salt + hashlib.new(algorithm, salt + password.encode()).digest()).decode()


def has_password(definition: t.Mapping[str, t.Any], password: str) -> bool:
    """Tell whether an exported user logs in with the password."""
    stored = str(definition.get("password_hash") or "")
    algorithm = str(definition.get("hashing_algorithm") or "rabbit_password_hashing_sha256").rsplit("_", 1)[-1]
    try:
        return bool(stored) and stored == hash_of(password, base64.b64decode(stored)[:4], algorithm)
    except ValueError:
        # An algorithm of a plugin: it is not ours.
        return False
