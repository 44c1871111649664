# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Plans the settings of a server as a whole; pure. What becomes of each one is decided in ``decide.py``."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, Refused
from ansible_collections.scaleout.platform.plugins.module_utils.host import Host
from ansible_collections.scaleout.platform.plugins.module_utils.plan import Plan
from ansible_collections.scaleout.platform.plugins.module_utils.postgres import versions
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.settings import (
    dynamic,
    overrides,
    secrets,
    values,
)
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.settings.decide import (
    Decision,
    Set,
    decide,
    pending_reason,
)
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.settings.profile import Profile
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.settings.values import Definition


@dataclasses.dataclass(frozen=True)
class State:
    """What the server says, read once.

    :param definitions: by name in lower case; the given names that the server knows, and all that wait for a restart.
    :param entries: the lines for these names, in the order in which the server reads them.
    :param file_errors: why a reload would apply nothing; empty when the files are sound.
    :param in_recovery: whether the server is a standby.
    :param may_alter: whether the server allows ALTER SYSTEM at all.
    :param may_reload: whether our user may call ``pg_reload_conf()``.
    :param patroni: whether Patroni started the server.
    :param scopes: what is kept for the databases and roles that the task names.
    :param host: the memory and cores that the server may use; ``None`` when it does not run on our host.
    """

    definitions: t.Mapping[str, Definition]
    entries: tuple[t.Any, ...] = ()
    file_errors: tuple[t.Any, ...] = ()
    in_recovery: bool = False
    may_alter: bool = True
    may_reload: bool = True
    patroni: bool = False
    scopes: tuple[t.Any, ...] = ()
    host: Host | None = None

    def entries_of(self, name: str) -> list[t.Any]:
        """The lines for one setting."""
        return [entry for entry in self.entries if entry.name.lower() == name.lower()]


@dataclasses.dataclass(frozen=True)
class Reload:
    """Have the server read its files again."""


def check_names(desired: t.Mapping[str, t.Any], option: str = "settings") -> None:
    """Refuse names that can never be a setting, before a server is asked.

    :raises InvalidInput: an empty name, or the same name twice in different capitals.
    """
    seen: dict[str, str] = {}
    for name in desired:
        if not isinstance(name, str) or not name.strip():
            raise InvalidInput(option, name, "is not the name of a setting")
        if name.lower() in seen:
            raise InvalidInput(option, name, f"is the same setting as {seen[name.lower()]!r}")
        seen[name.lower()] = name


def plan(
    desired: t.Mapping[str, t.Any],
    state: State,
    reload: bool = True,
    scoped: t.Mapping[overrides.Scope, t.Mapping[str, t.Any]] | None = None,
    profile: Profile | None = None,
    parameters: t.Mapping[str, t.Any] | None = None,
) -> Plan:
    """Plan the way from the server's state to the desired values.

    :param desired: values by name; ``None`` resets a setting.
    :param reload: whether values that need no restart are to be in force afterwards.
    :param scoped: the same for databases and roles.
    :param profile: values for what they leave open.
    :param parameters: those of Patroni's dynamic configuration, to which the settings are written then.
    :raises Refused: a value that the server cannot have, with the reason for each.
    """
    filled = filled_by(profile, desired, state, shared=parameters is not None)
    decisions: list[Decision] = []
    problems = []
    for name in sorted([*desired, *filled], key=str.lower):
        wanted = desired[name] if name in desired else filled[name]
        about = (name, wanted, state.definitions.get(name.lower()), state.entries_of(name))
        try:
            decisions.append(decide(*about) if parameters is None else dynamic.decide(*about, parameters))
        except values.BadValue as reason:
            origin = "settings" if name in desired else "profile"
            problems.append(f"{origin}.{name}: {secrets.mask(name, str(wanted))!r} {reason}")
            if state.patroni and isinstance(reason, values.Overruled):
                problems[-1] += "; Patroni started it: with patroni_host, the value goes to what all its members share"
    outcomes, more = overrides.decide(scoped or {}, state.scopes, state.definitions, state.in_recovery)
    problems += more
    if problems:
        raise Refused(". ".join(problems) + ".", code="invalid_setting", problems=problems)

    awaited = {**desired, **filled}
    if parameters is not None:
        awaited = dynamic.awaited(awaited, state.definitions, state.entries, parameters)
    actions = _actions(decisions, outcomes, state, reload, awaited)
    before: dict[str, t.Any] = {decision.name: decision.before for decision in decisions}
    after: dict[str, t.Any] = {decision.name: decision.after for decision in decisions}
    if parameters is not None:
        dynamic.show(decisions, state.entries, before, after)
    if scoped:
        before["overrides"], after["overrides"] = overrides.before_and_after(outcomes)
    warnings: tuple[str, ...] = ()
    if parameters is None:
        warnings = _patroni_warnings(decisions, state) + _standby_warnings(decisions, state)
    return Plan(
        before=before,
        after=after,
        actions=tuple(actions),
        result=dict(
            _result(decisions, state, reloaded=any(isinstance(action, _RELOADS) for action in actions)),
            overrides=_overridden(outcomes),
            profile=_profile(profile, filled),
            written_to="auto_conf" if parameters is None else "dynamic_configuration",
            reset_in_auto_conf=[each.name for each in decisions if parameters is not None and each.action],
            take_back=dynamic.take_back(decisions),
        ),
        warnings=warnings,
    )


_RELOADS = (Reload, dynamic.Patch)
"""Actions after which a server reads its files again."""


def _actions(
    decisions: t.Sequence[Decision],
    outcomes: t.Sequence[overrides.Outcome],
    state: State,
    reload: bool,
    awaited: t.Mapping[str, t.Any],
) -> list[t.Any]:
    """What to carry out: first what all members share, then what this server has."""
    altered = [decision.action for decision in decisions if decision.action]
    if altered and not state.may_alter:
        raise Refused("The server does not allow ALTER SYSTEM: allow_alter_system is off.", code="not_alterable")
    patch = dynamic.patch([decision.change for decision in decisions if decision.change])
    reloads = reload and (bool(altered) or (patch is None and any(decision.needs_reload for decision in decisions)))
    actions: list[t.Any] = [patch, dynamic.Await(awaited, in_force=False)] if patch else []
    actions += altered
    override = overrides.action(outcomes)
    if override:
        actions.append(override)
    if reloads or patch:
        _check_reload(state, ours=reloads)
    if reloads:
        actions.append(Reload())
    if patch:
        actions.append(dynamic.Await(awaited, in_force=True))
    return actions


def filled_by(
    profile: Profile | None, desired: t.Mapping[str, t.Any], state: State, shared: bool = False
) -> dict[str, t.Any]:
    """What of the profile counts: not what the task sets itself, nor what would stop a standby from starting.

    :param shared: whether Patroni sees to it that a standby starts.
    """
    if profile is None:
        return {}
    given = {name.lower() for name in desired}
    filled = {name: value for name, value in profile.settings.items() if name not in given}
    if state.in_recovery and not shared:
        for name in versions.NOT_BELOW_PRIMARY & set(filled):
            in_force = state.definitions[name].in_force
            if in_force and int(filled[name]) < in_force.meaning:
                del filled[name]
    return filled


def _profile(profile: Profile | None, filled: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    if profile is None:
        return {"name": "none", "settings": {}, "left_out": []}
    return {
        "name": profile.name,
        **profile.facts,
        "settings": {name: str(value) for name, value in profile.settings.items()},
        "left_out": sorted(set(profile.settings) - set(filled)),
    }


def _overridden(outcomes: t.Iterable[overrides.Outcome]) -> list[t.Any]:
    return [
        {
            "database": outcome.scope.database,
            "role": outcome.scope.role,
            "name": outcome.name,
            "before": outcome.before,
            "after": outcome.after,
            "unit": outcome.unit,
            "context": outcome.context,
        }
        for outcome in outcomes
    ]


def _patroni_warnings(decisions: t.Sequence[Decision], state: State) -> tuple[str, ...]:
    """What a line of ``postgresql.auto.conf`` does under Patroni."""
    lines = {entry.name.lower() for entry in state.entries if entry.main}
    names = [each.name for each in decisions if isinstance(each.action, Set) and each.name.lower() in lines]
    if not state.patroni or not names:
        return ()
    return (
        f"Patroni manages this server, and has {', '.join(names)} too: ALTER SYSTEM concerns this member alone, and "
        "wins over what all members share; with patroni_host, the values go there.",
    )


def _standby_warnings(decisions: t.Sequence[Decision], state: State) -> tuple[str, ...]:
    if not state.in_recovery:
        return ()
    warnings = []
    for decision in decisions:
        if not decision.action or decision.name not in versions.NOT_BELOW_PRIMARY:
            continue
        in_force = int(state.definitions[decision.name].setting or 0)
        if int(decision.after or 0) < in_force:
            warnings.append(
                f"{decision.name} falls from {in_force} to {decision.after} on a standby, which does not start with "
                "less than its primary had; lower it on the primary first."
            )
    return tuple(warnings)


def _check_reload(state: State, ours: bool) -> None:
    if ours and not state.may_reload:
        raise Refused(
            "This user may not call pg_reload_conf(); grant EXECUTE on it or use reload: false.", code="denied"
        )
    if state.file_errors:
        raise Refused(
            "The server's configuration files hold errors, so that a reload would apply nothing: "
            + "; ".join(state.file_errors)
            + ".",
            code="broken_files",
        )


def _result(decisions: t.Sequence[Decision], state: State, reloaded: bool) -> dict[str, t.Any]:
    listed = {decision.name.lower() for decision in decisions}
    elsewhere = sorted(
        (definition for key, definition in state.definitions.items() if definition.pending and key not in listed),
        key=lambda definition: definition.name,
    )
    return {
        "settings": [
            {
                "name": decision.name,
                "before": decision.before,
                "after": decision.after,
                "unit": decision.unit,
                "context": decision.context,
            }
            for decision in decisions
        ],
        "restart_required": [decision.name for decision in decisions if decision.restart_reason],
        "restart_reasons": {
            decision.name: decision.restart_reason for decision in decisions if decision.restart_reason
        },
        "pending_restart_elsewhere": [definition.name for definition in elsewhere],
        "pending_restart_reasons": {
            definition.name: pending_reason(definition, state.entries_of(definition.key)) for definition in elsewhere
        },
        "reloaded": reloaded,
    }
