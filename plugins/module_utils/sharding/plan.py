# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The next version of a shard map: buckets divided by weight, and no row left behind.

A map is only a promise about where rows are. Whatever breaks the promise, because it would send the readers of a
bucket to a database that does not hold its rows, is refused here, and each such move is named.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Refused
from ansible_collections.scaleout.platform.plugins.module_utils.sharding import ranges
from ansible_collections.scaleout.platform.plugins.module_utils.sharding.estimate import Size
from ansible_collections.scaleout.platform.plugins.module_utils.sharding.map import Cluster, InvalidMap, Shard, ShardMap
from ansible_collections.scaleout.platform.plugins.module_utils.sharding.ranges import BucketRange

#: So many moves are spelled out in a message; the rest is counted.
_MOVES_SHOWN = 8


@dataclasses.dataclass(frozen=True)
class Wanted:
    """A shard as the user declares it.

    :param buckets: the ranges it is to own, or None to have them divided by weight.
    :param weight: its part of the buckets relative to the other shards; 0 for a shard that owns none yet.
    """

    shard: Shard
    buckets: tuple[tuple[int, int], ...] | None = None
    weight: int = 1


class Relocation(t.NamedTuple):
    """Buckets whose rows would have to be in another database.

    :param source: the shard whose database, in the map in force, holds the rows.
    :param buckets: how many buckets move, of the ``owned`` ones of the source.
    :param facts: the same for the task's result.
    """

    text: str
    source: int
    buckets: int
    owned: int
    facts: dict[str, t.Any]


class MovesRows(Refused):
    """A map that would be a lie until rows have moved.

    :param sizes: how large the databases of the sources are, as far as they were asked.
    """

    CODE = "moves_rows"

    def __init__(
        self, version: int, relocations: t.Sequence[Relocation], sizes: t.Mapping[int, Size] | None = None
    ) -> None:
        named, facts, parts = [], [], []
        for relocation in relocations:
            size = (sizes or {}).get(relocation.source)
            if size is None:
                named.append(relocation.text)
                facts.append(dict(relocation.facts))
            else:
                parts.append(size.part(relocation.buckets, relocation.owned))
                named.append(f"{relocation.text} ({parts[-1]})")
                facts.append(dict(relocation.facts, **parts[-1]._asdict()))
        more = len(named) - _MOVES_SHOWN
        super().__init__(
            f"The shard map of version {version} stays as it is, because rows would have to move first: "
            f"{'; '.join(named[:_MOVES_SHOWN])}{f'; and {more} more' if more > 0 else ''}"
            + (f"; together {Size(*map(sum, zip(*parts)))}" if len(parts) > 1 else "")
            + ".",
            moves=facts,
        )
        self.version = version
        self.relocations = relocations

    @property
    def sources(self) -> list[int]:
        """The shards whose databases hold rows that would have to move."""
        return sorted({relocation.source for relocation in self.relocations})

    def estimated(self, sizes: t.Mapping[int, Size]) -> MovesRows:
        """The same with an estimate of the rows and bytes of each move."""
        return MovesRows(self.version, self.relocations, sizes)


def divide(weights: t.Mapping[int, int], buckets: int, held: t.Sequence[BucketRange] = ()) -> tuple[BucketRange, ...]:
    """Divide the buckets among shards in proportion to their weights, moving as few of them as that allows.

    Numbers are rounded by the method of largest remainders, so a shard is never a whole bucket away from its
    part; where remainders are equal, the shard that holds the bucket keeps it.

    :param weights: weight by shard id; a shard of weight 0 gets nothing.
    :param held: who owns what now; empty at first, and then each shard gets one range, in order of the ids.
    :raises InvalidMap: no shard has a weight, or one with a weight would be left without a bucket.
    """
    targets = _targets(weights, buckets, ranges.sizes(held))
    spare: list[BucketRange] = []
    kept: list[BucketRange] = []
    if not held:
        spare.append(BucketRange(0, buckets - 1, -1))
    wanting = dict(targets)
    for current in held:
        keeps = min(current.size, wanting.get(current.shard, 0))
        if keeps:
            wanting[current.shard] -= keeps
            kept.append(current._replace(last=current.first + keeps - 1))
        if keeps < current.size:
            spare.append(current._replace(first=current.first + keeps))
    for shard_id in sorted(wanting):
        while wanting[shard_id]:
            source = spare.pop(0)
            taken = min(source.size, wanting[shard_id])
            wanting[shard_id] -= taken
            kept.append(BucketRange(source.first, source.first + taken - 1, shard_id))
            if taken < source.size:
                spare.insert(0, source._replace(first=source.first + taken))
    return ranges.merge(kept)


def _targets(weights: t.Mapping[int, int], buckets: int, held: t.Mapping[int, int]) -> dict[int, int]:
    """Return how many buckets each shard is to own; they add up to ``buckets``."""
    total = sum(weights.values())
    if total <= 0:
        raise InvalidMap("No shard has a weight above 0, so no shard would own the buckets.")
    targets = {shard_id: buckets * weight // total for shard_id, weight in weights.items()}
    by_remainder = sorted(
        weights,
        # Of equal remainders, one bucket more goes to a shard that would otherwise have to give it away.
        key=lambda shard_id: (
            -(buckets * weights[shard_id] % total),
            held.get(shard_id, 0) <= targets[shard_id],
            shard_id,
        ),
    )
    for shard_id in by_remainder[: buckets - sum(targets.values())]:
        targets[shard_id] += 1
    for shard_id, weight in weights.items():
        if weight and not targets[shard_id]:
            raise InvalidMap(f"The weight {weight} of shard {shard_id} is too small for a single bucket of {buckets}.")
    return targets


def next_map(published: ShardMap | None, wanted: t.Sequence[Wanted], buckets: int) -> ShardMap:
    """Return the map to publish: ``published`` itself when it says all that is wanted.

    :param published: the map in force, or None before the first publication.
    :param wanted: every shard of the map, all of them with buckets of their own or none of them.
    :param buckets: the number of buckets of a first map; a published map keeps its own.
    :raises InvalidMap: what is wanted does not hold together.
    :raises Refused: it would move buckets; the message names each move, and so does the fact ``moves``.
    """
    buckets = published.buckets if published else buckets
    owned = _wanted_ranges(published, wanted, buckets)
    version = published.version if published else 1
    candidate = ShardMap(version, buckets, tuple(entry.shard for entry in wanted), owned)
    if published is None or candidate == published:
        return published or candidate
    _refuse_moves(published, candidate)
    return dataclasses.replace(candidate, version=version + 1)


def _wanted_ranges(published: ShardMap | None, wanted: t.Sequence[Wanted], buckets: int) -> tuple[BucketRange, ...]:
    declared = [entry for entry in wanted if entry.buckets is not None]
    if declared and len(declared) < len(wanted):
        without = ", ".join(str(entry.shard.id) for entry in wanted if entry.buckets is None)
        raise InvalidMap(f"Some shards declare their buckets and others do not: {without}.")
    if declared:
        return tuple(BucketRange(*pair, entry.shard.id) for entry in declared for pair in entry.buckets or ())
    weights = {entry.shard.id: entry.weight for entry in wanted}
    for shard_id, weight in weights.items():
        if weight < 0:
            raise InvalidMap(f"The weight {weight} of shard {shard_id} is below 0.")
    if published is None:
        return divide(weights, buckets)
    known = {shard.id for shard in published.shards}
    newcomers = [shard_id for shard_id in weights if shard_id not in known and weights[shard_id]]
    leavers = [shard_id for shard_id in ranges.sizes(published.ranges) if shard_id not in weights]
    if newcomers or leavers:
        return divide(weights, buckets, published.ranges)
    # Weights count when buckets find an owner. Those of a map in force have one.
    return published.ranges


def _refuse_moves(published: ShardMap, candidate: ShardMap) -> None:
    owned = ranges.sizes(published.ranges)
    relocations = [
        Relocation(str(move), move.source, move.last - move.first + 1, owned[move.source], dict(move._asdict()))
        for move in ranges.moves(published.ranges, candidate.ranges)
    ]
    relocations += _moves_of_databases(published, candidate)
    if relocations:
        raise MovesRows(published.version, relocations)


def _moves_of_databases(published: ShardMap, candidate: ShardMap) -> list[Relocation]:
    """Name the shards that keep their buckets and would be read from a database that does not hold their rows.

    A new address, another member, a renamed cluster and a renamed database have the rows. A cluster of which no member
    was one of the shard's cluster, and a database that was another shard's, do not.
    """
    found = []
    former = {shard.id: shard for shard in published.shards}
    for shard in candidate.shards:
        before = former.get(shard.id)
        # What other shards give or take is a move of its own.
        kept = [held for held in published.ranges if held.shard == shard.id]
        owned = [current for current in candidate.ranges if current.shard == shard.id]
        if before is None or not owned or not kept:
            continue
        taken_over = [other.id for other in published.shards if other.id != shard.id and _same_rows(other, shard)]
        spans = ", ".join(ranges.span(current.first, current.last) for current in owned)
        if not _share_a_member(before.cluster, shard.cluster):
            text = f"{spans} of shard {shard.id} from {before.cluster} to {shard.cluster}"
        elif taken_over:
            text = f"{spans} of shard {shard.id} to the database of shard {taken_over[0]}"
        else:
            continue
        buckets = sum(current.size for current in kept)
        facts = {
            "shard": shard.id,
            "buckets": buckets,
            "source_database": f"{before.database} on {before.cluster}",
            "target_database": f"{shard.database} on {shard.cluster}",
        }
        found.append(Relocation(text, shard.id, buckets, buckets, facts))
    return found


def _share_a_member(one: Cluster, other: Cluster) -> bool:
    """Whether a server is in both, by its name or its address."""
    known = {place for server in one.members for place in (server.name, server.address)}
    return any(server.name in known or server.address in known for server in other.members)


def _same_rows(one: Shard, other: Shard) -> bool:
    """Whether two shards, of two maps, name one database of one server."""
    addresses = {server.address for server in one.cluster.members}
    return one.database == other.database and not addresses.isdisjoint(
        server.address for server in other.cluster.members
    )
