# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Patroni's dynamic configuration as the place where settings are written to; pure.

It stands where ``postgresql.auto.conf`` stands without Patroni: all members share it, and each writes it, with what its
own configuration file says over it, into the ``postgresql.conf`` of its server. A line of ``postgresql.auto.conf``
would always win over both, so it is taken out. Source of the names: Patroni 4.0's ``postgresql/config.py``, with
which a test compares them.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.postgres.settings import decide as basis
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.settings import secrets, values
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.settings.decide import (
    Decision,
    Entry,
    Reset,
    Set,
)
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.settings.values import BadValue, Definition

SHARED: dict[str, tuple[str, int | None]] = {
    "max_connections": ("100", 25),
    "max_locks_per_transaction": ("64", 32),
    "max_prepared_transactions": ("0", 0),
    "max_replication_slots": ("10", 4),
    "max_wal_senders": ("10", 3),
    "max_worker_processes": ("8", 2),
    "track_commit_timestamp": ("off", None),
    "wal_keep_size": ("128MB", 16),
    "wal_level": ("replica", None),
    "wal_log_hints": ("on", None),
}
"""What only the dynamic configuration decides, most of it on the server's command line: Patroni's own default, and the
least that it takes. For less it takes its default, without an error."""

_RECOVERY = "cannot be set here: put it under postgresql.recovery_conf of Patroni's dynamic configuration"
_REPLICAS = "cannot be set: Patroni writes it for each replica"
_TARGET = "cannot be set here: it is for a restore, which is a bootstrap method of Patroni"

ELSEWHERE = {
    "cluster_name": "cannot be set: it is the scope in the configuration file of each member",
    "hba_file": "cannot be set for all members: their own configuration files have it, or postgresql.pg_hba",
    "hot_standby": "cannot be set: Patroni always has it on",
    "ident_file": "cannot be set for all members: their own configuration files have it, or postgresql.pg_ident",
    "listen_addresses": "cannot be set: it is postgresql.listen in the configuration file of each member",
    "port": "cannot be set: it is postgresql.listen in the configuration file of each member",
    "synchronous_standby_names": "cannot be set: Patroni writes it by synchronous_mode and synchronous_node_count of "
    "its dynamic configuration",
    "primary_conninfo": _REPLICAS,
    "primary_slot_name": _REPLICAS,
    "archive_cleanup_command": _RECOVERY,
    "recovery_end_command": _RECOVERY,
    "recovery_min_apply_delay": _RECOVERY,
    "restore_command": _RECOVERY,
    "promote_trigger_file": "cannot be set: Patroni promotes",
    "recovery_target": _TARGET,
    "recovery_target_action": _TARGET,
    "recovery_target_inclusive": _TARGET,
    "recovery_target_lsn": _TARGET,
    "recovery_target_name": _TARGET,
    "recovery_target_time": _TARGET,
    "recovery_target_timeline": _TARGET,
    "recovery_target_xid": _TARGET,
}
"""Settings that the dynamic configuration does not decide, and where they belong."""

_WAL_LEVELS = ("replica", "logical")
_SEGMENT = 16
"""Megabytes of a segment of WAL, as Patroni counts ``wal_keep_segments``."""


@dataclasses.dataclass(frozen=True)
class Patch:
    """What changes under ``postgresql.parameters``, in one request; None removes a name."""

    changes: tuple[tuple[str, t.Any], ...]
    undo: t.Any = None

    def __str__(self) -> str:
        names = ", ".join(name for name, _value in self.changes)
        return f"change {names} in Patroni's dynamic configuration"


@dataclasses.dataclass(frozen=True)
class Await:
    """Wait for what Patroni does within its next loop.

    :param desired: values by name, as the task has them.
    :param in_force: whether they have to be in force, or waiting for a restart; else to be in the server's files.
    """

    desired: t.Mapping[str, t.Any]
    in_force: bool
    undo: t.Any = None

    def __str__(self) -> str:
        return "wait until Patroni has " + ("put the values in force" if self.in_force else "written the values")


class Change(t.NamedTuple):
    """What becomes of one name of the dynamic configuration, as it is written there; None is no name."""

    name: str
    before: t.Any
    after: t.Any


def decide(
    name: str,
    wanted: t.Any,
    definition: Definition | None,
    entries: t.Sequence[Entry],
    parameters: t.Mapping[str, t.Any],
) -> Decision:
    """Decide on one desired value, as :func:`.decide.decide` does without Patroni.

    :param parameters: ``postgresql.parameters`` of the dynamic configuration.
    :raises BadValue: the value cannot be had.
    """
    key = name.lower()
    if wanted is not None and key in ELSEWHERE:
        raise BadValue(ELSEWHERE[key])
    reset = _reset(name, definition, entries)
    managed = _managed(definition)
    value = None if wanted is None or managed is None else values.parse(managed, wanted)
    if value is not None:
        _check_least(key, value)
    decision = basis.decide(name, wanted, managed, _below(key, entries, parameters))
    spelled, kept = _kept(parameters, key)
    change = None
    # What only a file of this member says is not what the others have.
    named_here = any(not entry.automatic and not entry.main for entry in entries) and key not in SHARED
    if isinstance(decision.action, Set) or (value is not None and kept is None and named_here):
        change = Change(spelled or decision.name, kept, _written(t.cast(Definition, managed), value))
    elif decision.action is not None:
        change = Change(spelled or decision.name, kept, None)
    overruled = definition is not None and definition.source == "command line" and key in SHARED
    lines = [entry for entry in entries if not (entry.automatic and overruled)]
    before = _shown(name, definition, lines[-1].text) if lines else decision.before
    after = secrets.tell_apart(before, decision.after) if change else decision.after
    return dataclasses.replace(decision, before=before, after=after, action=reset, change=change)


def patch(changes: t.Sequence[Change]) -> Patch | None:
    """One request for all changes, and the one that takes it back."""
    if not changes:
        return None
    undo = Patch(tuple((change.name, change.before) for change in changes))
    return Patch(tuple((change.name, change.after) for change in changes), undo)


def show(
    decisions: t.Iterable[Decision], entries: t.Iterable[Entry], before: dict[str, t.Any], after: dict[str, t.Any]
) -> None:
    """Add to both sides of a diff what the dynamic configuration has, and what is taken out of the server's file."""
    lines = {entry.name.lower(): entry.text for entry in entries if entry.automatic}
    for each in decisions:
        if each.change:
            change = each.change
            old, new = (None if one is None else secrets.mask(each.name, _text(one)) for one in change[1:])
            before.setdefault("dynamic_configuration", {})[change.name] = old
            after.setdefault("dynamic_configuration", {})[change.name] = secrets.tell_apart(old, new)
        if each.action:
            before.setdefault("auto_conf", {})[each.name] = secrets.mask(each.name, lines[each.name.lower()])
            after.setdefault("auto_conf", {})[each.name] = None


def take_back(decisions: t.Iterable[Decision]) -> dict[str, t.Any]:
    """What brings the dynamic configuration back to what it is now; without what holds a secret, as it is shown."""
    changes = [each.change for each in decisions if each.change]
    return {
        change.name: change.before
        for change in changes
        if change.before is None or secrets.mask(change.name, _text(change.before)) == _text(change.before)
    }


def unlike(definition: Definition | None, entries: t.Sequence[Entry], parameters: t.Mapping[str, t.Any]) -> str | None:
    """What Patroni wrote into the server's file, as it is shown, where the dynamic configuration says something else.

    :returns: None where they agree, or where it cannot be told; an empty text where the file has no line.
    """
    if definition is None:
        return None
    written = next((values.stored(definition, entry.text) for entry in reversed(entries) if entry.main), None)
    expected = values.stored(definition, _expected(definition.key, parameters))
    if expected is None and written is None:
        return None
    if expected is not None and (expected.fault or (written is not None and expected.is_shown_as(written))):
        return None
    return basis.shown(definition, written) or ""


def overruled(
    desired: t.Mapping[str, t.Any],
    definitions: t.Mapping[str, Definition],
    entries: t.Sequence[Entry],
    parameters: t.Mapping[str, t.Any],
) -> dict[str, str]:
    """What keeps values from coming into force: what the server's file has instead, by the names of the settings.

    Right after a change Patroni may not have written it yet, which looks the same: ask again after a loop.
    """
    found = {}
    for name, wanted in desired.items():
        definition = definitions.get(name.lower())
        lines = _lines(name, entries)
        written = unlike(definition, lines, parameters)
        if wanted is None or not written or definition is None or definition.key in ELSEWHERE:
            continue
        try:
            value = values.parse(definition, wanted)
        except BadValue:
            continue
        text = next(entry.text for entry in reversed(lines) if entry.main)
        if not value.is_shown_as(values.stored(definition, text)):
            found[definition.name] = written
    return found


def awaited(
    desired: t.Mapping[str, t.Any],
    definitions: t.Mapping[str, Definition],
    entries: t.Sequence[Entry],
    parameters: t.Mapping[str, t.Any],
) -> dict[str, t.Any]:
    """Which of the desired values Patroni will write: not the removal of what a member says for itself."""
    return {
        name: wanted
        for name, wanted in desired.items()
        if wanted is not None or unlike(definitions.get(name.lower()), _lines(name, entries), parameters) is None
    }


def waiting(
    awaiting: Await,
    definitions: t.Mapping[str, Definition],
    entries: t.Sequence[Entry],
    parameters: t.Mapping[str, t.Any],
) -> dict[str, str]:
    """Those that Patroni has not seen to yet, and what the server's file has instead."""
    found = {}
    for name, wanted in awaiting.desired.items():
        definition, lines = definitions.get(name.lower()), _lines(name, entries)
        written = unlike(definition, lines, parameters)
        if written is not None or (
            awaiting.in_force and decide(name, wanted, definition, lines, parameters).needs_reload
        ):
            found[name] = written or ""
    return found


def _lines(name: str, entries: t.Iterable[Entry]) -> list[Entry]:
    return [entry for entry in entries if entry.name.lower() == name.lower()]


def _managed(definition: Definition | None) -> Definition | None:
    """A definition of which Patroni's command line is a place like another, and no right on ALTER SYSTEM is needed."""
    if definition is None:
        return None
    given = definition.source == "command line" and definition.key in SHARED
    return dataclasses.replace(definition, alterable=True, source="configuration file" if given else definition.source)


def _below(key: str, entries: t.Sequence[Entry], parameters: t.Mapping[str, t.Any]) -> list[Entry]:
    """The lines as if the dynamic configuration were ``postgresql.auto.conf``."""
    spelled, kept = _kept(parameters, key)
    if key in SHARED:
        without = {name: value for name, value in parameters.items() if name != spelled}
        below = [Entry(key, t.cast(str, _expected(key, without)))]
    else:
        below = [entry for entry in entries if not entry.automatic and not entry.main]
    return below if kept is None else [*below, Entry(key, t.cast(str, _expected(key, parameters)), automatic=True)]


def _kept(parameters: t.Mapping[str, t.Any], key: str) -> tuple[str | None, t.Any]:
    """How a name is spelled in the dynamic configuration, and what it has."""
    return next(((name, value) for name, value in parameters.items() if name.lower() == key), (None, None))


def _expected(key: str, parameters: t.Mapping[str, t.Any]) -> str | None:
    """What Patroni writes into a server's file without a word of the member's own; None is nothing."""
    _spelled, kept = _kept(parameters, key)
    default, least = SHARED.get(key, (None, None))
    if kept is None and key == "wal_keep_size":
        _spelled, segments = _kept(parameters, "wal_keep_segments")
        return f"{int(segments) * _SEGMENT}MB" if str(segments or "").isdigit() else default
    if kept is None:
        return default
    text = _text(kept)
    return default if least is not None and text.isdigit() and int(text) < least else text


def _text(value: t.Any) -> str:
    """A value as Patroni writes it into a file."""
    return ("on" if value else "off") if isinstance(value, bool) else str(value)


def _check_least(key: str, value: values.Value) -> None:
    """Refuse what Patroni would take and not use.

    :raises BadValue: with Patroni's bound.
    """
    default, least = SHARED.get(key, ("", None))
    if least is not None and value.meaning < least:
        unit = " MB" if key == "wal_keep_size" else ""
        raise BadValue(f"is less than {least}{unit}, which Patroni does not use: it would take its default, {default}")
    if key == "wal_level" and value.shown not in _WAL_LEVELS:
        raise BadValue(f"is not one of the values that Patroni uses: {', '.join(_WAL_LEVELS)}")


def _written(definition: Definition, value: t.Any) -> t.Any:
    """A value as the dynamic configuration has it: a number where it is one, else a text as in a file."""
    if definition.vartype == "integer" and value.shown.isdigit() and str(value.meaning) == value.shown:
        return value.meaning
    return value.shown if definition.vartype == "integer" or value.kind == values.LIST else value.literals[0]


def _reset(name: str, definition: Definition | None, entries: t.Sequence[Entry]) -> Reset | None:
    """What takes the line out of ``postgresql.auto.conf``."""
    automatic = [entry.text for entry in entries if entry.automatic]
    if not automatic:
        return None
    if definition is None:
        return Reset(name, undo=Set(name, (automatic[-1],)))
    if not definition.alterable:
        raise BadValue(
            f"is overruled by postgresql.auto.conf, and this user lacks ALTER SYSTEM on {definition.name} to reset it"
        )
    stored = t.cast(values.Value, values.stored(definition, automatic[-1]))
    return Reset(definition.name, undo=Set(definition.name, stored.restored()))


def _shown(name: str, definition: Definition | None, text: str) -> str | None:
    return secrets.mask(name, text) if definition is None else basis.shown(definition, values.stored(definition, text))
