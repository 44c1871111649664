# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Waits for something no longer than it may take, whatever it waits for itself."""

from __future__ import annotations

import threading
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, ScaleoutError

T = t.TypeVar("T")


class TooSlow(ScaleoutError):
    """It took longer than it may."""

    CODE = "timeout"


#: Seconds; what may take longer holds up a run.
LONGEST = 60.0


def check(option: str, seconds: float) -> None:
    """Refuse a time that nothing can be waited for.

    :raises InvalidInput: it is not above 0, longer than a minute, or no number.
    """
    if not 0 < seconds <= LONGEST:
        raise InvalidInput(option, seconds, f"is not a number of seconds above 0, and at most {LONGEST:g}")


def within(seconds: float, what: str, work: t.Callable[[], T]) -> T:
    """Return what the work returns, or raise what it raises.

    A timeout of a socket counts from byte to byte, and the lookup of a name has none. So the work is done in a thread
    which is left behind when its time is up, and which does not keep the process from ending.

    :param what: what it is about, for the message.
    :raises TooSlow: it is not done by then.
    """
    done: list[T] = []
    failed: list[BaseException] = []

    def body() -> None:
        try:
            done.append(work())
        except BaseException as error:  # It is raised again where someone waits for it.
            failed.append(error)

    thread = threading.Thread(target=body, daemon=True)
    thread.start()
    thread.join(seconds)
    if failed:
        raise failed[0]
    if not done:
        raise TooSlow(f"{what} took longer than {seconds:g} s.")
    return done[0]
