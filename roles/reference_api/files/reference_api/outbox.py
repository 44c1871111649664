# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Events that are written together with the row that they tell of. Pure.

A statement that changes rows and the INSERT into ``outbox`` become one statement, so that there is never one without
the other, whatever fails and whoever pools the connections; a statement that changed no row writes no event. The worker
publishes what is in the outbox (``events/``).

An event's id is a UUIDv7, made by the process that wrote it: ids of one process keep its order; of two processes they
are in the order of their clocks.
"""

from __future__ import annotations

import typing as t
import uuid
from dataclasses import dataclass


@dataclass(frozen=True)
class Event:
    """What happened, for each row that a statement returns.

    :param kind: ``<noun>.<past verb>``.
    :param payload: columns of the statement's RETURNING that a consumer needs; ``id`` is always among them.
    :param when: SQL over these columns; rows for which it is not true write no event.
    """

    kind: str
    payload: tuple[str, ...] = ()
    when: str = "true"


def with_events(statement: str, events: t.Sequence[Event]) -> str:
    """Return the statement made to write its events as well; it returns the same rows.

    :param statement: INSERT, UPDATE or DELETE ... RETURNING, with an ``id`` among what it returns.
    """
    if not events:
        return statement
    inserts = ", ".join(f"event_{number} AS ({_insert(number, event)})" for number, event in enumerate(events))
    return f"WITH changed AS ({statement}), {inserts} SELECT * FROM changed"


def parameters_of(
    events: t.Sequence[Event], user_id: uuid.UUID, new_id: t.Callable[[], uuid.UUID]
) -> dict[str, uuid.UUID]:
    """The parameters that :func:`with_events` adds to the statement's own."""
    if not events:
        return {}
    return {"event_user_id": user_id, **{f"event_id_{number}": new_id() for number in range(len(events))}}


def _insert(number: int, event: Event) -> str:
    columns = ("id", *(column for column in event.payload if column != "id"))
    payload = ", ".join(f"'{column}', {column}" for column in columns)
    return (
        "INSERT INTO outbox (user_id, id, kind, payload)"
        f" SELECT %(event_user_id)s, %(event_id_{number})s, '{event.kind}', jsonb_build_object({payload})"
        f" FROM changed WHERE {event.when}"
    )
