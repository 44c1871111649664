# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One JSON document under one key of Consul's KV, changed only by those who have seen its last change.

The shard map, the records of members and locks are such documents. What can go wrong has a class with a code:

=================  ==========  =====================================================================
class              code        what a caller may do
=================  ==========  =====================================================================
``Unreachable``    various     go on without Consul, or ask another server
``NotJson``        not_json    leave the key alone: it belongs to something else
``Conflict``       conflict    read and plan again, see :func:`retried`
``TooLarge``       too_large   store less
=================  ==========  =====================================================================
"""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.consul import strict
from ansible_collections.scaleout.platform.plugins.module_utils.consul.client import (
    Check,
    Consul,
    Delete,
    Entry,
    Operation,
    Write,
)
from ansible_collections.scaleout.platform.plugins.module_utils.errors import Conflict
from ansible_collections.scaleout.platform.plugins.module_utils.plan import Plan

#: How often something is planned again before we give up against a client that is always faster.
TRIES = 3

Result = t.TypeVar("Result")


@dataclasses.dataclass(frozen=True)
class Document:
    """A document as Consul holds it.

    :param text: its JSON; :attr:`value` reads it.
    :param modify_index: which change of Consul's was its last one.
    :param flags: a number that its writer stored with it.
    """

    key: str
    text: bytes
    modify_index: int
    flags: int = 0

    @property
    def value(self) -> t.Any:
        """What it says.

        :raises NotJson: the key holds something else.
        """
        return strict.parse(self.text)


@dataclasses.dataclass(frozen=True)
class Fence:
    """A key that must not change before something else is written, such as that of a lock.

    :param modify_index: which change of Consul's was its last one.
    """

    key: str
    modify_index: int


def read(consul: Consul, key: str) -> Document | None:
    """Return the document under a key; None where there is no such key.

    :raises Unreachable: or one of its subclasses, which :meth:`Consul.get` names.
    """
    entry = consul.get(key)
    return None if entry is None else _document(key, entry)


def read_folder(consul: Consul, folder: str) -> dict[str, Document]:
    """Return all documents below a folder by their keys, in one request.

    Consul leaves out what the token may not read instead of saying so. :func:`read` says so.

    :raises Unreachable: as :func:`read`.
    """
    return {key: _document(key, entry) for key, entry in consul.entries(folder).items()}


def write(
    consul: Consul,
    key: str,
    value: t.Any,
    expected: Document | None,
    flags: int = 0,
    fence: Fence | None = None,
) -> Document:
    """Write a document if the last one to change it was ``expected``, and return what is there now.

    :param expected: what :func:`read` or :func:`write` returned; None if the key must not exist.
    :param fence: what must not have changed either, in the same transaction; :func:`lock.fence` makes one of a lock.
    :raises Conflict: another client was faster, with this key or with that of the fence; nothing is written.
    :raises TooLarge: more than Consul stores under a key.
    :raises Unreachable: as :func:`read`; the message says so when it may have been written all the same.
    """
    text = strict.render(value)
    operations: list[Operation] = [Write(key, text, expected.modify_index if expected else 0, flags)]
    if fence:
        operations.append(Check(fence.key, fence.modify_index))
    written = commit(consul, operations)
    return Document(key, text, written[key], flags)


def delete(consul: Consul, key: str, expected: Document) -> None:
    """Delete a document if the last one to change it was ``expected``.

    :raises Conflict: another client has changed or deleted it; nothing is deleted.
    :raises Unreachable: as :func:`write`.
    """
    commit(consul, [Delete(key, expected.modify_index)])


def commit(consul: Consul, operations: t.Sequence[Operation]) -> dict[str, int]:
    """Carry out all operations or none of them, and return the index of each key that was written.

    :raises Conflict: as :func:`write`, and its other errors.
    """
    written = consul.commit(operations)
    if written is None:
        key = operations[0].key
        raise Conflict(f"Another client changed the key {key} in the same moment; nothing was written.", key=key)
    return written


def retried(attempt: t.Callable[[], Result], tries: int = TRIES) -> Result:
    """Return what an attempt returns, which reads, plans and writes, and begins again when another client was faster.

    :raises Conflict: another client was faster each time.
    """
    for _try in range(tries - 1):
        try:
            return attempt()
        except Conflict:
            continue
    return attempt()


def applied(key: str, plan: Plan, again: t.Callable[[], Plan], write_action: t.Callable[[t.Any], object]) -> Plan:
    """Carry out a plan that writes a key; when another client was faster, plan again and carry that out.

    :param again: reads and plans.
    :param write_action: carries out an action of a plan.
    :return: the plan that was carried out. It changes nothing where another client has written the very same.
    :raises Conflict: another client was faster each time.
    """
    plans = iter([plan])

    def attempt() -> Plan:
        current = next(plans, None) or again()
        for action in current.actions:
            write_action(action)
        return current

    try:
        return retried(attempt)
    except Conflict as error:
        raise Conflict(
            f"Another client changed the key {key} each of the {TRIES} times that this task planned; nothing was "
            "written, and another run starts from what is there now.",
            **error.facts,
        ) from None


def _document(key: str, entry: Entry) -> Document:
    return Document(key, entry.value, entry.modify_index, entry.flags)
