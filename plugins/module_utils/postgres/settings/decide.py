# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Decides what becomes of one setting; pure.

*Configured* is what the next start of the server would use: the last line
for the setting in the configuration files (``postgresql.auto.conf`` is read
last), else the default. A desired value is compared with that, so a value that is
written and waits for a restart is not written again. *In force* is what the
server uses now; where the two differ, the decision says what it takes.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.postgres.settings import catalogue, secrets, values
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.settings.values import Definition

_SESSION_SOURCES = frozenset({"client", "database", "database user", "global", "interactive", "session", "user"})
"""Sources that hide the server-wide value from our session."""

_COMMAND_LINE = "command line"
"""The source of values that no file changes."""

_COMPUTED_SOURCES = frozenset({"default", "override"})
"""Sources of values that the server worked out at its start, where the setting itself says -1."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """A line of a configuration file, as ``pg_file_settings`` reads it.

    :param automatic: whether the file is ``postgresql.auto.conf``, which ALTER SYSTEM writes.
    :param main: whether the file is the one that the server was started with, which Patroni writes if it is there.
    """

    name: str
    text: str
    automatic: bool = False
    main: bool = False


@dataclasses.dataclass(frozen=True)
class Set:
    """ALTER SYSTEM SET.

    :param literals: one for each element of a quoted list, else one.
    :param undo: the action that takes this one back.
    """

    name: str
    literals: tuple[str, ...]
    undo: t.Any = None


@dataclasses.dataclass(frozen=True)
class Reset:
    """ALTER SYSTEM RESET; ``undo`` as in :class:`Set`."""

    name: str
    undo: t.Any = None


@dataclasses.dataclass(frozen=True)
class Decision:
    """What becomes of one setting; texts are as people read them, without secrets.

    :param restart_reason: why the value counts only after a restart; empty when it does not need one.
    :param needs_reload: whether the value is configured and would be in force after a reload.
    :param change: what changes in Patroni's dynamic configuration, where settings are written to that.
    """

    name: str
    before: str | None
    after: str | None
    unit: str | None
    context: str
    action: t.Any = None
    restart_reason: str = ""
    needs_reload: bool = False
    change: t.Any = None


def decide(name: str, wanted: t.Any, definition: Definition | None, entries: t.Sequence[Entry]) -> Decision:
    """Decide on one desired value.

    :param wanted: the value as YAML has it; ``None`` to reset the setting.
    :param definition: what the server says of the setting, if it knows it.
    :param entries: the lines for it in the configuration files, in the order in which the server reads them.
    :raises BadValue: the value cannot be had.
    """
    if definition is None:
        return _decide_unknown(name, wanted, entries)
    if definition.context == "internal" or definition.key in catalogue.NOT_IN_AUTO_CONF:
        raise values.BadValue("cannot be set: ALTER SYSTEM does not reach this setting")

    present = _Present.of(definition, entries)
    configured, overruled = present.configured, definition.source == _COMMAND_LINE
    action: t.Any = None
    if wanted is None:
        action, target = _reset(definition, present)
    elif overruled:
        _check_command_line(definition, values.parse(definition, wanted))
    else:
        action, target = _set(definition, values.parse(definition, wanted), present)
    if overruled:
        configured = target = definition.in_force
    if action and not definition.alterable:
        raise values.BadValue(f"cannot be set by this user, who lacks ALTER SYSTEM on {definition.name}")
    in_force = _in_force(definition, target)
    needs_restart = definition.context == "postmaster" and not in_force
    before, after = shown(definition, configured), shown(definition, target)
    if action:
        after = secrets.tell_apart(before, after)
    return Decision(
        name=definition.name,
        before=before,
        after=after,
        unit=definition.unit,
        context=definition.context,
        action=action,
        restart_reason=_restart_reason(definition, target, bool(action)) if needs_restart else "",
        needs_reload=not in_force and not needs_restart,
    )


def pending_reason(definition: Definition, entries: t.Sequence[Entry]) -> str:
    """Why a setting that the options do not have waits for a restart."""
    value = values.stored(definition, entries[-1].text) if entries else definition.default
    return _restart_reason(definition, value, now=False)


def _decide_unknown(name: str, wanted: t.Any, entries: t.Sequence[Entry]) -> Decision:
    """A name that ``pg_settings`` lacks; it may still stand in a file, for an extension that is not loaded."""
    if "." not in name:
        raise values.BadValue("is for a setting that the server does not know")
    if wanted is not None:
        library = name.split(".", 1)[0]
        raise values.BadValue(
            f"is for a setting that the server does not know; is the library {library!r} not loaded yet? "
            "Put it in shared_preload_libraries and restart the server first"
        )
    before = secrets.mask(name, entries[-1].text) if entries else None
    automatic = [entry for entry in entries if entry.automatic]
    action = Reset(name, undo=Set(name, (automatic[-1].text,))) if automatic else None
    below = [entry for entry in entries if not entry.automatic]
    after = secrets.mask(name, below[-1].text) if below else None
    return Decision(name, before, after, unit=None, context="user", action=action)


@dataclasses.dataclass(frozen=True)
class _Present:
    """What the configuration files say of a setting, understood once.

    :param configured: what the next start of the server would use.
    :param below: what it would use without ``postgresql.auto.conf``.
    :param automatic: what that file says; None where it says nothing.
    :param named: whether any file names the setting.
    """

    configured: values.Value | None
    below: values.Value | None
    automatic: values.Value | None
    named: bool

    @classmethod
    def of(cls, definition: Definition, entries: t.Sequence[Entry]) -> _Present:
        lines = [(values.stored(definition, entry.text), entry.automatic) for entry in entries]
        below = [value for value, automatic in lines if not automatic]
        automatic = [value for value, automatic in lines if automatic]
        otherwise = _without_files(definition)
        return cls(
            lines[-1][0] if lines else otherwise,
            below[-1] if below else otherwise,
            automatic[-1] if automatic else None,
            bool(lines),
        )


def _set(definition: Definition, value: values.Value, present: _Present) -> tuple[t.Any, values.Value | None]:
    """The action, if one is needed, and the value that is configured then."""
    # Some defaults are computed when the server starts: -1 is configured, another number is in force.
    computed = (
        not present.named and definition.source in _COMPUTED_SOURCES and definition.vartype in ("integer", "real")
    )
    if value.is_shown_as(present.configured) or (computed and value.is_shown_as(definition.default)):
        return None, present.configured
    undo = _undo(definition, present)
    if not value.is_empty or definition.key in catalogue.IDENTIFIER_LISTS:
        return Set(definition.name, value.literals, undo), value
    action, target = _reset(definition, present)
    if action and (target is None or not target.meaning):
        return action, target
    raise values.BadValue(
        "is an empty list, which ALTER SYSTEM cannot store for this setting; take it out of the configuration file"
    )


def _check_command_line(definition: Definition, value: values.Value) -> None:
    """Refuse a value that the files could have and the server never would.

    :raises Overruled: the command line says something else.
    """
    if not value.is_shown_as(definition.in_force):
        in_force = shown(definition, definition.in_force) or "an empty value"
        raise values.Overruled(
            f"would have no effect: the server was started with {definition.name} = {in_force} on its command line"
        )


def _reset(definition: Definition, present: _Present) -> tuple[t.Any, values.Value | None]:
    """The same for a value that is to come from elsewhere than ``postgresql.auto.conf``."""
    if present.automatic is None:
        return None, present.below
    return Reset(definition.name, _undo(definition, present)), present.below


def _undo(definition: Definition, present: _Present) -> t.Any:
    """What brings ``postgresql.auto.conf`` back to what it says now."""
    if present.automatic is None:
        return Reset(definition.name)
    return Set(definition.name, present.automatic.restored())


def _without_files(definition: Definition) -> values.Value | None:
    """The value that counts when no file names the setting, as far as our session can see it."""
    hidden = definition.source in _SESSION_SOURCES or definition.source == "configuration file"
    return definition.default if hidden else definition.in_force


def _in_force(definition: Definition, target: values.Value | None) -> bool:
    """Whether the server uses the target already; true as well where our session cannot see it."""
    if target is None or target.is_written_as(definition.in_force):
        return True
    if definition.source in _SESSION_SOURCES or definition.source == _COMMAND_LINE:
        return True
    if definition.vartype == "string" and (definition.key in catalogue.REWRITTEN or "." in definition.name):
        return definition.source != "default" and not definition.pending
    if target.fault:
        return not definition.pending
    computed = definition.source in _COMPUTED_SOURCES and target.is_shown_as(definition.default)
    return computed or target.is_shown_as(definition.in_force)


def _restart_reason(definition: Definition, target: values.Value | None, now: bool) -> str:
    return "{} is read only when the server starts: {} {} and {} is still in force".format(
        definition.name,
        shown(definition, target) or "an empty value",
        "is set now" if now else "was set earlier",
        shown(definition, definition.in_force) or "an empty value",
    )


def shown(definition: Definition, value: values.Value | None) -> str | None:
    """A value as people read it: as SHOW would spell it, without secrets."""
    return secrets.mask(definition.name, value.shown if value else None)
