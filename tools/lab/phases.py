"""How long each phase of a run took, on the screen while it runs and as a table at its end."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from .paths import PHASES


def timed(name: str, step: Callable[[], str]) -> None:
    """Run one step, say what it does and how long it took, and keep its time for the table."""
    print(f"{name:<14} …", flush=True)
    started = time.monotonic()
    outcome = step()
    seconds = time.monotonic() - started
    print(f"{name:<14} {outcome}, {seconds:.1f} s", flush=True)
    record(name, seconds)


def record(name: str, seconds: float) -> None:
    """Add to a phase's time."""
    times = read()
    times[name] = times.get(name, 0.0) + seconds
    PHASES.parent.mkdir(exist_ok=True)
    PHASES.write_text(json.dumps(times))


def read() -> dict[str, float]:
    """The times of the present run, in seconds."""
    try:
        return json.loads(PHASES.read_text())
    except (OSError, ValueError):
        return {}


def reset() -> None:
    """Begin a run."""
    PHASES.unlink(missing_ok=True)


def table() -> str:
    """The phases as a table that a person reads."""
    times = read()
    rows = [f"  {name:<14} {seconds:7.1f} s" for name, seconds in times.items()]
    return "\n".join(["Phases", *rows, f"  {'in all':<14} {sum(times.values()):7.1f} s"])
