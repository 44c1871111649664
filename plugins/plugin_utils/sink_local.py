# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Hand-over to this machine: starts the scaling playbook as a process of its own, one at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import subprocess
import sys
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, Refused, ScaleoutError
from ansible_collections.scaleout.platform.plugins.plugin_utils.hand_over import MARKER, Event, Options

#: A log that is larger is begun again; the one before is kept beside it.
LARGEST_LOG = 10 * 1024 * 1024


class LogFailed(ScaleoutError):
    """The log cannot be written."""

    CODE = "write_failed"


def check(options: Options) -> None:
    """Refuse options that cannot work.

    :raises InvalidInput: one of them cannot.
    :raises Refused: the process would not outlive this run.
    """
    # What begins with a hyphen would be an option of ansible-playbook.
    if not options.playbook or options.playbook.startswith("-"):
        raise InvalidInput("playbook", options.playbook, "is not the name or the path of a playbook")
    if not options.log_path or options.log_path.endswith("/"):
        raise InvalidInput("log_path", options.log_path, "is not the path of a file")
    if "AWX_PRIVATE_DATA_DIR" in os.environ:
        raise Refused("handover: local starts a process that ends with the job of AWX. Use handover: awx there.")


def send(event: Event, options: Options) -> str:
    """Start the playbook and return what was started, in a few words.

    It is in a session of its own and holds nothing of ours, so that it outlives this run and the terminal. It holds a
    lock for as long as it runs; where one runs already, no second one is started.
    """
    path = os.path.abspath(os.path.expanduser(options.log_path))
    with _lock(path) as lock:
        if lock is None:
            return f"nothing, as a run of {options.playbook} has not ended yet"
        with _log(path) as log:
            process = subprocess.Popen(
                _command(options),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                # The lock is released when its last copy is closed: the one of the process.
                pass_fds=[lock],
                env={**os.environ, MARKER: event.id},
            )
    return f"{options.playbook} as process {process.pid}, which writes to {path}"


def _command(options: Options) -> list[str]:
    command = [sys.executable, "-m", "ansible", "playbook"]
    for inventory in options.inventories:
        command += ["--inventory", inventory]
    for vault in options.vault_ids:
        command += ["--vault-id", vault]
    return [*command, options.playbook]


@contextlib.contextmanager
def _lock(path: str) -> t.Iterator[int | None]:
    """Take the lock beside a log; None where another process has it."""
    with _opened(f"{path}.lock") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
        else:
            yield file


@contextlib.contextmanager
def _log(path: str) -> t.Iterator[int]:
    with contextlib.suppress(FileNotFoundError):
        if os.stat(path).st_size > LARGEST_LOG:
            os.replace(path, f"{path}.1")
    with _opened(path) as file:
        yield file


@contextlib.contextmanager
def _opened(path: str) -> t.Iterator[int]:
    """Open a file to append to, which only this account may read; not a link, which may lead anywhere."""
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise LogFailed(f"log_path: {path} cannot be opened: {error.strerror}.") from None
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise LogFailed(f"log_path: {path} is not a regular file.")
        os.fchmod(file, 0o600)
        yield file
    finally:
        os.close(file)
