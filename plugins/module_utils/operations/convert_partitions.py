# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The conversions of plain tables among the partition sets that a task keeps."""

from __future__ import annotations

import contextlib
import dataclasses
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.connection import Session
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.locks import Patience, Waited
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions import fit
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.companion import Companion
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.convert import copying
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.convert import server as convert
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.convert.state import Incoming
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.convert.turn import Turn
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.gate import Gate
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.outcome import Outcome
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.pauses import Limits
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.spec import PartitionSet
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.state import State


class Conversions:
    """What there is to convert, set by set; each by the name of its table."""

    def __init__(self, session: Session, waiting: Patience, limits: Limits, companion: Companion) -> None:
        self.session = session
        self.waiting = waiting
        self.limits = limits
        self.companion = companion
        self._prepared: dict[str, convert.Prepared] = {}
        self._unfinished: dict[str, list[Incoming]] = {}
        self.said: dict[str, tuple[str, ...]] = {}

    def foresee(self, wanted: PartitionSet, state: State) -> State:
        """The state as a conversion leaves it behind, where one is wanted; changes nothing.

        :raises ScaleoutError: the table cannot be converted.
        """
        self._prepared.pop(wanted.label, None)
        self._unfinished.pop(wanted.label, None)
        name = (wanted.schema, wanted.table)
        root = state.roots.get(name)
        if not wanted.convert or wanted.state == "absent" or root is None:
            return state
        if root.kind != "r":
            if root.referencing:
                self._unfinished[wanted.label] = convert.unfinished(self.session, *name)
            return state
        fit.require_all_seen(wanted, root)
        prepared = convert.prepare(self.session, wanted, root, state.clock)
        # Whether that can be moved is known before anything is changed; what is moved, when it is moved.
        self.companion.moving(prepared.root, "")
        self._prepared[wanted.label] = prepared
        self.said[wanted.label] = prepared.said
        roots, largest = {**state.roots, name: prepared.root}, {**state.largest, name: prepared.largest}
        return dataclasses.replace(state, roots=roots, largest=largest)

    def predict(self, wanted: PartitionSet, outcome: Outcome) -> Outcome:
        """Add what a conversion will have done to what else will have been done."""
        prepared = self._prepared.get(wanted.label)
        keys = list(self._unfinished.get(wanted.label, ()))
        if prepared is not None:
            outcome.converted = _converted(prepared)
            outcome.created += prepared.made
            keys = [key for key in prepared.table.incoming if key.valid]
        outcome.validated = [_shown(key) for key in keys]
        return outcome

    def carry_out(self, wanted: PartitionSet, outcome: Outcome, user: str) -> bool:
        """Turn a plain table into a set, or do what is left of that.

        :param outcome: is added to.
        :param user: who we are on the server.
        :return: whether the set is another one now, and has to be looked at again.
        :raises ScaleoutError: it was not converted.
        """
        prepared = self._prepared.pop(wanted.label, None)
        if prepared is not None:
            gate, turn = Gate(self.session, self.limits), Turn(self.session, self.waiting, outcome.waited)
            try:
                outcome.moved += convert.carry_out(self.session, prepared, turn, gate, user, self.companion)
            finally:
                outcome.paused = gate.result if gate.reasons else None
            outcome.converted = _converted(prepared)
            outcome.created += prepared.made
            self._unfinished[wanted.label] = convert.unfinished(self.session, wanted.schema, wanted.table)
        for key in self._unfinished.pop(wanted.label, ()):
            convert.validate(self.session, key)
            outcome.validated.append(_shown(key))
        return prepared is not None

    def withdraw(self, wanted: PartitionSet) -> None:
        """Remove what an interrupted conversion has left of a table that is refused by now.

        It would refuse rows one day, or write each row twice for good.
        """
        with contextlib.suppress(ScaleoutError):
            copying.undo(self.session, wanted.schema, wanted.table, Turn(self.session, self.waiting, Waited()))


def _converted(prepared: convert.Prepared) -> dict[str, t.Any]:
    return {"name": prepared.name, "bounds": prepared.bounds}


def _shown(key: Incoming) -> str:
    return f"{key.table_name}.{key.name}"
