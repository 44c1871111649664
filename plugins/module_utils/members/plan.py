# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which hosts join a group and which leave it, so that it has as many members as are asked for.

The record that comes out is written before any host is made or released. So a run that breaks off leaves its intent
behind, and the next one carries it on: who was joining joins, who was leaving leaves.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import itertools
import types
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, Refused
from ansible_collections.scaleout.platform.plugins.module_utils.members.health import RANKS
from ansible_collections.scaleout.platform.plugins.module_utils.members.record import (
    JOINING,
    LEAVING,
    LOST,
    MEMBER,
    InvalidRecord,
    Member,
    Record,
    natural,
)

_UNKNOWN: t.Mapping[str, t.Any] = types.MappingProxyType({})


@dataclasses.dataclass(frozen=True)
class Pool:
    """Hosts of the inventory that wait for work, as ``(name, address)`` in the order in which they are taken."""

    hosts: tuple[tuple[str, str], ...]
    provider: str = "static"


@dataclasses.dataclass(frozen=True)
class Range:
    """Hosts that a provider makes when they are asked for.

    :param addresses: the network that their addresses are taken from, such as ``192.0.2.128/25``.
    :param pattern: their names, with ``{n}`` where the lowest free number from 1 on goes.
    :param reserved: names and addresses that are taken.
    """

    addresses: str | None
    pattern: str
    reserved: frozenset[str] = frozenset()
    provider: str = "docker"


@dataclasses.dataclass(frozen=True)
class Scaling:
    """What a plan says; ``before`` and ``after`` are None where there is no record.

    :param joining: to be made and taken into service, those of an earlier run that broke off first.
    :param leaving: to be drained and released, those of an earlier run first.
    :param staying: in service before and after.
    """

    before: Record | None
    after: Record | None
    joining: tuple[Member, ...] = ()
    leaving: tuple[Member, ...] = ()
    staying: tuple[Member, ...] = ()


def plan(
    group: str,
    static: t.Sequence[Member],
    record: Record | None,
    count: int | None,
    source: Pool | Range,
    now: str,
    minimum: int = 1,
    maximum: int | None = None,
    others: t.Sequence[Member] = (),
    leave: t.Sequence[str] = (),
    health: t.Mapping[str, str] = _UNKNOWN,
    known: t.Mapping[str, bool] = _UNKNOWN,
) -> Scaling:
    """Plan the way to ``count`` members; without a count, the way to as many as there are without those that leave.

    :param static: the hosts that the inventory itself names in the group. Without a record they are its members; with
        one, those that it does not name are the first to come back, each at its own address.
    :param source: where further hosts come from.
    :param now: the time, as ``2026-03-01T12:00:00Z``.
    :param others: the members of other groups, whose names and addresses are taken.
    :param leave: names of members that leave, before any other.
    :param health: how each member is, as :mod:`.health` has it; who does not serve leaves before who does.
    :param known: the hosts that Consul knows, and whether each is alive. A name of a host that is gone is not given to
        another one as long as Consul knows it: what was said of the old one would hit the new one.
    :raises InvalidInput: a count outside the bounds, a name that is no member's, or a range or pattern that cannot be.
    :raises Refused: there are not as many hosts as that.
    """
    present = _returned(record, known, now) if record else _of_inventory(group, static)
    desired = [member for member in present.desired if member.name not in leave]
    _check_names(group, leave, present)
    count = len(desired) if count is None else count
    check_bounds(group, count, minimum, maximum)
    surplus = [
        *(member for member in present.desired if member.name in leave),
        *_expendable_first(desired, static, health)[: max(0, len(desired) - count)],
    ]
    kept = tuple(
        # Its host may have been made in part, so that one that never arrived is released like any other.
        dataclasses.replace(member, state=LEAVING, since=now) if member in surplus else member
        for member in present.members
    )
    wanted = count - len(desired)
    fresh: tuple[Member, ...] = ()
    if wanted > 0:
        fresh = tuple(
            dataclasses.replace(host, state=JOINING, since=now)
            for host in _candidates(group, static, present, count, wanted, source, others, known)
        )
    after = Record(group, kept + fresh)
    # A group that stays as the inventory has it needs no record.
    return compare(record, after if record is not None or after != present else None, after)


def _of_inventory(group: str, static: t.Sequence[Member]) -> Record:
    return Record(group, tuple(dataclasses.replace(host, state=MEMBER, since=None) for host in static))


def _returned(record: Record, known: t.Mapping[str, bool], now: str) -> Record:
    """Let those that were written off and are alive again leave, so that they are cleaned and may be used again."""
    return Record(
        record.group,
        tuple(
            dataclasses.replace(member, state=LEAVING, since=now)
            if member.state == LOST and known.get(member.name)
            else member
            for member in record.members
        ),
    )


def write_off(
    record: Record | None, group: str, static: t.Sequence[Member], names: t.Collection[str], now: str
) -> Record | None:
    """Return the record once hosts are written off; ``record`` itself where it names none of them.

    A VM of a static provider may be alive somewhere, so it is remembered as lost. Of a host that its provider makes,
    nothing is kept: there will be another one.

    :raises Refused: no member would be left.
    """
    present = record or _of_inventory(group, static)
    if not any(member.name in names and member.state != LOST for member in present.members):
        return record
    after = Record(
        group,
        tuple(
            dataclasses.replace(member, state=LOST, since=now) if member.name in names else member
            for member in present.members
            if member.name not in names or member.provider == "static"
        ),
    )
    if not after.desired:
        raise Refused(
            f"{', '.join(names)} cannot be written off, because {group} would have no member left. Scale it up first.",
            code="last_member",
        )
    return after


def compare(before: Record | None, after: Record | None, members: Record | None = None) -> Scaling:
    """Return what it takes to get from one record to the next.

    :param members: the group's members where there is no record.
    """
    present = after or members
    if present is None:
        return Scaling(before, after)
    already = {member.name for member in before.only(LEAVING)} if before else set()
    return Scaling(
        before,
        after,
        joining=present.only(JOINING),
        leaving=tuple(sorted(present.only(LEAVING), key=lambda member: member.name not in already)),
        staying=present.only(MEMBER),
    )


def settle(
    record: Record | None,
    group: str,
    joined: t.Sequence[str],
    left: t.Sequence[str],
    now: str,
    provider_ids: t.Mapping[str, str] | None = None,
    kept: t.Sequence[str] = (),
) -> Record | None:
    """Return the record once hosts have arrived or are gone; ``record`` itself where it says so already.

    :param joined: names of hosts that serve now.
    :param left: names of hosts that were leaving, or never arrived, and are released. A name that the record does not
        have is gone already.
    :param provider_ids: what the provider calls those that joined.
    :param kept: names of hosts that were leaving and stay after all.
    :raises InvalidInput: a name that is in two lists.
    :raises Refused: the record does not expect a host to join, or to leave.
    """
    both = sorted(set(joined) & set(left))
    if both:
        raise InvalidInput("joined", both[0], "is in left as well")
    _check_kept(record, group, kept, {*joined, *left})
    if record is None:
        if joined:
            raise Refused(
                f"{joined[0]} cannot have joined {group}: no record says that it was to join.", code="not_expected"
            )
        return None
    for name in joined:
        member = record.get(name)
        if member is None or not member.is_desired:
            reason = f"it is {member.state}" if member else "the record does not name it"
            raise Refused(f"{name} cannot have joined {group}: {reason}.", code="not_expected", member=name)
    for name in left:
        member = record.get(name)
        if member and member.state == MEMBER:
            raise Refused(
                f"{name} cannot have left {group}: the record has it as a member that stays.",
                code="not_expected",
                member=name,
            )
    return Record(
        group,
        tuple(
            _settled(member, joined, kept, provider_ids or {}, now)
            for member in record.members
            if member.name not in left
        ),
    )


def _check_kept(record: Record | None, group: str, kept: t.Sequence[str], others: t.Collection[str]) -> None:
    for name in kept:
        if name in others:
            raise InvalidInput("kept", name, "is in joined or left as well")
        member = record.get(name) if record else None
        if member is None or member.state not in (LEAVING, MEMBER):
            reason = f"it is {member.state}" if member else "no record names it"
            raise Refused(f"{name} cannot stay in {group}: {reason}.", code="not_expected", member=name)


def _settled(
    member: Member, joined: t.Sequence[str], kept: t.Sequence[str], provider_ids: t.Mapping[str, str], now: str
) -> Member:
    if member.name in joined:
        return _arrived(member, provider_ids, now)
    if member.name in kept and member.state == LEAVING:
        return dataclasses.replace(member, state=MEMBER, since=now)
    return member


def _arrived(member: Member, provider_ids: t.Mapping[str, str], now: str) -> Member:
    return dataclasses.replace(
        member,
        state=MEMBER,
        since=now if member.state == JOINING else member.since,
        provider_id=provider_ids.get(member.name, member.provider_id),
    )


def check_bounds(group: str, count: int, minimum: int, maximum: int | None) -> None:
    """Refuse a count outside the bounds, and bounds that cannot be.

    :raises InvalidInput: naming what is wrong.
    """
    if minimum < 1:
        raise InvalidInput("minimum", minimum, "is below 1")
    if maximum is not None and maximum < minimum:
        raise InvalidInput("maximum", maximum, f"is below the minimum of {group}, {minimum}")
    if count < minimum:
        raise InvalidInput("count", count, f"is below the minimum of {group}, {minimum}")
    if maximum is not None and count > maximum:
        raise InvalidInput("count", count, f"is above the maximum of {group}, {maximum}")


def _check_names(group: str, leave: t.Sequence[str], present: Record) -> None:
    for name in leave:
        if present.get(name) is None:
            names = ", ".join(member.name for member in present.members)
            raise InvalidInput("leave", name, f"is not a member of {group}, which has {names}")


def _expendable_first(
    members: t.Sequence[Member], static: t.Sequence[Member], health: t.Mapping[str, str]
) -> list[Member]:
    """Order members as a shrinking group gives them up: who is dead, who does not serve, who was added last."""
    of_inventory = {host.name for host in static}
    return sorted(
        members,
        key=lambda member: (
            RANKS.get(health.get(member.name, "")) or 0,
            member.state == JOINING,
            member.name not in of_inventory,
            member.since or "",
            natural(member.name),
        ),
        reverse=True,
    )


def _candidates(
    group: str,
    static: t.Sequence[Member],
    present: Record,
    count: int,
    wanted: int,
    source: Pool | Range,
    others: t.Sequence[Member],
    known: t.Mapping[str, bool],
) -> list[Member]:
    """Return ``wanted`` hosts that are in no record yet; hosts of the inventory come back before others are made."""
    # A host that is there may be alive in Consul for what else it does. One that would be made must be unknown.
    lingering = {name for name, alive in known.items() if not alive or isinstance(source, Range)}
    lingering -= {host.name for host in static if known.get(host.name)}
    taken = {mark for member in (*present.members, *others) for mark in (member.name, member.address)}
    taken |= lingering
    busy = [member.name for member in present.members if member.state == LEAVING]
    found = [host for host in static if host.name not in taken and host.address not in taken][:wanted]
    wanted -= len(found)
    if not wanted:
        return found
    # A host of the inventory keeps its name and its address even while it has left.
    taken |= {mark for host in static for mark in (host.name, host.address)}
    if isinstance(source, Pool):
        return found + _from_pool(group, count, wanted, source, taken, lingering, busy)
    taken |= source.reserved
    return found + _from_range(group, count, wanted, source, taken)


def _of_lingering(names: t.Sequence[str], lingering: t.Collection[str]) -> str:
    gone = [name for name in names if name in lingering]
    return f" Consul still knows {', '.join(gone)} from before; forget.yml ends that." if gone else ""


def _of_leaving(group: str, busy: t.Sequence[str]) -> str:
    if not busy:
        return ""
    return (
        f" {', '.join(busy)} {'is' if len(busy) == 1 else 'are'} still leaving {group}: scale.yml with the number of "
        "members that there are now finishes that, and then they can be had again."
    )


def _from_pool(
    group: str,
    count: int,
    wanted: int,
    source: Pool,
    taken: set[str],
    lingering: t.Collection[str],
    busy: t.Sequence[str],
) -> list[Member]:
    free = [(name, address) for name, address in source.hosts if name not in taken and address not in taken]
    if len(free) < wanted:
        raise Refused(
            f"count: the static pool has {len(free)} host{'' if len(free) == 1 else 's'} left of the {wanted} that "
            f"{group}={count} needs: add hosts to the pool, or ask for {count - wanted + len(free)} at the most."
            + _of_lingering([name for name, _address in source.hosts], lingering)
            + _of_leaving(group, [name for name, _address in source.hosts if name in busy]),
            code="no_room",
            available=count - wanted + len(free),
        )
    return [_member("pool", name, address, source.provider) for name, address in free[:wanted]]


def _from_range(group: str, count: int, wanted: int, source: Range, taken: set[str]) -> list[Member]:
    if source.pattern.count("{n}") != 1:
        raise InvalidInput("name_pattern", source.pattern, "does not have {n} once, where the number goes")
    try:
        network = ipaddress.ip_network(source.addresses or "")
    except ValueError:
        raise InvalidInput("address_range", source.addresses, "is not a network, such as 192.0.2.128/25") from None
    addresses = (str(address) for address in network.hosts() if str(address) not in taken)
    names = (source.pattern.replace("{n}", str(number)) for number in itertools.count(1))
    free = itertools.islice(zip((name for name in names if name not in taken), addresses), wanted)
    found = [_member("name_pattern", name, address, source.provider) for name, address in free]
    if len(found) < wanted:
        raise Refused(
            f"address_range: {source.addresses} has {len(found)} free address{'' if len(found) == 1 else 'es'} of "
            f"the {wanted} that {group}={count} needs.",
            code="no_room",
            available=count - wanted + len(found),
        )
    return found


def _member(option: str, name: str, address: str, provider: str) -> Member:
    try:
        return Member(name, address, provider)
    except InvalidRecord as error:
        raise InvalidInput(option, name, f"gives no host: {error.message.rstrip('.')}") from None
