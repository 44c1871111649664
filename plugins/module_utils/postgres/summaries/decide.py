# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Decides what becomes of a summary; pure."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Refused
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.summaries import fit
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.summaries.part import Part
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.summaries.spec import Source, Summary
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.summaries.state import (
    Firing,
    Kept,
    Relation,
    State,
)

CREATED, CHANGED, REPAIRED, RESEEDED, GRANTED, CLEANED, DROPPED, NONE = (
    "created", "changed", "repaired", "reseeded", "granted", "cleaned", "dropped", "none",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Decision:
    """What becomes of one summary.

    :param outcome: ``created``, ``changed``, ``repaired`` (triggers were missing, so it is counted again),
        ``reseeded``, ``granted``, ``cleaned`` (of what a broken-off task left), ``dropped`` or ``none``.
    :param before: the summary that is there.
    :param after: as it will be.
    :param grants: the readers that get the right to read.
    :param leftovers: stems of objects that nothing uses.
    :param bare: for each part the relations that lack triggers.
    :param stray: the tables that have triggers and are no partitions, such as one that was detached by hand.
    """

    outcome: str
    wanted: Summary
    before: Kept | None
    after: Kept | None
    grants: tuple[str, ...] = ()
    leftovers: tuple[str, ...] = ()
    bare: t.Mapping[str, tuple[Relation, ...]] = dataclasses.field(default_factory=dict)
    stray: tuple[Firing, ...] = ()

    @property
    def built(self) -> Kept | None:
        """The summary whose parts are new; None where those that are there stay."""
        same = self.before and self.after and self.before.parts == self.after.parts
        return None if same else self.after

    @property
    def retired(self) -> tuple[Part, ...]:
        """The parts of before that go."""
        return self.before.parts if self.before and (self.built or self.after is None) else ()

    def goes(self) -> set[str]:
        """The views, and the stems of parts, that are dropped."""
        going = {*self.leftovers, *(part.stem for part in self.retired)}
        if self.built or self.after is None:
            going.add(self.wanted.defining)
        if self.before and (self.after is None or (self.built and not self.built.extends(self.before))):
            going.add(self.wanted.name)
        return going


def check_server(state: State) -> None:
    """Refuse a server that takes no writes.

    :raises Refused: it is a standby.
    """
    if state.in_recovery:
        raise Refused("This server is a standby and takes no writes; name its primary.", code="standby")


def present(
    wanted: Summary, state: State, canonical: t.Mapping[str, str], readers: t.Sequence[str], reseed: bool
) -> Decision:
    """Decide what makes a summary be there.

    :param canonical: its filters as PostgreSQL writes them; what is missing there is as it was given.
    :raises Refused: it cannot be.
    """
    check_server(state)
    fit.check(wanted, state)
    for reader in readers:
        if reader not in state.roles:
            raise Refused(f"There is no role {reader}, which readers names.", code="missing")
    kept = state.kept
    if kept and kept.owner != state.owner:
        raise Refused(
            f"{wanted.label} belongs to {kept.owner}, not to {state.owner}. Name it as owner, or remove the summary "
            "first.",
            code="denied",
        )
    built = fit.build(wanted, state)
    used = {part.stem for part in kept.parts} if kept else set()
    leftovers = tuple(stem for stem in state.stems if stem not in used)
    if kept is None or kept.altered or not _alike(kept, wanted, built, canonical):
        after = Kept(wanted, built, canonical, fit.type_schemas(wanted, state), state.owner, tuple(readers))
        outcome = CHANGED if kept else CREATED
        fit.check_defining(wanted, state)
        return Decision(outcome, wanted, kept, after, tuple(readers), leftovers)
    bare = {part.stem: _bare(part, state) for part in kept.parts}
    grants = tuple(reader for reader in readers if reader not in kept.readers and reader != kept.owner)
    outcome = NONE
    stray = tuple(one for part in kept.parts for one in _stray(part, state))
    if stray or any(bare.values()):
        outcome = REPAIRED
    elif reseed:
        outcome = RESEEDED
    elif grants:
        outcome = GRANTED
    elif leftovers:
        outcome = CLEANED
    after = dataclasses.replace(kept, readers=(*kept.readers, *grants))
    return Decision(outcome, wanted, kept, after, grants, leftovers, bare, stray)


def absent(wanted: Summary, state: State) -> Decision:
    """Decide what makes a summary be away, with what a broken-off task may have left of it.

    :raises Refused: another's view has the name.
    """
    check_server(state)
    fit.check_name(wanted, state)
    outcome = DROPPED if state.kept else CLEANED if state.stems else NONE
    return Decision(outcome, wanted, state.kept, None, leftovers=state.stems)


def check_dependents(decision: Decision, state: State) -> None:
    """Refuse to drop what others need, before anything is made or dropped.

    :raises Refused: naming them.
    """
    going = decision.goes()
    found = [one for one in state.dependents if one.of in going]
    if not found:
        return
    label, names = decision.wanted.label, list(dict.fromkeys(one.what for one in found))
    renamed = next((one.what for one in found if one.renamed), None)
    if renamed:
        said = f"The {renamed} is the view of the summary {label} under another name. Rename it back, or drop it."
    else:
        verb = "changed" if decision.after else "dropped"
        said = f"{label} is not {verb}, because others depend on it: {', '.join(names)}. Drop or change them first."
    raise Refused(said, code="depended_on", dependents=names)


def _bare(part: Part, state: State) -> tuple[Relation, ...]:
    tree = state.tables[part.source.schema, part.source.table].tree
    return tuple(relation for relation in tree if relation.lacks(part))


def _stray(part: Part, state: State) -> list[Firing]:
    tree = {relation.oid for relation in state.tables[part.source.schema, part.source.table].tree}
    found = [one for one in state.firing if one.stem == part.stem and one.oid not in tree]
    for one in found:
        if not one.owned:
            raise Refused(
                f"{one.label} has triggers of the summary and is no partition of {part.source.label}. {state.owner} "
                "does not own it, so it cannot take them off.",
                code="denied",
            )
    return found


def _alike(kept: Kept, wanted: Summary, built: tuple[Part, ...], canonical: t.Mapping[str, str]) -> bool:
    """Whether a summary is as it is wanted, on columns that are as they were."""
    if _canonical(kept.summary, kept.canonical) != _canonical(wanted, canonical or kept.canonical):
        return False
    pairs = zip(kept.parts, built)
    return all(
        new.nullable <= one.nullable and all(new.types.get(name, kind) == kind for name, kind in one.types.items())
        for one, new in pairs
    )


def _canonical(summary: Summary, canonical: t.Mapping[str, str]) -> Summary:
    def meant(source: Source) -> Source:
        columns = tuple(
            dataclasses.replace(column, filter=canonical.get(source.condition(column.filter), column.filter))
            for column in source.columns
        )
        return dataclasses.replace(source, columns=columns)

    return dataclasses.replace(summary, sources=tuple(meant(source) for source in summary.sources))


def unknown_filters(wanted: Summary, kept: Kept | None) -> dict[Source, list[str]]:
    """The filters that PostgreSQL has to read, by their tables: all, unless each is known by its text."""
    # Where a column was renamed, the text may name what is not there.
    known = kept.canonical if kept and not kept.altered else {}
    every = {source: list(dict.fromkeys(c.filter for c in source.columns if c.filter)) for source in wanted.sources}
    if all(source.condition(one) in known for source, conditions in every.items() for one in conditions):
        return {}
    return {source: conditions for source, conditions in every.items() if conditions}
