# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Create, replace, refresh and drop the materialized views of a PostgreSQL database."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import (
    InvalidInput,
    PartlyApplied,
    ScaleoutError,
    Unreachable,
)
from ansible_collections.scaleout.platform.plugins.module_utils.plan import Plan, Task
from ansible_collections.scaleout.platform.plugins.module_utils.postgres import connection, locks
from ansible_collections.scaleout.platform.plugins.module_utils.postgres import patience as waiting
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.matviews import change, server, spec
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.matviews import plan as planner

#: What a view has, as the module's options name it.
OPTIONS = tuple(field.name for field in dataclasses.fields(spec.Desired))


_Read = t.TypeVar("_Read")


class AlterMatviews(Task):
    """Reads the views of a database, decides what becomes of them, and creates, replaces, refreshes and drops."""

    def __init__(
        self, endpoint: connection.Endpoint, wanted: tuple[spec.Desired, ...], patience: locks.Patience
    ) -> None:
        self.wanted = wanted
        self.patience = patience
        self.session = connection.Session(endpoint.for_writes())
        self.choices: tuple[planner.Choice, ...] = ()

    @classmethod
    def of(cls, params: t.Mapping[str, t.Any]) -> AlterMatviews:
        """The task that the options of the module ``materialized_view`` describe, with its connection.

        :raises InvalidInput: an option that can never work.
        """
        if not locks.SHORTEST <= params["lock_timeout"] <= locks.LONGEST:
            reason = f"is not a number of milliseconds from {locks.SHORTEST} to {locks.LONGEST}"
            raise InvalidInput("lock_timeout", params["lock_timeout"], reason)
        if params["lock_patience"] < 0:
            raise InvalidInput("lock_patience", params["lock_patience"], "is not a number of seconds from 0 on")
        views = params["views"] or []
        if params["name"] is not None:
            views = [{option: params[option] for option in OPTIONS}]
        return cls(
            connection.Endpoint.of(params),
            spec.parse_views(views),
            locks.Patience(params["lock_timeout"], params["lock_patience"]),
        )

    def plan(self) -> Plan:
        state = self._patiently(lambda: server.read(self.session, self.wanted, self.patience.lock_timeout))
        self.choices = planner.decide(self.wanted, state)
        return planner.plan(self.choices)

    def apply(self, plan: Plan) -> dict[str, t.Any]:
        """Carry each view's actions out; one that fails stops none of the others.

        :raises ScaleoutError: naming what was done and what was not.
        """
        changer = change.Changer(self.session, self.patience)
        errors: list[ScaleoutError] = []
        done: list[str] = []
        not_done: list[str] = []
        failed: set[str] = set()
        for action in plan.actions:
            if action.desired.label in failed or (errors and isinstance(errors[-1], Unreachable)):
                not_done.append(_described(action))
                continue
            try:
                changer.carry_out(action)
            except ScaleoutError as error:
                errors.append(error)
                failed.add(action.desired.label)
                not_done.append(_described(action))
            else:
                done.append(_described(action))
        if errors:
            raise PartlyApplied.stopped_by(_of_all(errors), done, not_done)
        now = self._patiently(lambda: server.read_views(self.session, self.wanted, self.patience.lock_timeout))
        return {
            "views": [
                {
                    **planner.row(choice, now.get(choice.desired.label), known=True),
                    **changer.waited.get(choice.desired.label, locks.Waited()).result(),
                }
                for choice in self.choices
            ]
        }

    def _patiently(self, look: t.Callable[[], _Read]) -> _Read:
        return waiting.keep_trying(self.session, look, "look at the views", dict, self.patience, locks.Waited())

    def close(self) -> None:
        self.session.close()


def _of_all(errors: t.Sequence[ScaleoutError]) -> ScaleoutError:
    """One error for those of several views: the first one's code, and what each says."""
    first = errors[0]
    if len(errors) == 1:
        return first
    message = " ".join(dict.fromkeys(error.message for error in errors))
    return ScaleoutError(message, code=first.code, **first.facts)


def _described(action: t.Any) -> str:
    return f"{planner.VERBS[type(action)]} {action.desired.label}"
