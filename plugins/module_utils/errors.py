# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The errors that core code raises.

Core code knows nothing of Ansible: it raises one of these, and the edge
(``module.py`` for modules, an action plugin for itself) turns it into a
failed task whose message is the error's text. A message is one sentence
that a person can act on; it names the option and the value, or the host
and the port. Programs read the ``code`` and never the sentence.
"""

from __future__ import annotations

import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.names import bracketed

#: So much of a value that cannot be is repeated.
_LONGEST = 200


def told(value: t.Any) -> str:
    """Return a value as a message repeats it: what is long is cut, and what cannot be written is named by its type."""
    try:
        text = repr(value)
    # Of what is nested too deeply, and of an integer of thousands of digits.
    except (RecursionError, ValueError):
        return f"a {type(value).__name__}"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


class ScaleoutError(Exception):
    """Base of all errors that a user is meant to read.

    :param message: one sentence, without a traceback or a secret.
    :param code: what a program may branch on, lower case with underscores; by default the class's own.
    :param facts: values for the failed result, such as ``{"host": "pg1"}``.
    """

    #: The class's default for :attr:`code`; documented in docs/codes.md.
    CODE = "failed"

    def __init__(self, message: str, *, code: str | None = None, **facts: t.Any) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.CODE
        self.facts = facts

    @property
    def coded(self) -> str:
        """The code and the sentence, for places where Ansible takes a text and nothing else."""
        return f"[{self.code}] {self.message}"

    def result(self) -> dict[str, t.Any]:
        """What a failed task returns: ``msg``, ``code`` and the facts."""
        return {"msg": self.message, "code": self.code, **self.facts}


class InvalidInput(ScaleoutError):
    """An option, or a combination of options, that can never work.

    Raised before anything is read or changed.
    """

    CODE = "invalid_input"

    def __init__(self, option: str, value: t.Any, reason: str) -> None:
        super().__init__(f"{option}: {told(value)} {reason}.", option=option)


def all_of(faults: t.Sequence[InvalidInput]) -> ScaleoutError:
    """Return the error for options of which at least one cannot be: its own, or one that has a line for each."""
    if len(faults) == 1:
        return faults[0]
    text = "\n".join(["Several options cannot be:", *(f"- {fault.message}" for fault in faults)])
    return ScaleoutError(text, code=InvalidInput.CODE, problems=[fault.message for fault in faults])


class MissingLibrary(ScaleoutError):
    """A Python library that the module needs and the host lacks; ``library`` is its name."""

    CODE = "missing_library"

    def __init__(self, library: str) -> None:
        super().__init__(f"The Python library {library} is not installed.")
        self.library = library


class Unreachable(ScaleoutError):
    """A server that cannot be reached or that does not let us in; the subclasses say that it answered."""

    CODE = "unreachable"

    def __init__(self, what: str, host: str, port: int, reason: str) -> None:
        super().__init__(f"Cannot reach {what} at {bracketed(host)}:{port}: {reason}.", host=host, port=port)


class Denied(Unreachable):
    """A server that answers and does not let us in, or not that far."""

    CODE = "denied"


class NoLeader(Unreachable):
    """A cluster that answers and cannot decide anything, because it has no leader."""

    CODE = "no_leader"


class UnexpectedAnswer(Unreachable):
    """A server that answers something that we have no use for."""

    CODE = "unexpected_answer"


class Stranger(Unreachable):
    """Something that answers and is not the server that we are looking for."""

    CODE = "stranger"


class Refused(ScaleoutError):
    """A request that is understood and not carried out, because it would do harm or cannot succeed."""

    CODE = "refused"


class TooLarge(Refused):
    """More than the server stores under one name or takes at once."""

    CODE = "too_large"


class Conflict(ScaleoutError):
    """Another client changed the same thing between our read and our write."""

    CODE = "conflict"


class PartlyApplied(ScaleoutError):
    """An apply that stopped half way; ``facts`` says what was done and what was not."""

    CODE = "partly_applied"

    @classmethod
    def stopped_by(cls, error: ScaleoutError, done: t.Sequence[str], not_done: t.Sequence[str]) -> ScaleoutError:
        """What to raise when ``error`` ends an apply: itself, as long as nothing was done.

        :param done: what was carried out, such as ``["drop a", "create b"]``.
        :param not_done: what was not, beginning with what failed.
        """
        if not done:
            return error
        facts = dict(error.facts, changed=True, done=list(done), not_done=list(not_done), cause=error.code)
        return cls(f"{error.message} Done before: {', '.join(done)}. Not done: {', '.join(not_done)}.", **facts)
