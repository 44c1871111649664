# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ends a run whose lease has expired, so that one that was paused begins nothing when it wakes.

The run cannot do that itself: while it is paused nothing of it works, and when it wakes it goes on where it was. So a
process of its own watches it, in a session of its own, which a signal to the run's group does not reach. It is told of
each renewal by a file in the run's folder. It ends when that file is gone, because the lease was given back, and when
the run has ended. It knows nothing of Ansible, as it is started with this very file.

Time is that of the kernel since its boot, in which the sleep of the machine counts and which no one can set.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import time
import typing as t

#: How often it looks, and how long the run has between SIGTERM and SIGKILL; seconds.
TICK = 0.5
GRACE = 5.0
#: The run is ended so long before its lease expires, at most a tenth of it, that it is gone when another may begin.
_MARGIN = 10.0
#: What it tells the next run, beside the folders of runs: a run's own folder goes with the run.
STOPPED = "scaleout-stopped.log"

_DEADLINE, _LOCK = "scaleout-lease-ends", "scaleout-watchdog"
#: What it does at a look.
WAIT, LEAVE, END = "wait", "leave", "end"


def boot_time() -> float:
    """Return the seconds since the boot, those that the machine slept included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def started(pid: int) -> str | None:
    """Return when a process began, in the kernel's ticks since the boot; None where it does not run (proc(5))."""
    fields = _stat(pid)
    return None if fields is None or fields[0] == "Z" else fields[19]


def before(expires: float) -> float:
    """Return after how many seconds a run is ended whose lease expires then."""
    return expires - min(_MARGIN, expires / 10)


def judge(now: float, deadline: float | None, lives: bool) -> str:
    """Say what to do: wait, leave the run alone for good, or end it.

    :param now: seconds since the boot.
    :param deadline: when the run has to be gone, on the same clock; None where it has given its lease back.
    :param lives: whether the run's process is there.
    """
    if deadline is None or not lives:
        return LEAVE
    return END if now >= deadline else WAIT


def watch(folder: str, pid: int, label: str, deadline: float, tick: float = TICK, grace: float = GRACE) -> bool:
    """Have a run ended at a time, and begin to watch it unless it is watched already.

    :param folder: what all forks of the run share. What is told to the next run is kept beside it.
    :param pid: the run's process.
    :param label: how the run is called; it is on the command line of the watchdog.
    :param deadline: in seconds since the boot, as :func:`boot_time`.
    :returns: whether a process was started, which is not waited for.
    :raises OSError: it cannot be started.
    """
    path = os.path.join(folder, _DEADLINE)
    with open(f"{path}.{os.getpid()}", "w", encoding="ascii") as stream:
        stream.write(repr(deadline))
    os.replace(stream.name, path)
    lock = os.open(os.path.join(folder, _LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if not _locked(lock):
            return False
        program = [sys.executable, "-I", "-S", os.path.realpath(__file__)]
        # The process holds the lock for as long as it watches. It is no one's child when this fork has ended.
        subprocess.Popen(
            [*program, folder, str(pid), str(started(pid)), str(lock), str(tick), str(grace), label],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
            pass_fds=[lock],
        )
    finally:
        os.close(lock)
    return True


def leave(folder: str) -> None:
    """Have a run watched no more, because it has given its lease back."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(os.path.join(folder, _DEADLINE))


def told(folder: str) -> list[str]:
    """Return why runs were ended since someone asked, a line each, and forget it.

    :param folder: of a run of the same account.
    """
    path = os.path.join(os.path.dirname(folder), STOPPED)
    mine = f"{path}.{os.getpid()}"
    try:
        # Several forks may ask at once, and one of them gets it.
        os.rename(path, mine)
    except OSError:
        return []
    with open(mine, encoding="utf-8", errors="replace") as stream:
        lines = stream.read().splitlines()
    os.unlink(mine)
    return lines


def end(pid: int, began: str, grace: float, clock: t.Callable[[], float] = time.monotonic) -> None:
    """End a process and all that descends from it: SIGTERM, and SIGKILL for those that are left after a while.

    A process that is stopped keeps the SIGTERM until it goes on; SIGKILL ends it as it is. So it begins nothing more.
    """
    if started(pid) != began:
        return
    family = {pid: began, **_descendants({pid: began})}
    _signal(family, signal.SIGTERM)
    until = clock() + grace
    while any(started(one) == since for one, since in family.items()):
        if clock() >= until:
            # Those that began meanwhile, too.
            family.update(_descendants(family))
            _signal(family, signal.SIGKILL)
            return
        time.sleep(0.02)


def _signal(family: t.Mapping[int, str], number: int) -> None:
    for one, since in family.items():
        # Its id may be another's by now.
        if started(one) == since:
            with contextlib.suppress(OSError):
                os.kill(one, number)


def _descendants(family: t.Mapping[int, str]) -> dict[int, str]:
    """Return who descends from a family, by ids of processes, and when each began.

    Ansible's workers lead sessions of their own, so whoever is in one descends from it, also without a parent.
    """
    processes = {int(name): fields for name in os.listdir("/proc") if name.isdigit() for fields in [_stat(int(name))]}
    root = next(iter(family))
    found: dict[int, str] = {}
    while True:
        known = {**family, **found}
        more = {
            one: fields[19]
            for one, fields in processes.items()
            if fields is not None
            and one not in known
            and one != os.getpid()
            and (int(fields[1]) in known or (int(fields[3]) in known and int(fields[3]) != root))
        }
        if not more:
            return found
        found.update(more)


def _stat(pid: int) -> list[str] | None:
    """Return the fields of proc(5) after the name: state, parent, group, session, …, and the 20th, when it began."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stream:
            return stream.read().rpartition(")")[2].split()
    except OSError:
        return None


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _deadline(folder: str) -> float | None:
    try:
        with open(os.path.join(folder, _DEADLINE), encoding="ascii") as stream:
            return float(stream.read())
    except FileNotFoundError:
        return None


def _tell(folder: str, pid: int, text: str) -> None:
    """Say it where the next run looks, and where this one writes: a terminal, a log, or ansible-runner's output."""
    for path, more in (
        (os.path.join(os.path.dirname(folder), STOPPED), os.O_CREAT | os.O_NOFOLLOW),
        (f"/proc/{pid}/fd/2", os.O_NONBLOCK | os.O_NOCTTY),
    ):
        with contextlib.suppress(OSError):
            file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | more, 0o600)
            try:
                os.write(file, f"{text}\n".encode())
            finally:
                os.close(file)


def main(words: t.Sequence[str]) -> None:
    """Watch a run until it has ended, has given its lease back, or has to be ended."""
    folder, pid, began, lock, tick, grace, label = words
    run = int(pid)
    while True:
        deadline, now = _deadline(folder), boot_time()
        fate = judge(now, deadline, started(run) == began)
        if fate == END and deadline is not None:
            at = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
            _tell(
                folder, run, f"{label} was stopped at {at}: it had not renewed its lease in time, so another may work."
            )
            end(run, began, float(grace))
            return
        if fate == LEAVE:
            # One who took the lease again in this moment has found the lock taken, and starts no other.
            fcntl.flock(int(lock), fcntl.LOCK_UN)
            if _deadline(folder) is None or started(run) != began or not _locked(int(lock)):
                return
        time.sleep(float(tick))


if __name__ == "__main__":
    main(sys.argv[1:])
