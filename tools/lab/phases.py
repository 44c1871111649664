"""How long each phase of a run took, on the screen while it runs and as a table at its end."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable

from .paths import PHASES

LOCK = threading.Lock()
#: Seconds after which a step that still runs says so, and again.
EVERY = 15.0
_LONGEST = 60
#: What each step is at, where it tells.
_AT: dict[str, str] = {}


def tell(name: str, what: str) -> None:
    """Note what a step is at, for the next line that says that it still runs."""
    _AT[name] = what if len(what) <= _LONGEST else f"{what[: _LONGEST - 1]}…"


def timed(name: str, step: Callable[[], str]) -> None:
    """Run one step, say what it does and how long it took, and keep its time for the table."""
    print(f"{name:<14} …", flush=True)
    started = time.monotonic()
    done = threading.Event()

    def beat() -> None:
        while not done.wait(EVERY):
            at = f", {_AT[name]}" if name in _AT else ""
            print(f"{name:<14} … {time.monotonic() - started:.0f} s{at}", flush=True)

    beating = threading.Thread(target=beat, daemon=True)
    beating.start()
    try:
        outcome = step()
    finally:
        done.set()
        beating.join()
    seconds = time.monotonic() - started
    print(f"{name:<14} {outcome}, {seconds:.1f} s", flush=True)
    with LOCK:
        PHASES.parent.mkdir(exist_ok=True)
        PHASES.write_text(json.dumps({**read(), name: seconds}))


def read() -> dict[str, float]:
    """The times of the present run, in seconds."""
    try:
        return json.loads(PHASES.read_text())
    except (OSError, ValueError):
        return {}


def table(seconds: float) -> str:
    """The phases as a table that a person reads.

    :param seconds: how long the run took; environment and image are made side by side, so it is less than the sum.
    """
    rows = [f"  {name:<14} {seconds:7.1f} s" for name, seconds in read().items()]
    return "\n".join(["Phases", *rows, f"  {'in all':<14} {seconds:7.1f} s"])
