# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Settings of a database, of a role, or of a role in a database: what becomes of each; pure.

They are rows of the catalogue ``pg_db_role_setting`` and not lines of a file:
all of them change in one transaction, a standby has those of its primary, and
a session takes them when it begins.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, Refused
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.settings import catalogue, secrets, values
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.settings.decide import shown
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.settings.values import Definition

OUT_OF_REACH = {
    "internal": "cannot be set",
    "postmaster": "cannot differ between databases or roles: it counts from the server's start; put it in settings",
    "sighup": "cannot differ between databases or roles: it counts for the whole server; put it in settings",
    "backend": "cannot be kept for a database or a role: a client gives it when it connects, or settings for all",
    "superuser-backend": "cannot be kept for a database or a role: a client gives it when it connects, "
    "or settings for all",
}
"""Contexts that ALTER DATABASE and ALTER ROLE refuse, and why."""

_CUSTOM_NAME = re.compile(r"[^\W\d][\w$]*(?:\.[^\W\d][\w$]*)+\Z")


@dataclasses.dataclass(frozen=True)
class Scope:
    """For whose sessions: those in a database, those of a role, or both."""

    database: str | None = None
    role: str | None = None

    def __str__(self) -> str:
        database = f"database {self.database}" if self.database else ""
        return " in ".join(part for part in (f"role {self.role}" if self.role else "", database) if part)


@dataclasses.dataclass(frozen=True)
class ScopeState:
    """What the server says of a scope.

    :param stored: the texts that are kept for it, by name in lower case.
    :param missing: which of ``database`` and ``role`` the server does not have.
    :param changeable: whether our user may change its settings.
    """

    scope: Scope
    stored: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    missing: tuple[str, ...] = ()
    changeable: bool = True


@dataclasses.dataclass(frozen=True)
class Change:
    """ALTER DATABASE or ALTER ROLE, SET or, without ``literals``, RESET."""

    scope: Scope
    name: str
    literals: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Override:
    """All the changes, in one transaction; ``undo`` takes them back."""

    changes: tuple[t.Any, ...]
    undo: t.Any = None


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What becomes of one setting of a scope; texts are as people read them, without secrets."""

    scope: Scope
    name: str
    before: str | None
    after: str | None
    unit: str | None = None
    context: str = "user"
    change: Change | None = None
    undo: Change | None = None


def read(items: t.Sequence[t.Mapping[str, t.Any]]) -> dict[Scope, dict[str, t.Any]]:
    """The desired values by scope, from the option ``overrides``.

    :raises InvalidInput: an item without a database or role, or two for the same.
    """
    desired: dict[Scope, dict[str, t.Any]] = {}
    for item in items:
        scope = Scope(item.get("database") or None, item.get("role") or None)
        if not scope.database and not scope.role:
            raise InvalidInput("overrides", dict(item.get("settings") or {}), "has neither a database nor a role")
        if scope in desired:
            raise InvalidInput("overrides", str(scope), "is listed twice")
        desired[scope] = dict(item.get("settings") or {})
    return desired


def decide(
    desired: t.Mapping[Scope, t.Mapping[str, t.Any]],
    states: t.Iterable[ScopeState],
    definitions: t.Mapping[str, Definition],
    in_recovery: bool = False,
) -> tuple[list[t.Any], list[t.Any]]:
    """Decide on all of them.

    :returns: the outcomes in the order in which they were given, and what speaks against them.
    :raises Refused: a change on a standby.
    """
    outcomes: list[t.Any] = []
    problems: list[t.Any] = []
    known = {state.scope: state for state in states}
    for scope, settings in desired.items():
        state = known[scope]
        problems += [f"overrides: {getattr(scope, kind)!r} is not a {kind} of this server" for kind in state.missing]
        if state.missing:
            continue
        for name in sorted(settings, key=str.lower):
            try:
                outcome = _decide(state, name, settings[name], definitions.get(name.lower()))
                if outcome.change and not state.changeable:
                    raise values.BadValue(f"cannot be set by this user, who may not alter {scope}")
                outcomes.append(outcome)
            except values.BadValue as reason:
                shown = secrets.mask(name, str(settings[name]))
                problems.append(f"overrides[{scope}].{name}: {shown!r} {reason}")
    changed = [outcome for outcome in outcomes if outcome.change]
    if changed and in_recovery and not problems:
        raise Refused(
            "This server is a standby: settings of databases and roles are rows that it copies from its primary. "
            f"Set {', '.join(f'{outcome.name} of {outcome.scope}' for outcome in changed)} there.",
            code="standby",
        )
    return outcomes, problems


def action(outcomes: t.Iterable[Outcome]) -> Override | None:
    """What carries all the outcomes out."""
    changed = [outcome for outcome in outcomes if outcome.change]
    if not changed:
        return None
    undo = Override(tuple(outcome.undo for outcome in reversed(changed)))
    return Override(tuple(outcome.change for outcome in changed), undo)


def before_and_after(outcomes: t.Iterable[Outcome]) -> tuple[dict[str, t.Any], dict[str, t.Any]]:
    """Both sides of the diff, by scope."""
    before: dict[str, t.Any] = {}
    after: dict[str, t.Any] = {}
    for outcome in outcomes:
        before.setdefault(str(outcome.scope), {})[outcome.name] = outcome.before
        after.setdefault(str(outcome.scope), {})[outcome.name] = outcome.after
    return before, after


def _decide(state: ScopeState, name: str, wanted: t.Any, definition: Definition | None) -> Outcome:
    text = state.stored.get(name.lower())
    if definition is None:
        definition = _custom(name, wanted, text)
    if definition.context in OUT_OF_REACH:
        raise values.BadValue(OUT_OF_REACH[definition.context])
    spelled = definition.name
    stored = values.stored(definition, text)
    before = shown(definition, stored)
    undo = Change(state.scope, spelled, () if stored is None else stored.restored())
    change = None
    after = None
    if wanted is None:
        if stored is not None:
            change = Change(state.scope, spelled)
    else:
        value = values.parse(definition, wanted)
        if value.is_empty and definition.key not in catalogue.IDENTIFIER_LISTS:
            raise values.BadValue("is an empty list, which the server cannot keep for this setting; null resets it")
        after = shown(definition, value)
        if not value.means(stored):
            change = Change(state.scope, spelled, value.literals)
        else:
            after = before
    if change and not definition.settable:
        raise values.BadValue(f"cannot be set by this user, who lacks SET on {spelled}")
    if change:
        after = secrets.tell_apart(before, after)
    return Outcome(state.scope, spelled, before, after, definition.unit, definition.context, change, undo)


def _custom(name: str, wanted: t.Any, stored: str | None) -> Definition:
    """A name that the server does not know: with a dot, anyone may keep a text under it (``app.tenant``)."""
    if not _CUSTOM_NAME.match(name) and not (wanted is None and stored is not None):
        raise values.BadValue("is for a setting that the server does not know")
    return Definition(name, "string", "user", None, None)
