# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Plans the settings of a server as a whole; pure. What becomes of each one is decided in ``decide.py``."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, Refused
from ansible_collections.scaleout.platform.plugins.module_utils.plan import Plan
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.settings import catalogue, secrets, values
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.settings.decide import Decision, decide
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.settings.values import Definition


@dataclasses.dataclass(frozen=True)
class State:
    """What the server says, read once.

    :param definitions: by name in lower case; the wished names that the server knows, and all that wait for a restart.
    :param entries: the lines for the wished names, in the order in which the server reads them.
    :param file_errors: why a reload would apply nothing; empty when the files are sound.
    :param in_recovery: whether the server is a standby.
    :param may_alter: whether the server allows ALTER SYSTEM at all.
    :param may_reload: whether our user may call ``pg_reload_conf()``.
    """

    definitions: t.Mapping[str, Definition]
    entries: tuple = ()
    file_errors: tuple = ()
    in_recovery: bool = False
    may_alter: bool = True
    may_reload: bool = True


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
    decisions = []
    problems = []
    for name in sorted(wishes, key=str.lower):
        entries = [entry for entry in state.entries if entry.name.lower() == name.lower()]
        try:
            decisions.append(decide(name, wishes[name], state.definitions.get(name.lower()), entries))
        except values.BadValue as reason:
            problems.append(f"settings.{name}: {secrets.mask(name, str(wishes[name]))!r} {reason}")
    if problems:
        raise Refused(". ".join(problems) + ".", problems=problems)

    actions: list = [decision.action for decision in decisions if decision.action]
    if actions and not state.may_alter:
        raise Refused("The server does not allow ALTER SYSTEM: allow_alter_system is off.")
    if reload and (actions or any(decision.needs_reload for decision in decisions)):
        _check_reload(state)
        actions.append(Reload())
    return Plan(
        before={decision.name: decision.before for decision in decisions},
        after={decision.name: decision.after for decision in decisions},
        actions=tuple(actions),
        result=_result(decisions, state, reloaded=Reload() in actions),
        warnings=_standby_warnings(decisions, state) if state.in_recovery else (),
    )


def _standby_warnings(decisions: t.Sequence[Decision], state: State) -> tuple:
    warnings = []
    for decision in decisions:
        if not decision.action or decision.name not in catalogue.NOT_BELOW_PRIMARY:
            continue
        in_force = int(state.definitions[decision.name].setting or 0)
        if int(decision.after or 0) < in_force:
            warnings.append(
                f"{decision.name} falls from {in_force} to {decision.after} on a standby, which does not start with "
                "less than its primary had; lower it on the primary first."
            )
    return tuple(warnings)


def _check_reload(state: State) -> None:
    if not state.may_reload:
        raise Refused("This user may not call pg_reload_conf(); grant EXECUTE on it or use reload: false.")
    if state.file_errors:
        raise Refused(
            "The server's configuration files hold errors, so that a reload would apply nothing: "
            + "; ".join(state.file_errors)
            + "."
        )


def _result(decisions: t.Sequence[Decision], state: State, reloaded: bool) -> dict:
    listed = {decision.name.lower() for decision in decisions}
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
        "pending_restart_elsewhere": sorted(
            definition.name for key, definition in state.definitions.items() if definition.pending and key not in listed
        ),
        "reloaded": reloaded,
    }
