# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Plans the way from the materialized views of a database to those desired; pure."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, Refused
from ansible_collections.scaleout.platform.plugins.module_utils.names import LONGEST_IDENTIFIER
from ansible_collections.scaleout.platform.plugins.module_utils.plan import Plan
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.locks import Waited
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.matviews.spec import ALWAYS, NEVER, Desired
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.matviews.state import (
    Index,
    State,
    View,
    Wanted,
)


@dataclasses.dataclass(frozen=True)
class Create:
    """Create a view, with its unique index."""

    desired: Desired


@dataclasses.dataclass(frozen=True)
class Replace:
    """Build a view with another definition beside the one that is there, and put it in its place.

    :param old: what is there.
    :param indexes: those of its indexes that the new one gets.
    :param populated: whether the new one has its rows at once.
    """

    desired: Desired
    old: View
    indexes: tuple[Index, ...]
    populated: bool


@dataclasses.dataclass(frozen=True)
class Own:
    """Give a view to another owner."""

    desired: Desired


@dataclasses.dataclass(frozen=True)
class EnsureIndex:
    """Create the unique index.

    :param instead: drop an index that has its name first.
    """

    desired: Desired
    instead: bool = False


@dataclasses.dataclass(frozen=True)
class Refresh:
    """Compute the rows of a view again."""

    desired: Desired
    concurrently: bool


@dataclasses.dataclass(frozen=True)
class Drop:
    """Drop a view."""

    desired: Desired


VERBS: dict[type, str] = {
    Create: "create",
    Replace: "replace",
    Own: "change the owner of",
    EnsureIndex: "create the unique index of",
    Refresh: "refresh",
    Drop: "drop",
}
"""What an action does, for messages."""


@dataclasses.dataclass(frozen=True)
class Choice:
    """What becomes of one view, and why it is refreshed."""

    desired: Desired
    old: View | None
    actions: tuple[t.Any, ...] = ()
    reason: str | None = None
    wanted: Wanted | None = None
    lost: tuple[str, ...] = ()

    def find(self, kind: type) -> t.Any:
        """The action of a kind; None without one."""
        return next((action for action in self.actions if isinstance(action, kind)), None)

    @property
    def action(self) -> str:
        """What happens to the view, in a word."""
        words = ((Create, "created"), (Replace, "replaced"), (Drop, "dropped"), (Own, "altered"))
        for kind, word in (*words, (EnsureIndex, "altered"), (Refresh, "refreshed")):
            if self.find(kind):
                return word
        return "none"

    @property
    def concurrently(self) -> bool:
        refresh = self.find(Refresh)
        return bool(refresh and refresh.concurrently)


def index_name(view: str) -> str:
    """Return the name of the unique index that the module makes and may replace.

    >>> index_name("user_stats")
    'user_stats_scaleout_key'
    """
    suffix = "_scaleout_key"
    if len(f"{view}{suffix}".encode()) <= LONGEST_IDENTIFIER:
        return view + suffix
    digest = hashlib.sha256(view.encode()).hexdigest()[:8]
    head = view.encode()[: LONGEST_IDENTIFIER - len(suffix) - len(digest) - 1].decode("utf-8", "ignore")
    return f"{head}_{digest}{suffix}"


def plan(choices: t.Sequence[Choice]) -> Plan:
    """Plan what was chosen for each view."""
    return Plan(
        before={choice.desired.label: _before(choice) for choice in choices},
        after={choice.desired.label: _after(choice) for choice in choices},
        actions=tuple(action for choice in choices for action in choice.actions),
        result={"views": [row(choice) for choice in choices]},
        warnings=tuple(
            f"{choice.desired.label}: its new definition lacks columns of {one}, which goes with them."
            for choice in choices
            for one in choice.lost
        ),
    )


def row(choice: Choice, now: View | None = None, known: bool = False) -> dict[str, t.Any]:
    """What the module returns for a view.

    :param now: the view once the plan was carried out.
    :param known: whether it was; else it is predicted.
    """
    view = now if known else choice.old
    gone = choice.action == "dropped"
    populated = bool(view and view.populated)
    if not known and not gone:
        populated = populated or any(_populates(action) for action in choice.actions)
    return {
        "schema": choice.desired.schema,
        "name": choice.desired.name,
        "action": choice.action,
        "refreshed": any(_populates(action) for action in choice.actions),
        "concurrently": choice.concurrently,
        "reason": choice.reason,
        "populated": populated and not gone,
        "owner": None if gone or view is None else view.owner,
        "last_refresh": None if gone or view is None else view.refreshed,
        "age": None if gone or view is None or view.age is None else int(view.age),
        "dependents": [one.label for one in choice.old.dependents] if choice.old else [],
        **Waited().result(),
    }


def _populates(action: t.Any) -> bool:
    if isinstance(action, Create):
        return action.desired.populate
    return isinstance(action, Refresh) or (isinstance(action, Replace) and action.populated)


def decide(views: t.Sequence[Desired], state: State) -> tuple[Choice, ...]:
    """Decide what becomes of each view.

    :raises ScaleoutError: one of them cannot become what is wanted; nothing has been changed yet.
    """
    choices: list[Choice] = []
    for desired in views:
        dropped = frozenset(f"materialized view {one.desired.label}" for one in choices if one.action == "dropped")
        choices.append(_decide(desired, state, dropped))
    return tuple(choices)


def _decide(desired: Desired, state: State, dropped: frozenset[str]) -> Choice:
    old, wanted = state.views.get(desired.label), state.wanted.get(desired.label)
    if old and not old.is_materialized:
        raise Refused(f"{desired.label} is a {old.kind} and no materialized view.", code="name_taken")
    if desired.state == "absent":
        return _absent(desired, old, dropped)
    if desired.schema not in state.schemas:
        raise Refused(f"{desired.label} needs the schema {desired.schema}, which does not exist.", code="missing")
    if desired.owner is not None and desired.owner not in state.roles:
        raise Refused(f"owner: the role {desired.owner} of {desired.label} does not exist.", code="missing")
    if old is None and desired.query is None:
        raise Refused(f"{desired.label} does not exist; give its query to create it.", code="missing")
    columns = wanted.columns if wanted else old.columns if old else {}
    _check_columns(desired, columns)
    if old is None:
        return _new(desired, wanted)
    if wanted and not wanted.same(old):
        return _replaced(desired, old, wanted)
    return _kept(desired, old)


def _absent(desired: Desired, old: View | None, dropped: frozenset[str]) -> Choice:
    """Drop a view, unless others depend on it that are not dropped before it."""
    if old is None:
        return Choice(desired, None)
    names = [f"view {one.label}" for one in old.dependents] + [one for one in old.others if one not in dropped]
    if names:
        raise _depended_on(desired, "is not dropped", names)
    return Choice(desired, old, (Drop(desired),))


def _new(desired: Desired, wanted: Wanted | None) -> Choice:
    if desired.concurrently == ALWAYS and desired.state == "refreshed" and desired.unique_index is None:
        raise _not_concurrently(desired)
    return Choice(desired, None, (Create(desired),), "it is new" if desired.populate else None, wanted)


def _replaced(desired: Desired, old: View, wanted: Wanted) -> Choice:
    if old.others:
        raise _depended_on(desired, "does not get another definition", old.others)
    for dependent in old.dependents:
        for column in sorted(dependent.uses):
            now = wanted.columns.get(column)
            if now == old.columns.get(column):
                continue
            lacks = (
                f"lacks the column {column}" if now is None else f"has {column} as {now} and not {old.columns[column]}"
            )
            raise Refused(
                f"{desired.label} does not get another definition: it {lacks}, which the view {dependent.label} reads. "
                "Change that view first, or drop it.",
                code="depended_on",
                dependents=[dependent.label],
            )
    columns = frozenset(wanted.columns)
    lost = tuple(f"index {one.name}" for one in old.indexes if not one.uses <= columns)
    lost += tuple(f"statistics {one.name}" for one in old.statistics if not one.uses <= columns)
    kept = tuple(one for one in old.indexes if one.uses <= columns)
    if desired.unique_index is not None and not _has_index(kept, desired.unique_index):
        kept = tuple(one for one in kept if one.name != index_name(desired.name))
    populated = old.populated or desired.populate
    replace = Replace(desired, dataclasses.replace(old, statistics=_fit(old, columns)), kept, populated)
    return Choice(desired, old, (replace,), "its definition changes" if populated else None, wanted, lost)


def _fit(old: View, columns: frozenset[str]) -> tuple[t.Any, ...]:
    return tuple(one for one in old.statistics if one.uses <= columns)


def _kept(desired: Desired, old: View) -> Choice:
    actions: list[t.Any] = []
    usable = [one for one in old.indexes if one.usable]
    if desired.owner is not None and desired.owner != old.owner:
        actions.append(Own(desired))
    if desired.unique_index is not None and not _has_index(old.indexes, desired.unique_index):
        instead = any(one.name == index_name(desired.name) for one in old.indexes)
        usable = [one for one in usable if not instead or one.name != index_name(desired.name)]
        actions.append(EnsureIndex(desired, instead))
    indexed = bool(usable) or any(isinstance(one, EnsureIndex) for one in actions)
    reason = _reason(desired, old)
    if reason:
        actions.append(Refresh(desired, _concurrently(desired, old, indexed)))
    elif not actions:
        reason = _not_due(desired, old)
    return Choice(desired, old, tuple(actions), reason)


def _reason(desired: Desired, old: View) -> str | None:
    """Say why a view is refreshed; None where it is not."""
    if not old.populated:
        return "it has no rows yet" if desired.populate else None
    if desired.state != "refreshed":
        return None
    if desired.max_age is None:
        return "it was asked for"
    if old.age is None:
        return "its last refresh is not known"
    if old.age < 0:
        return "its last refresh is in the future of the server's clock"
    if old.age >= desired.max_age * 60:
        return f"its last refresh was {old.age / 60:.0f} minutes ago, and max_age is {desired.max_age}"
    return None


def _not_due(desired: Desired, old: View) -> str | None:
    """Say when a view will be refreshed that is left as it is; None where it is not its age that counts."""
    if desired.max_age is None or old.age is None:
        return None
    left = math.ceil(desired.max_age - old.age / 60)
    return (
        f"its last refresh was {old.age / 60:.0f} minutes ago, and max_age is {desired.max_age}: due in {left} minutes"
    )


def _concurrently(desired: Desired, old: View, indexed: bool) -> bool:
    if desired.concurrently == NEVER:
        return False
    if desired.concurrently == ALWAYS and not indexed:
        raise _not_concurrently(desired)
    # What has no rows yet has no readers either.
    return old.populated and indexed


def _has_index(indexes: t.Iterable[Index], columns: tuple[str, ...]) -> bool:
    return any(one.usable and one.columns == columns for one in indexes)


def _check_columns(desired: Desired, columns: t.Mapping[str, str]) -> None:
    for column in desired.unique_index or ():
        if column not in columns:
            has = f"is no column of {desired.label}, which has {', '.join(columns)}"
            raise InvalidInput("unique_index", column, has)


def _depended_on(desired: Desired, consequence: str, names: t.Sequence[str]) -> Refused:
    return Refused(
        f"{desired.label} {consequence}, because others depend on it: {', '.join(names)}. Drop or change them first.",
        code="depended_on",
        dependents=list(names),
    )


def _not_concurrently(desired: Desired) -> Refused:
    return Refused(
        f"{desired.label} cannot be refreshed concurrently: that needs a unique index of columns alone and without a "
        "condition; name them in unique_index.",
        code="not_concurrent",
    )


def _before(choice: Choice) -> dict[str, t.Any] | None:
    """A view as the diff shows it: what does not move by itself."""
    old = choice.old
    if old is None:
        return None
    described: dict[str, t.Any] = {
        "definition": old.forms[0] if old.forms else "",
        "owner": old.owner,
        "populated": old.populated,
        "indexes": sorted(one.name for one in old.indexes),
    }
    return described


def _after(choice: Choice) -> dict[str, t.Any] | None:
    desired = choice.desired
    if choice.action == "dropped" or (choice.old is None and not choice.actions):
        return None
    described = _before(choice) or {"owner": None, "populated": False, "indexes": []}
    replace, indexed = choice.find(Replace), choice.find(EnsureIndex)
    if replace or choice.find(Create):
        described["definition"] = choice.wanted.forms[0] if choice.wanted else desired.query
    if replace:
        described["indexes"] = sorted(one.name for one in replace.indexes)
    if desired.owner is not None:
        described["owner"] = desired.owner
    needs = desired.unique_index is not None and (
        choice.find(Create) or indexed or (replace and not _has_index(replace.indexes, desired.unique_index))
    )
    if needs:
        described["indexes"] = sorted({*described["indexes"], index_name(desired.name)})
    if any(_populates(action) for action in choice.actions):
        described.update(populated=True, refreshed="now")
    return described
