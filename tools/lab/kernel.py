"""What many systemd containers on one machine need of its kernel."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from .shell import NeedsHelp, as_root, run

#: Each systemd takes several inotify instances, and all VMs share the limit of one user: with the usual 128 those
#: beyond some twenty die while they boot, and restart forever.
NEEDED = {"fs.inotify.max_user_instances": 1024, "fs.inotify.max_user_watches": 65536}


def ensure() -> str:
    """Raise the limits that are too low; where that may not be, say what to set and go on.

    :returns: what was done, in a few words.
    """
    missing = too_low({name: _read(name) for name in NEEDED})
    if not missing:
        return "enough"
    settings = assignments(missing)
    try:
        run(*as_root(), "sysctl", "-q", "-w", *settings)
    except NeedsHelp:
        return advice(missing)
    return f"raised: {', '.join(settings)}"


def too_low(have: Mapping[str, int | None]) -> dict[str, int]:
    """Name the limits that must rise, with the values that they need; pure.

    :param have: what the kernel says; None for a limit that it does not have.
    """
    return {name: NEEDED[name] for name, value in have.items() if value is not None and value < NEEDED[name]}


def assignments(missing: Mapping[str, int]) -> list[str]:
    """Write limits as sysctl takes them; pure."""
    return [f"{name}={value}" for name, value in missing.items()]


def advice(missing: Mapping[str, int]) -> str:
    """Say in one sentence what a person has to set; pure."""
    return (
        "too low for more than some twenty VMs, and not ours to raise: "
        f"run `sysctl -w {' '.join(assignments(missing))}` as root on the machine that runs the Docker engine"
    )


def _read(name: str) -> int | None:
    try:
        return int(Path("/proc/sys", *name.split(".")).read_text())
    except (OSError, ValueError):
        return None
