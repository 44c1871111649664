# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A run that was paused past the expiry of its lease begins nothing when it wakes (A5): with real processes."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from ansible_collections.scaleout.platform.plugins.plugin_utils import watchdog

#: A run with a worker, which leads a session of its own as Ansible's do. Each begins a task every 20 ms.
RUN = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
while True:
    with open(sys.argv[1], "a") as tasks:
        tasks.write(f"{os.getpid()}\\n")
    time.sleep(0.02)
"""


@pytest.mark.parametrize(
    ("now", "deadline", "lives", "expected"),
    [
        pytest.param(99.9, 100, True, "wait", id="A5-in-time"),
        pytest.param(100, 100, True, "end", id="A5-expired"),
        pytest.param(9000, 100, True, "end", id="A5-expired-while-the-machine-slept"),
        pytest.param(100, None, True, "leave", id="given-back"),
        pytest.param(99, 100, False, "leave", id="ended"),
        pytest.param(100, 100, False, "leave", id="ended-and-expired"),
    ],
)
def test_what_is_done_at_a_look(now, deadline, lives, expected):
    assert watchdog.judge(now, deadline, lives) == expected


@pytest.mark.parametrize(("expires", "after"), [(3600, 3590), (100, 90), (20, 18), (1, 0.9)])
def test_a_run_is_ended_before_its_lease_expires(expires, after):
    assert watchdog.before(expires) == after


def until(true, what, seconds=20.0):
    ends = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends, f"{what} did not come"
        time.sleep(0.02)


def watching(folder):
    """The processes that watch a run, by their command lines."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            words = pathlib.Path("/proc", name, "cmdline").read_bytes().split(b"\0")
            if str(folder).encode() in words and b"-I" in words:
                found.append(int(name))
    return found


def the_watcher(folder):
    """The one process that watches a run; a process that has just been started has no command line for a moment."""
    until(lambda: watching(folder), "the watchdog")
    (watcher,) = watching(folder)
    return watcher


class Run:
    """A run in a process group of its own, with a worker and a bystander in that group."""

    def __init__(self, folder):
        self.folder, self.tasks = folder / "ansible-local-1", folder / "tasks"
        self.folder.mkdir()
        self.process = subprocess.Popen([sys.executable, "-c", RUN, str(self.tasks)], process_group=0)
        self.bystander = subprocess.Popen(
            [sys.executable, "-c", "import time; time.sleep(60)"], process_group=self.process.pid
        )
        until(lambda: len(self.pids()) == 2, "the worker")

    def pids(self):
        return set(map(int, self.tasks.read_text().split())) if self.tasks.exists() else set()

    def watch(self, seconds, tick=0.05, grace=0.5):
        """As an action does: from a fork that ends with its task."""
        fork = os.fork()
        if fork == 0:
            watchdog.watch(
                str(self.folder), self.process.pid, "site.yml,", watchdog.boot_time() + seconds, tick=tick, grace=grace
            )
            os._exit(0)
        os.waitpid(fork, 0)

    def stop(self, number=signal.SIGSTOP):
        """Pause or wake the run with its worker, as a debugger or a freezer would."""
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def ended(self):
        return all(watchdog.started(pid) is None for pid in self.pids())

    def close(self):
        for pid in (*self.pids(), self.bystander.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(10)
        self.bystander.wait(10)


@pytest.fixture(name="run")
def _run(tmp_path):
    with contextlib.closing(Run(tmp_path)) as run:
        yield run


def test_a_paused_run_begins_nothing_when_it_wakes(run):
    """A5."""
    run.watch(3)
    run.stop()
    until(run.ended, "the end of the run")
    before = run.tasks.read_text()
    run.stop(signal.SIGCONT)
    time.sleep(0.3)
    assert run.tasks.read_text() == before
    # It was asked first, and it did not wake to answer.
    assert run.process.wait(5) == -signal.SIGKILL


def test_a_run_that_works_on_is_ended_too_and_only_that(run):
    """A5: SIGTERM is enough; who only shares the group is let be."""
    run.watch(0.3, grace=10)
    until(run.ended, "the end of the run")
    assert run.process.wait(5) == -signal.SIGTERM
    assert run.bystander.poll() is None
    until(lambda: not watching(run.folder), "the end of the watchdog")


def test_the_next_run_is_told_once_why(run):
    run.watch(0.2)
    until(run.ended, "the end of the run")
    (line,) = watchdog.told(str(run.folder))
    assert line.startswith("site.yml, was stopped at 20")
    assert line.endswith("UTC: it had not renewed its lease in time, so another may work.")
    assert watchdog.told(str(run.folder)) == []
    assert list(run.folder.parent.glob("scaleout-stopped*")) == []


def test_a_renewed_run_is_watched_by_one_process_and_lives(run):
    for _renewal in range(5):
        run.watch(2)
        time.sleep(0.5)
        assert the_watcher(run.folder)
    assert not run.ended()
    assert watchdog.told(str(run.folder)) == []


def test_a_run_that_gives_its_lease_back_is_left_alone(run):
    run.watch(3)
    watcher = the_watcher(run.folder)
    watchdog.leave(str(run.folder))
    until(lambda: not watching(run.folder), "the end of the watchdog")
    time.sleep(3)
    assert not run.ended()
    assert watchdog.started(watcher) is None
    # And is watched again when it takes it again.
    run.watch(0.2)
    until(run.ended, "the end of the run")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_watchdog_ends_with_its_run_and_is_no_ones_zombie(run, number):
    run.watch(60)
    watcher = the_watcher(run.folder)
    assert os.getsid(watcher) == watcher
    parent = int(pathlib.Path(f"/proc/{watcher}/stat").read_text().rpartition(")")[2].split()[1])
    assert parent not in (os.getpid(), run.process.pid)
    os.kill(run.process.pid, number)
    run.process.wait(10)
    until(lambda: watchdog.started(watcher) is None, "the end of the watchdog")
    assert watchdog.told(str(run.folder)) == []


def test_it_ends_when_the_folder_of_the_run_is_gone(run):
    run.watch(60)
    for file in run.folder.iterdir():
        file.unlink()
    run.folder.rmdir()
    until(lambda: not watching(run.folder), "the end of the watchdog")
    assert not run.ended()


def test_a_process_that_ignores_sigterm_is_killed(tmp_path):
    stubborn = "import signal, time; signal.signal(15, signal.SIG_IGN); print(flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", stubborn], stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        watchdog.end(process.pid, watchdog.started(process.pid), 0.2)
        assert process.wait(5) == -signal.SIGKILL


def test_another_process_with_the_same_id_is_let_be_and_its_children_too():
    child = "print(flush=True); import time; time.sleep(60)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, process_group=0) as process:
        process.stdout.readline()
        watchdog.end(process.pid, "1", 0.1)
        # It would end with its child.
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        os.killpg(process.pid, signal.SIGKILL)
