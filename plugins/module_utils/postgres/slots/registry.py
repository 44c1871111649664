# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What Patroni knows of the slots of its cluster, and what it has to be told; pure.

Patroni has a slot for each member, makes each permanent one on each server, and drops every other that no matcher of
``ignore_slots`` fits. What is permanent and ignored stands in its dynamic configuration.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.postgres.slots.state import Slot

MEMBER, PERMANENT, IGNORED = "member", "permanent", "ignored"

#: Where the permanent slots may stand; of those that are not empty the first counts.
_KEYS = ("permanent_replication_slots", "permanent_slots", "slots")

_FALSE = ("false", "off", "no", "0")


@dataclasses.dataclass(frozen=True)
class Entry:
    """What Patroni is told of one slot.

    :param kind: ``permanent`` or ``ignored``; ``None`` to forget it.
    """

    name: str
    kind: str | None
    slot_type: str = "physical"
    plugin: str | None = None
    database: str | None = None

    @classmethod
    def of(cls, slot: Slot, kind: str | None) -> Entry:
        """The entry of a slot."""
        return cls(slot.name, kind, slot.slot_type, slot.plugin, slot.database)

    @property
    def attributes(self) -> dict[str, t.Any]:
        """The slot as Patroni writes it."""
        if self.slot_type == "physical":
            return {"type": "physical"}
        return {"type": "logical", "database": self.database, "plugin": self.plugin}


@dataclasses.dataclass(frozen=True)
class Registry:
    """What Patroni knows.

    :param permanent: the permanent slots, as they stand there.
    :param matchers: ``ignore_slots``, as it stands there.
    :param key: the one among Patroni's names for permanent slots that counts.
    :param uses_slots: whether Patroni makes and keeps slots at all.
    :param members: names of members, by the names of their slots.
    :param leader: who leads, as far as Patroni knows.
    """

    permanent: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)
    matchers: tuple[t.Mapping[str, t.Any], ...] = ()
    key: str = "slots"
    uses_slots: bool = True
    members: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    leader: str | None = None

    @classmethod
    def of(cls, settings: t.Mapping[str, t.Any], members: t.Iterable[str] = (), leader: str | None = None) -> Registry:
        """The registry of a dynamic configuration and the members of its cluster."""
        key = next((key for key in _KEYS if settings.get(key)), "slots")
        uses_slots = _mapping(settings.get("postgresql")).get("use_slots", True)
        matchers = settings.get("ignore_slots") or ()
        return cls(
            _mapping(settings.get(key)),
            tuple(matcher for matcher in matchers if isinstance(matcher, dict)),
            key,
            str(uses_slots).lower() not in _FALSE,
            {slot_of(member): member for member in members},
            leader,
        )

    def kind(self, slot: Slot) -> str | None:
        """Whose a slot is: ``member``, ``permanent``, ``ignored``, or ``None`` for one that Patroni drops."""
        if self.uses_slots and slot.slot_type == "physical" and slot.name in self.members:
            return MEMBER
        if self.uses_slots and slot.name in self.permanent:
            return PERMANENT if _is(self.permanent[slot.name], slot) else None
        return IGNORED if any(_matches(matcher, slot) for matcher in self.matchers) else None

    def named(self, name: str) -> str | None:
        """How a name is registered, whatever slot has it; a matcher of several names is not about this one."""
        if name in self.permanent:
            return PERMANENT
        return IGNORED if any(matcher.get("name") == name for matcher in self.matchers) else None

    @property
    def names(self) -> set[str]:
        """All names that are registered."""
        return {*self.permanent, *(str(matcher["name"]) for matcher in self.matchers if matcher.get("name"))}

    def marked(self, slots: t.Mapping[str, Slot], in_recovery: bool) -> dict[str, Slot]:
        """The slots of a server, with whose they are; permanent ones of a replica are its copies of the leader's."""
        marked = {}
        for name, slot in slots.items():
            kind = self.kind(slot)
            marked[name] = dataclasses.replace(
                slot,
                patroni=kind,
                member=self.members[name] if kind == MEMBER else None,
                # A member that is away has left the list of members, and its slot is kept for member_slots_ttl. Others
                # that are not known do not last: Patroni looks at the slots after each start of a server.
                spared=kind == MEMBER or (kind is None and slot.slot_type == "physical"),
                synced=slot.synced or (in_recovery and kind == PERMANENT),
            )
        return marked

    def told(self, entries: t.Iterable[Entry]) -> Registry:
        """The registry once Patroni was told of slots."""
        permanent, matchers = dict(self.permanent), list(self.matchers)
        for entry in entries:
            permanent.pop(entry.name, None)
            matchers = [matcher for matcher in matchers if matcher.get("name") != entry.name]
            if entry.kind == PERMANENT:
                permanent[entry.name] = entry.attributes
            elif entry.kind == IGNORED:
                matchers.append({"name": entry.name, **entry.attributes})
        return dataclasses.replace(self, permanent=permanent, matchers=tuple(matchers))

    def changes(self, after: Registry) -> dict[str, t.Any]:
        """What turns this registry into another, as Patroni takes it: ``None`` removes a key, mappings are merged."""
        changes: dict[str, t.Any] = {}
        slots: dict[str, t.Any] = {name: None for name in self.permanent if name not in after.permanent}
        for name, wanted in after.permanent.items():
            there = self.permanent.get(name)
            if name not in self.permanent or wanted != there:
                slots[name] = {**dict.fromkeys(_mapping(there)), **wanted}
        if slots:
            changes[self.key] = slots
        if after.matchers != self.matchers:
            changes["ignore_slots"] = [dict(matcher) for matcher in after.matchers] or None
        return changes


def slot_of(member: str) -> str:
    """The name of a member's slot: Patroni's ``slot_name_from_member_name``."""
    return re.sub("[^a-z0-9_]", lambda at: "_" if at[0] in "-." else f"u{ord(at[0]):04d}", member.lower())[:63]


def _mapping(value: t.Any) -> t.Mapping[str, t.Any]:
    return value if isinstance(value, dict) else {}


def _is(there: t.Any, slot: Slot) -> bool:
    """Whether a permanent slot's entry is about this slot; Patroni drops one that is otherwise."""
    entry = _mapping(there)
    kind = entry.get("type") or ("logical" if entry.get("database") and entry.get("plugin") else "physical")
    if kind != slot.slot_type:
        return False
    return kind == "physical" or (entry.get("database"), entry.get("plugin")) == (slot.database, slot.plugin)


def _matches(matcher: t.Mapping[str, t.Any], slot: Slot) -> bool:
    """Whether a matcher fits a slot; what it does not name fits all."""
    there = {"name": slot.name, "type": slot.slot_type, "database": slot.database, "plugin": slot.plugin}
    return all(not matcher.get(attribute) or matcher[attribute] == value for attribute, value in there.items())
