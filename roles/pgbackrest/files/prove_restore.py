# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Restores a cluster's newest backup and all WAL after it beside everything else, and asks it what must be true.

A backup of which no one has seen a restore is a hope. This one is restored to where the archive ends, started on a
socket that no client knows, asked, and removed. What came of it is in a file for each cluster below :data:`PLACE`, and
the last restore that succeeded stays there when a later one fails.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
import typing as t

PLACE = pathlib.Path("/var/lib/pgbackrest-proof")
#: Of each cluster: how many ``hosts`` pgBackRest has for it, and its ``checks``.
OPTIONS = pathlib.Path("/etc/pgbackrest/proof.json")
PGBACKREST = "/usr/bin/pgbackrest"
PROGRAMS = pathlib.Path("/usr/lib/postgresql")
#: Bytes beside the database: WAL while it is replayed, and what the host itself needs.
RESERVE = 512 * 1024 * 1024
#: What pg_controldata says of the server's limits. A copy with less of one refuses to recover.
LIMITS = {
    "max_connections setting": "max_connections",
    "max_worker_processes setting": "max_worker_processes",
    "max_wal_senders setting": "max_wal_senders",
    "max_prepared_xacts setting": "max_prepared_transactions",
    "max_locks_per_xact setting": "max_locks_per_transaction",
}
#: A database that answers has its catalogs.
ANSWERS = "SELECT count(*) > 0 FROM pg_class"


class Failed(Exception):
    """The restore proved nothing; the message says why."""


def newest(info: t.Sequence[t.Mapping[str, t.Any]], cluster: str) -> tuple[str, int]:
    """Return the label of the newest backup and the bytes of its database.

    :param info: what ``pgbackrest info --output=json`` prints.
    :raises Failed: there is none.
    """
    backups = [each for one in info if one.get("name") == cluster for each in one.get("backup") or ()]
    if not backups:
        raise Failed(f"there is no backup of {cluster}")
    last = max(backups, key=lambda each: each["timestamp"]["stop"])
    return str(last["label"]), int((last.get("info") or {}).get("size") or 0)


def limits(told: str) -> dict[str, str]:
    """Return the settings that the copy needs, from what pg_controldata prints."""
    fields = dict(line.split(":", 1) for line in told.splitlines() if ":" in line)
    return {setting: fields[name].strip() for name, setting in LIMITS.items() if name in fields}


def settings(place: pathlib.Path, needed: t.Mapping[str, str]) -> dict[str, str]:
    """Return all settings that win over those of the cluster that was backed up."""
    return {
        "listen_addresses": "",
        "unix_socket_directories": str(place),
        "hba_file": str(place / "pg_hba.conf"),
        "ssl": "off",
        "shared_preload_libraries": "",
        "shared_buffers": "64MB",
        "huge_pages": "off",
        "archive_mode": "off",
        "synchronous_standby_names": "",
        "hot_standby": "on",
        "logging_collector": "off",
        "log_destination": "stderr",
        "autovacuum": "off",
        **needed,
    }


def entry(before: t.Mapping[str, t.Any], **now: t.Any) -> dict[str, t.Any]:
    """Return what is noted of a cluster: the last restore that succeeded, and the last failure if that was later."""
    if "reason" in now:
        return {"proven": before.get("proven"), "failed": now}
    return {"proven": now, "failed": None}


class Copy:
    """A restored copy of a cluster.

    :param cluster: its name.
    :param hosts: how many of its servers pgBackRest knows.
    """

    def __init__(self, cluster: str, hosts: int, place: pathlib.Path = PLACE) -> None:
        self.cluster = cluster
        self._hosts = hosts
        self.place = place / f"{cluster}.copy"
        self._data = self.place / "data"
        self._version = ""

    def restore(self, size: int) -> None:
        """Restore to the end of the archive.

        :param size: bytes of the database.
        """
        self.remove()
        self.place.mkdir(mode=0o700)
        free = shutil.disk_usage(self.place).free
        if free < size + RESERVE:
            raise Failed(f"{self.place.parent} has {free} bytes free, and the copy needs {size + RESERVE}")
        resets = [f"--reset-pg{number}-host" for number in range(1, self._hosts + 1)]
        where = [f"--stanza={self.cluster}", *resets, f"--pg1-path={self._data}"]
        run([PGBACKREST, *where, "--archive-mode=off", "--log-level-console=error", "restore"])
        self._version = (self._data / "PG_VERSION").read_text().strip()
        if not (self._programs / "pg_ctl").exists():
            raise Failed(f"PostgreSQL {self._version} is not installed on this host")

    @property
    def _programs(self) -> pathlib.Path:
        return PROGRAMS / self._version / "bin"

    def start(self) -> None:
        """Start it, and wait until it has replayed everything."""
        (self.place / "pg_hba.conf").write_text("local all all peer\n")
        # Debian keeps its file elsewhere, and it is none of the backup then.
        (self._data / "postgresql.conf").touch()
        needed = limits(run([self._programs / "pg_controldata", self._data]))
        told = settings(self.place, needed).items()
        options = " ".join(f"-c {name}={quoted(value)}" for name, value in told)
        log, control = self.place / "log", [self._programs / "pg_ctl", f"--pgdata={self._data}"]
        try:
            run([*control, "--silent", "--wait", "--timeout=86400", f"--log={log}", f"--options={options}", "start"])
            while self.ask("postgres", "SELECT pg_is_in_recovery()") != "f":
                time.sleep(1)
        except Failed as error:
            words = log.read_text(errors="replace").splitlines()[-5:] if log.exists() else []
            raise Failed(" | ".join([str(error), *words])) from None

    def ask(self, database: str, query: str) -> str:
        """Return what a query prints."""
        where = [
            f"--host={self.place}",
            f"--dbname={database}",
            "--no-psqlrc",
            "--quiet",
            "--no-align",
            "--tuples-only",
        ]
        return run([self._programs / "psql", *where, "--set=ON_ERROR_STOP=1", "--file=-"], query).strip()

    def check(self, checks: t.Iterable[t.Mapping[str, str]]) -> int:
        """Ask what must be true; returns how many questions that were."""
        databases = self.ask("postgres", "SELECT datname FROM pg_database WHERE datallowconn ORDER BY 1").splitlines()
        asked = [*({"database": name, "query": ANSWERS} for name in databases), *checks]
        for one in asked:
            found = self.ask(one["database"], one["query"])
            if found != "t":
                raise Failed(f"in {one['database']}, {one['query']!r} is {found[:100]!r} and not true")
        return len(asked)

    def replayed_until(self) -> int | None:
        """When the last transaction that it has was committed, seconds since the epoch."""
        found = self.ask("postgres", "SELECT extract(epoch FROM pg_last_xact_replay_timestamp())::bigint")
        return int(found) if found else None

    def remove(self) -> None:
        """Stop it, however far it came, and remove it."""
        if self._version:
            stop = [
                self._programs / "pg_ctl",
                f"--pgdata={self._data}",
                "--wait",
                "--silent",
                "--mode=immediate",
                "stop",
            ]
            subprocess.run([str(word) for word in stop], capture_output=True, check=False, cwd="/")
        shutil.rmtree(self.place, ignore_errors=True)


def quoted(value: str) -> str:
    """Return a value as pg_ctl's options take it, which a shell reads."""
    return "'" + value.replace("'", "'\\''") + "'"


def run(command: t.Sequence[t.Any], told: str = "") -> str:
    """Run a program and return what it prints.

    :raises Failed: it fails.
    """
    words = [str(word) for word in command]
    done = subprocess.run(words, input=told, capture_output=True, text=True, check=False, cwd="/")
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split())
        raise Failed(f"{os.path.basename(words[0])} failed: {said[-500:]}")
    return done.stdout


def prove(cluster: str, options: t.Mapping[str, t.Any], clock: t.Any = time) -> dict[str, t.Any]:
    """Restore a cluster and check it; returns what it came to.

    :param options: its ``hosts`` and ``checks``.
    :raises Failed: it proved nothing.
    """
    began = clock.time()
    label, size = newest(json.loads(run([PGBACKREST, "info", f"--stanza={cluster}", "--output=json"])), cluster)
    copy = Copy(cluster, int(options["hosts"]))
    try:
        copy.restore(size)
        copy.start()
        checks = copy.check(options["checks"])
        until = copy.replayed_until()
    finally:
        copy.remove()
    now = clock.time()
    return {"at": int(now), "backup": label, "until": until, "seconds": round(now - began), "checks": checks}


def note(path: pathlib.Path, **now: t.Any) -> None:
    """Write down what a restore came to."""
    try:
        before = json.loads(path.read_text())
    except (OSError, ValueError):
        before = {}
    new = path.with_name(f".{path.name}.new")
    new.write_text(json.dumps(entry(before, **now), indent=2) + "\n")
    new.chmod(0o644)
    new.replace(path)


def main(cluster: str) -> int:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", cluster):
        print(f"{cluster!r} is no cluster's name", file=sys.stderr)
        return 2
    path = PLACE / f"{cluster}.json"
    try:
        options = json.loads(OPTIONS.read_text()).get(cluster)
        if options is None:
            raise Failed(f"{OPTIONS} has no cluster {cluster}")
        found = prove(cluster, options)
    except (Failed, OSError, ValueError) as error:
        note(path, at=int(time.time()), reason=str(error))
        print(f"{cluster}: nothing is proven: {error}", file=sys.stderr)
        return 1
    note(path, **found)
    print(f"{cluster}: {found['backup']} restored and checked ({found['checks']}) in {found['seconds']} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
