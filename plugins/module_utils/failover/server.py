# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A member's host while its cluster is restored: its marks, its units, its data, and the programs that restore them.

What touches data runs as the user that owns them, since the folder above is that user's: root would follow its links.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pathlib
import subprocess
import time
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Conflict, ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.failover import restore
from ansible_collections.scaleout.platform.plugins.module_utils.process import Done, run

#: Where the marks are; what is there beside Patroni's files is no YAML, so Patroni does not read it.
MARKS = "/etc/patroni/scaleout"
UNIT = "patroni.service"
PGBACKREST = "/usr/bin/pgbackrest"
#: Seconds that a server or Patroni may take to stop: a checkpoint has to be written.
STOP_TIMEOUT = 3600
_LOOK = 60

Document = dict[str, t.Any]


class RestoreFailed(ScaleoutError):
    """A program that ended with an error in the middle of a restore; the message has what it said."""

    CODE = "restore_failed"


class Host:
    """A member's host.

    :param data: the data directory of its server.
    :param programs: the folder of PostgreSQL's programs.
    :param marks: the folder of the marks.
    :param user: who owns the data.
    :param socket: the folder of the server's socket; empty for that of Debian.
    """

    def __init__(self, data: str, programs: str, marks: str = MARKS, user: str = "postgres", socket: str = "") -> None:
        self.user, self._socket = user, socket
        self.data = pathlib.Path(data)
        #: What a restore needs, beside the data and on the same volume.
        self.place = self.data.with_name(f"{self.data.name}.restore")
        self._programs, self._marks = pathlib.Path(programs), pathlib.Path(marks)
        self._prefix = ["runuser", f"--user={user}", "--"] if os.geteuid() == 0 else []

    # Marks

    @property
    def mark_file(self) -> pathlib.Path:
        """The file that keeps Patroni from starting; its unit names it."""
        return self._marks / "restoring"

    @property
    def note_file(self) -> pathlib.Path:
        """What the mark of the member that restored becomes."""
        return self._marks / "restored"

    @property
    def joined_file(self) -> pathlib.Path:
        """Says that the member had its data; Patroni does not start without them then."""
        return self._marks / "joined"

    def read(self, path: pathlib.Path) -> Document | None:
        """Return a mark; None where there is none.

        :raises RestoreFailed: it cannot be read.
        """
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            text = f"{path} cannot be read ({error}). See docs/backups.md, which says how a restore is taken back."
            raise RestoreFailed(text) from None
        return dict(found)

    def write(self, path: pathlib.Path, document: t.Mapping[str, t.Any]) -> None:
        """Write a mark so that it is there as a whole or not at all, after a crash too."""
        new = path.with_name(f".{path.name}.new")
        path.parent.mkdir(parents=True, exist_ok=True)
        with new.open("w", encoding="utf-8") as stream:
            json.dump(document, stream, indent=2, sort_keys=True)
            stream.flush()
            os.fsync(stream.fileno())
        new.replace(path)
        self._sync(path.parent)

    def becomes(self, path: pathlib.Path, other: pathlib.Path) -> None:
        """Rename a mark."""
        path.replace(other)
        self._sync(path.parent)

    def remove_mark(self) -> None:
        """Let Patroni start again."""
        with contextlib.suppress(FileNotFoundError):
            self.mark_file.unlink()
        self._sync(self._marks)

    @contextlib.contextmanager
    def lock(self) -> t.Iterator[None]:
        """Keep a second task out, such as one whose controller is gone.

        :raises Conflict: one is at work.
        """
        self._marks.mkdir(parents=True, exist_ok=True)
        with (self._marks / "restore.lock").open("a", encoding="ascii") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                text = "Another task restores on this host; run again when it has ended."
                raise Conflict(text, code="busy") from None
            yield

    # Patroni and PostgreSQL

    def is_active(self) -> bool:
        """Whether Patroni's unit runs or is about to."""
        state = run(["systemctl", "is-active", UNIT]).output.strip()
        return state in ("active", "activating", "reloading", "deactivating")

    def unit(self, verb: str) -> None:
        """Start or stop Patroni.

        :raises RestoreFailed: it does not.
        """
        done = run(["systemctl", verb, UNIT], STOP_TIMEOUT)
        if done.status:
            raise RestoreFailed(f"systemctl {verb} {UNIT} failed: {done.said}.")

    def postmaster(self, data: pathlib.Path | None = None) -> bool:
        """Whether a server runs on a data directory."""
        return self._run("pg_ctl", f"--pgdata={data or self.data}", "status").status == 0

    def stop(self, data: pathlib.Path | None = None) -> None:
        """Stop a server, if one runs: it writes a checkpoint, and archives what it has.

        :raises RestoreFailed: it does not stop.
        """
        where = data or self.data
        if not self.postmaster(where):
            return
        words = [f"--pgdata={where}", "--wait", "--silent", "--mode=fast", f"--timeout={STOP_TIMEOUT}", "stop"]
        self._must("pg_ctl", *words, timeout=STOP_TIMEOUT + _LOOK)

    def start(self, data: pathlib.Path, settings: t.Mapping[str, str]) -> None:
        """Start a server by itself, and do not wait for it: it may replay for hours.

        :raises RestoreFailed: it does not start.
        """
        options = " ".join(f"-c {name}={restore.quoted(value)}" for name, value in settings.items())
        log = self.place / "server.log"
        before = len(self.text(log))
        words = [f"--pgdata={data}", "--silent", "--no-wait", f"--log={log}", f"--options={options}", "start"]
        self._must("pg_ctl", *words)
        # On a busy host it takes a while until it is seen; what it says comes after that, or instead of it.
        deadline = time.monotonic() + _LOOK
        while len(self.text(log)) == before and not self.postmaster(data) and time.monotonic() < deadline:
            time.sleep(0.1)

    def ask(self, query: str, socket: str = "") -> str | None:
        """Return what a server prints; None while it takes no connection."""
        folder = socket or self._socket
        where = [f"--host={folder}"] if folder else []
        words = [*where, "--port=5432", "--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--dbname=postgres"]
        done = self._run("psql", *words, "--set=ON_ERROR_STOP=1", f"--command={query}")
        return done.output.strip() if done.status == 0 else None

    def control(self, data: pathlib.Path | None = None) -> str:
        """Return what pg_controldata prints; empty where there are no data."""
        return self._run("pg_controldata", str(data or self.data)).output

    # Data

    def has(self, *parts: str) -> bool:
        """Whether there is a file below the parent of the data directory."""
        return self.data.parent.joinpath(*parts).exists()

    def free(self) -> int:
        """Return the bytes that are free where the data are."""
        folder = next(one for one in (self.data.parent, *self.data.parent.parents) if one.exists())
        found = os.statvfs(folder)
        return found.f_bavail * found.f_frsize

    def fixed(self) -> str:
        """Say why the data cannot change their name, as a clause; empty where they can."""
        if os.path.ismount(self.data):
            return f"{self.data} is a mount point, and cannot change its name"
        spaces = self.data / "pg_tblspc"
        if spaces.is_dir() and any(spaces.iterdir()):
            return "its tablespaces lie in places of their own, where those of the backup go"
        if (self.data / "pg_wal").is_symlink():
            return f"{self.data}/pg_wal is a link to a place of its own"
        return ""

    def make(self, folder: pathlib.Path) -> None:
        """Make a folder that the owner of the data alone may enter."""
        self._shell('mkdir -p -m 0700 "$1"', str(folder))

    def move(self, source: pathlib.Path, target: pathlib.Path) -> None:
        """Give a folder another name, unless that name is taken."""
        self._shell('test ! -e "$2" && mv --no-target-directory "$1" "$2" && sync "$(dirname "$2")"', source, target)

    def remove(self, folder: pathlib.Path) -> None:
        """Remove a folder, or what is in it where it is a mount point."""
        script = (
            'if mountpoint -q "$1"; then find "$1" -xdev -mindepth 1 -delete; else rm -rf --one-file-system "$1"; fi'
        )
        self._shell(script, folder)

    def empty_places_elsewhere(self) -> None:
        """Empty tablespaces and a folder of WAL that lie elsewhere: a new copy refuses places that hold something."""
        for link in (*(self.data / "pg_tblspc").glob("*"), self.data / "pg_wal"):
            if link.is_symlink():
                self._shell('find "$1" -xdev -mindepth 1 -delete', link.resolve())

    def text(self, path: pathlib.Path) -> str:
        """Return a file of the data; empty where there is none."""
        try:
            return path.read_text(encoding="utf-8", errors="surrogateescape")
        except FileNotFoundError:
            return ""

    def put(self, path: pathlib.Path, text: str) -> None:
        """Write a file of the data as a whole."""
        script = 'umask 077; cat > "$1.new" && sync "$1.new" && mv "$1.new" "$1"'
        self._shell(script, path, stdin=text)

    # pgBackRest

    def fetch(self, command: t.Sequence[str]) -> None:
        """Start a restore that goes on when this task ends; :meth:`fetched` says how it went."""
        script = 'echo $$ > "$1/pid"; place=$1; shift; "$@" > "$place/fetch.log" 2>&1; echo $? > "$place/status"'
        self._shell('rm -f "$1/status" "$1/pid"', self.place)
        subprocess.Popen(  # pylint: disable=consider-using-with,ansible-bad-function
            [*self._prefix, "sh", "-c", script, "sh", str(self.place), *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
        )
        # Its process is known from here on.
        deadline = time.monotonic() + _LOOK
        while not self.text(self.place / "pid") and not self.text(self.place / "status"):
            if time.monotonic() > deadline:
                raise RestoreFailed("pgBackRest does not start.")
            time.sleep(0.1)

    def fetches(self) -> bool:
        """Whether a restore that was started still runs."""
        if self.text(self.place / "status"):
            return False
        pid = self.text(self.place / "pid").strip()
        try:
            words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes() if pid.isdigit() else b""
        except OSError:
            return False
        return str(self.place).encode() in words

    def fetched(self) -> int | None:
        """Return the status with which the last restore ended; None where it did not come to its end."""
        text = self.text(self.place / "status").strip()
        return int(text) if text.isdigit() else None

    def said(self, name: str, lines: int = 5) -> str:
        """Return the last lines of a log, in one."""
        found = self.text(self.place / name).splitlines()[-lines:]
        return " | ".join(line.strip() for line in found if line.strip())[-1000:]

    def size(self, place: pathlib.Path | None = None) -> int:
        """Return the bytes that have been restored so far."""
        total = 0
        for folder, _folders, files in os.walk(place or self.place):
            for name in files:
                with contextlib.suppress(OSError):
                    total += os.lstat(os.path.join(folder, name)).st_size
        return total

    def _run(self, program: str, *words: str, timeout: float = _LOOK) -> Done:
        return run([*self._prefix, str(self._programs / program), *words], timeout)

    def _must(self, program: str, *words: str, timeout: float = _LOOK) -> str:
        done = self._run(program, *words, timeout=timeout)
        if done.status:
            raise RestoreFailed(f"{program} failed: {done.said}.")
        return done.output

    def _shell(self, script: str, *words: t.Any, stdin: str = "") -> None:
        done = run([*self._prefix, "sh", "-c", script, "sh", *map(str, words)], STOP_TIMEOUT, stdin)
        if done.status:
            raise RestoreFailed(f"{' '.join(map(str, words))}: {done.said}.")

    @staticmethod
    def _sync(folder: pathlib.Path) -> None:
        with contextlib.suppress(OSError):
            handle = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
