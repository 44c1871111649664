# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an answer is worth, held against what was acknowledged before. Pure.

A failed request is the platform saying "not now": bad, but honest. A wrong answer is the platform saying something that
is not so: a row that was acknowledged is gone, a value older than the last acknowledged one, another user's row, or a
success that holds rubbish. The two are never added up.

A write whose answer was an error, or never came, may have happened, may not, or may still happen later (a server that
hung works through its queue when it wakes up). So both outcomes are allowed from then on, for good.
"""

from __future__ import annotations

import enum
import json
import uuid
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

#: The pseudo field that says whether a row is there; a deletion is a write to it.
EXISTS = "exists"

#: Statuses by which a server declines for now; any other status below 500 is an answer and gets judged.
DECLINED = {408, 429}


class Outcome(enum.Enum):
    """What became of a request."""

    OK = "ok"
    FAILED = "failed"
    WRONG = "wrong"


@dataclass(frozen=True)
class Answer:
    """What came back.

    :param status: None when nothing (complete) came back.
    :param error: what happened instead of an answer, such as `TimeoutError`.
    """

    status: int | None = None
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    error: str = ""


@dataclass(frozen=True)
class Judgement:
    """An outcome and why.

    :param kind: of a failure: the status or the error's name.
    :param detail: of anything but success: for a person.
    :param body: of a success: the decoded answer; None when the row was expected to be gone, or nothing was said.
    """

    outcome: Outcome
    kind: str = ""
    detail: str = ""
    body: Any = None


class Row:
    """What the client knows about one row: the last acknowledged value of each field, and what else it may hold."""

    def __init__(self, id: str, fields: Mapping[str, Any]) -> None:
        self.id = id
        self._acknowledged: dict[str, Any] = {EXISTS: True, **fields}
        self._possible: dict[str, set[Any]] = {}

    def settle(self, changes: Mapping[str, Any], outcome: Outcome) -> None:
        """Enter a write into the ledger: acknowledged, or of unknown outcome."""
        if outcome is Outcome.OK:
            self._acknowledged.update(changes)
        else:
            for name, value in changes.items():
                self._possible.setdefault(name, set()).add(value)

    def allows(self, name: str, value: Any) -> bool:
        """Whether a field may have this value."""
        return value == self._acknowledged[name] or value in self._possible.get(name, ())

    @property
    def is_there(self) -> bool:
        """Whether the row exists beyond doubt."""
        return not self.allows(EXISTS, False)

    def contradiction(self, told: Any, but: Container[str] = ()) -> str:
        """How a row that was told contradicts the ledger; empty when it does not.

        :param but: fields that are judged elsewhere.
        """
        if not isinstance(told, dict):
            return f"not a row: {told!r:.80}"
        if told.get("id") != self.id:
            return f"row {told.get('id')!r} in place of {self.id}"
        if not self.allows(EXISTS, True):
            return f"{self.id} was deleted, and is back"
        for name in self._acknowledged:
            value = told.get(name)
            if name == EXISTS or name in but:
                continue
            if not _is_plain(value) or not self.allows(name, value):
                return f"{self.id}: {name} is {value!r:.80}, acknowledged was {self._acknowledged[name]!r}"
        return ""


def judge_create(fields: Mapping[str, Any], answer: Answer) -> Judgement:
    """A new row: created, with an id and with the fields that were sent."""
    judgement = _judge_status(answer, 201)
    if judgement.outcome is not Outcome.OK:
        return judgement
    told = judgement.body
    if not isinstance(told, dict) or not _is_uuid(told.get("id")):
        return _wrong(answer, "created, without an id")
    return _agree(judgement, answer, Row(told["id"], fields).contradiction(told))


def judge_read(row: Row, answer: Answer) -> Judgement:
    """A row, or a 404 when it may be gone."""
    if answer.status == 404 and not row.is_there:
        return Judgement(Outcome.OK)
    judgement = _judge_status(answer, 200)
    if judgement.outcome is not Outcome.OK:
        return judgement
    return _agree(judgement, answer, row.contradiction(judgement.body))


def judge_change(row: Row, changes: Mapping[str, Any], answer: Answer) -> Judgement:
    """A changed row, shown with its changes; or a 404 when it may be gone."""
    if answer.status == 404 and not row.is_there:
        return Judgement(Outcome.OK)
    judgement = _judge_status(answer, 200)
    if judgement.outcome is not Outcome.OK:
        return judgement
    told = judgement.body if isinstance(judgement.body, dict) else {}
    for name, value in changes.items():
        if told.get(name) != value:
            return _wrong(answer, f"{row.id}: {name} was set to {value!r}, the answer says {told.get(name)!r:.80}")
    return _agree(judgement, answer, row.contradiction(judgement.body, but=changes))


def judge_delete(row: Row, answer: Answer) -> Judgement:
    """A deletion; or a 404 when the row may be gone already."""
    if answer.status == 404 and not row.is_there:
        return Judgement(Outcome.OK)
    return _judge_status(answer, 204)


def judge_list(rows: Iterable[Row], lost: Iterable[Any], key: str, answer: Answer) -> Judgement:
    """One page that holds a user's whole list: each row that is there, none that is not.

    :param lost: the `key` values of rows whose creation was never acknowledged, and which may be there.
    """
    judgement = _judge_status(answer, 200)
    if judgement.outcome is not Outcome.OK:
        return judgement
    items = judgement.body.get("items") if isinstance(judgement.body, dict) else None
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        return _wrong(answer, "not a list")
    told = {item.get("id"): item for item in items}
    if len(told) != len(items):
        return _wrong(answer, "one row twice in a list")
    for row in rows:
        item = told.pop(row.id, None)
        if item is None and row.is_there:
            return _wrong(answer, f"{row.id} is missing in the list")
        if item is not None:
            contradiction = row.contradiction(item)
            if contradiction:
                return _wrong(answer, contradiction)
    strangers = [item for item in told.values() if item.get(key) not in set(lost)]
    return _agree(judgement, answer, f"a row that was never written: {strangers[0]!r:.120}" if strangers else "")


def _judge_status(answer: Answer, expected: int) -> Judgement:
    """The status alone; the body of a success, decoded."""
    if answer.status is None:
        return Judgement(Outcome.FAILED, answer.error, answer.error)
    if answer.status >= 500 or answer.status in DECLINED:
        return Judgement(Outcome.FAILED, str(answer.status), _text(answer))
    if answer.status != expected:
        return _wrong(answer, f"{expected} expected")
    if expected == 204:
        return Judgement(Outcome.OK)
    try:
        return Judgement(Outcome.OK, body=json.loads(answer.body))
    except ValueError:
        return _wrong(answer, "not JSON")


def _agree(judgement: Judgement, answer: Answer, contradiction: str) -> Judgement:
    return _wrong(answer, contradiction) if contradiction else judgement


def _wrong(answer: Answer, why: str) -> Judgement:
    return Judgement(Outcome.WRONG, str(answer.status), f"{why} (status {answer.status}, {_text(answer)})")


def _text(answer: Answer) -> str:
    return answer.body[:300].decode(errors="replace")


def _is_plain(value: Any) -> bool:
    """Whether a value is one that a field of ours can have; anything else could not even be compared."""
    return value is None or isinstance(value, (str, bool, int, float))


def _is_uuid(value: Any) -> bool:
    try:
        return str(uuid.UUID(value)) == value
    except (ValueError, TypeError, AttributeError):
        return False
