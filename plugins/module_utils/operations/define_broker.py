# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Gives a RabbitMQ broker its virtual hosts, users and permissions: one call reads all, one writes what differs."""

from __future__ import annotations

import functools
import os
import time
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import PartlyApplied, Refused, ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.plan import Plan, Task
from ansible_collections.scaleout.platform.plugins.module_utils.services import rabbitmq_definitions as room
from ansible_collections.scaleout.platform.plugins.module_utils.services.drivers import rabbitmq as broker

#: Seconds until what the broker was given is in force.
SETTLE = 10


class DefineBroker(Task):
    """Compares what is wanted with what the broker has.

    :param predict: whether to go on where there is no broker to ask yet, as check mode does on a new host.
    """

    def __init__(self, wanted: room.Wanted, predict: bool) -> None:
        self._wanted = wanted
        self._predict = predict
        self._present = room.Present()

    def plan(self) -> Plan:
        present, warnings = self._look()
        self._present = present
        due = room.compare(self._wanted, present)
        before, after = room.shown(self._wanted, present)
        return Plan(
            before,
            after if due.all else before,
            actions=(due,) if due.all else (),
            result={
                "changes": [change.text for change in due.all],
                "to_create": _documents(due.to_create),
                "to_change": _documents(due.to_change),
                "to_delete": _documents(due.to_delete),
            },
            warnings=warnings,
        )

    def _look(self) -> tuple[room.Present, tuple[str, ...]]:
        if not broker.installed():
            if self._predict:
                return room.Present(), ()
            raise Refused("RabbitMQ is not installed on this host.", code="not_installed")
        try:
            return room.Present.of(broker.export()), ()
        except broker.CtlFailed as failure:
            if self._predict and failure.code == "broker_silent":
                return room.Present(), (f"The broker does not answer; so all of it counts as missing ({failure}).",)
            raise

    def apply(self, plan: Plan) -> None:
        """Bring into force what differs, and see that it is.

        :raises PartlyApplied: a call failed after others had been carried out; the next run goes on.
        """
        (due,) = plan.actions
        steps: list[tuple[str, t.Callable[[], t.Any]]] = []
        definitions = room.definitions(self._wanted, self._present, due, lambda: os.urandom(4))
        if any(definitions.values()):
            texts = "; ".join(change.text for change in (*due.to_create, *due.to_change))
            steps.append((texts, lambda: broker.give(definitions)))
        for change, words in zip(due.to_delete, room.removals(due)):
            steps.append((change.text, functools.partial(broker.ctl, *words)))
        texts_of = [text for text, _call in steps]
        for number, (_text, call) in enumerate(steps):
            try:
                call()
            except ScaleoutError as error:
                raise PartlyApplied.stopped_by(error, texts_of[:number], texts_of[number:]) from error
        self._settle()

    def _settle(self) -> None:
        end = time.monotonic() + SETTLE
        while True:
            left = room.compare(self._wanted, room.Present.of(broker.export())).all
            if not left:
                return
            if time.monotonic() > end:
                texts = "; ".join(change.text for change in left)
                raise Refused(f"The broker refused it: {texts}.", code="not_in_force")


def _documents(changes: t.Iterable[room.Change]) -> list[dict[str, str]]:
    return [
        {"kind": change.kind, "name": change.name, **({"vhost": change.vhost} if change.vhost else {})}
        for change in changes
    ]
