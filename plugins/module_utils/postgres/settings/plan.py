# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Decides which settings ALTER SYSTEM has to change; pure.

*Configured* is what the next start of the server would use: the last line
for the setting in the configuration files (``postgresql.auto.conf`` is read
last), else the default. A wish is compared with that, so a value that is
written and waits for a restart is not written again. *In force* is what the
server uses now; where the two differ, the result says what it takes.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, Refused
from ansible_collections.scaleout.platform.plugins.module_utils.plan import Plan
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.settings import catalogue, secrets, values
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.settings.values import Definition

_SESSION_SOURCES = frozenset({"client", "database", "database user", "global", "interactive", "session", "user"})
"""Sources that hide the server-wide value from our session."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """A line of a configuration file, as ``pg_file_settings`` reads it.

    :param automatic: whether the file is ``postgresql.auto.conf``, which ALTER SYSTEM writes.
    """

    name: str
    text: str
    automatic: bool


@dataclasses.dataclass(frozen=True)
class State:
    """What the server says, read once.

    :param definitions: by name in lower case; the wished names that the server knows, and all that wait for a restart.
    :param entries: the lines for the wished names, in the order in which the server reads them.
    :param file_errors: why a reload would apply nothing; empty when the files are sound.
    :param may_reload: whether our user may call ``pg_reload_conf()``.
    """

    definitions: t.Mapping[str, Definition]
    entries: tuple = ()
    file_errors: tuple = ()
    may_reload: bool = True


@dataclasses.dataclass(frozen=True)
class Set:
    """ALTER SYSTEM SET."""

    name: str
    literals: tuple


@dataclasses.dataclass(frozen=True)
class Reset:
    """ALTER SYSTEM RESET."""

    name: str


@dataclasses.dataclass(frozen=True)
class Reload:
    """Have the server read its files again."""


def check_names(wishes: t.Mapping[str, t.Any]) -> None:
    """Refuse names that can never be a setting, before a server is asked.

    :raises InvalidInput: an empty name, or the same name twice in different capitals.
    """
    seen: dict[str, str] = {}
    for name in wishes:
        if not isinstance(name, str) or not name.strip():
            raise InvalidInput("settings", name, "is not the name of a setting")
        if name.lower() in seen:
            raise InvalidInput("settings", name, f"is the same setting as {seen[name.lower()]!r}")
        seen[name.lower()] = name


def plan(wishes: t.Mapping[str, t.Any], state: State, reload: bool = True) -> Plan:
    """Plan the way from the server's state to the wishes.

    :param wishes: values by name; ``None`` resets a setting.
    :param reload: whether values that need no restart shall be in force afterwards.
    :raises Refused: a wish that cannot be granted, with the reason for each.
    """
    settings = []
    problems = []
    for name in sorted(wishes, key=str.lower):
        try:
            settings.append(_decide(name, wishes[name], state))
        except values.BadValue as reason:
            wanted = secrets.mask(name, str(wishes[name]))
            problems.append(f"settings.{name}: {wanted!r} {reason}")
    if problems:
        raise Refused(". ".join(problems) + ".", problems=problems)

    actions: list = [setting.action for setting in settings if setting.action]
    if reload and (actions or any(setting.needs_reload for setting in settings)):
        _check_reload(state)
        actions.append(Reload())
    return Plan(
        before={setting.name: setting.before for setting in settings},
        after={setting.name: setting.after for setting in settings},
        actions=tuple(actions),
        result=_result(settings, state, Reload() in actions),
    )


@dataclasses.dataclass(frozen=True)
class _Decision:
    """What becomes of one setting; texts are as people read them, without secrets."""

    name: str
    before: str | None
    after: str | None
    unit: str | None
    context: str
    action: t.Any = None
    restart_reason: str = ""
    needs_reload: bool = False


def _decide(name: str, wanted: t.Any, state: State) -> _Decision:
    entries = [entry for entry in state.entries if entry.name.lower() == name.lower()]
    definition = state.definitions.get(name.lower())
    if definition is None:
        return _decide_unknown(name, wanted, entries)
    if definition.context == "internal" or definition.key in catalogue.NOT_IN_AUTO_CONF:
        raise values.BadValue("cannot be set: the server fixes this value when it is built, initialised or started")

    configured = entries[-1].text if entries else _without_files(definition)
    if wanted is None:
        below = [entry for entry in entries if not entry.automatic]
        action = Reset(definition.name) if len(below) < len(entries) else None
        target = below[-1].text if below else _without_files(definition)
    else:
        value = values.parse(definition, wanted)
        action, target = None, configured
        if not _same(definition, value, configured) and not (not entries and _is_default(definition, value)):
            action, target = _write(definition, value, entries), value.shown
    if action and not definition.alterable:
        raise values.BadValue(f"may not be set by this user, who lacks ALTER SYSTEM on {definition.name}")
    if action and definition.source == "command line":
        raise values.BadValue("would have no effect: the server was started with this setting on its command line")

    in_force = _in_force(definition, target, entries)
    return _Decision(
        name=definition.name,
        before=_shown(definition, configured),
        after=_shown(definition, target),
        unit=definition.unit,
        context=definition.context,
        action=action,
        restart_reason=_restart_reason(definition, target, action, in_force),
        needs_reload=not in_force and definition.context != "postmaster",
    )


def _decide_unknown(name: str, wanted: t.Any, entries: list) -> _Decision:
    """A name that ``pg_settings`` lacks; it may still stand in a file, for an extension that is not loaded."""
    if wanted is None:
        action = Reset(name) if any(entry.automatic for entry in entries) else None
        if action or "." in name:
            before = entries[-1].text if entries else None
            return _Decision(name, secrets.mask(name, before), None, None, "user", action)
    if "." in name:
        library = name.split(".", 1)[0]
        raise values.BadValue(
            f"is for a setting that the server does not know; is the library {library!r} not loaded yet? "
            "Put it in shared_preload_libraries and restart the server first"
        )
    raise values.BadValue("is for a setting that the server does not know")


def _without_files(definition: Definition) -> str | None:
    """The value that counts when no file names the setting."""
    return definition.boot_val if definition.source in _SESSION_SOURCES | _FILE_SOURCES else definition.setting


_FILE_SOURCES = frozenset({"configuration file"})


def _same(definition: Definition, value: values.Value, text: str | None) -> bool:
    """Whether a text of the server's means the wanted value."""
    if text is None:
        return False
    try:
        other = values.parse(definition, text)
    except values.BadValue:
        return False
    return value.meaning == other.meaning or value.shown == other.shown


def _is_default(definition: Definition, value: values.Value) -> bool:
    """Some defaults are computed when the server starts: -1 is written, another number is shown."""
    return definition.source == "default" and _same(definition, value, definition.boot_val)


def _write(definition: Definition, value: values.Value, entries: list) -> t.Any:
    empty = definition.key in catalogue.QUOTED_LISTS and value.literals == ("",)
    if not empty or definition.key in catalogue.EMPTY_ELEMENT_IS_HARMLESS:
        return Set(definition.name, value.literals)
    below = [entry.text for entry in entries if not entry.automatic]
    if not values.split_list(below[-1] if below else definition.boot_val or ""):
        return Reset(definition.name)
    raise values.BadValue(
        "is an empty list, which ALTER SYSTEM cannot store for this setting; take it out of the configuration file"
    )


def _in_force(definition: Definition, target: str | None, entries: list) -> bool:
    """Whether the server uses the target already; true as well where our session cannot see it."""
    if definition.source in _SESSION_SOURCES or definition.source == "command line" or target is None:
        return True
    if not entries and target == definition.boot_val and definition.source == "default":
        return True
    if definition.vartype == "string" and (definition.key in catalogue.REWRITTEN or "." in definition.name):
        return definition.source != "default"
    try:
        return _same(definition, values.parse(definition, target), definition.setting)
    except values.BadValue:
        return False


def _restart_reason(definition: Definition, target: str | None, action: t.Any, in_force: bool) -> str:
    if definition.context != "postmaster" or (in_force and (action or not definition.pending_restart)):
        return ""
    when = "is set now" if action else "was set earlier"
    return (
        f"{definition.name} is read only when the server starts: {_shown(definition, target)} {when} and "
        f"{_shown(definition, definition.setting)} is still in force"
    )


def _check_reload(state: State) -> None:
    if not state.may_reload:
        raise Refused("This user may not call pg_reload_conf(); grant EXECUTE on it or use reload: false.")
    if state.file_errors:
        raise Refused(
            "The server's configuration files hold errors, so that a reload would apply nothing: "
            + "; ".join(state.file_errors)
            + "."
        )


def _shown(definition: Definition, text: str | None) -> str | None:
    try:
        shown = None if text is None else values.parse(definition, text).shown
    except values.BadValue:
        shown = text
    return secrets.mask(definition.name, shown)


def _result(settings: t.Sequence[_Decision], state: State, reloaded: bool) -> dict:
    listed = {setting.name.lower() for setting in settings}
    return {
        "settings": [
            {
                "name": setting.name,
                "before": setting.before,
                "after": setting.after,
                "unit": setting.unit,
                "context": setting.context,
            }
            for setting in settings
        ],
        "restart_required": [setting.name for setting in settings if setting.restart_reason],
        "restart_reasons": {setting.name: setting.restart_reason for setting in settings if setting.restart_reason},
        "pending_restart_elsewhere": sorted(
            definition.name
            for key, definition in state.definitions.items()
            if definition.pending_restart and key not in listed
        ),
        "reloaded": reloaded,
    }
