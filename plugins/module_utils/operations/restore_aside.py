# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A copy of a cluster as of a point, on the host of the backups, beside everything: single tables come back from it.

It listens on a socket that no client knows, and nothing of it runs by itself: no job of an extension, no subscription,
no archiving. Patroni and Consul do not know it.
"""

from __future__ import annotations

import json
import os
import shutil
import time
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, Refused
from ansible_collections.scaleout.platform.plugins.module_utils.failover import restore, server
from ansible_collections.scaleout.platform.plugins.module_utils.operations.restore_member import POLL
from ansible_collections.scaleout.platform.plugins.module_utils.plan import Plan, Task

#: Where the proofs of restores are as well; it may be a disk of its own.
PLACE = "/var/lib/pgbackrest-proof"
PRESENT, ABSENT = "present", "absent"
_RECOVERS = "SELECT pg_catalog.pg_is_in_recovery()"
#: On a host that has less memory than the servers, and where no one is to write by mistake.
_SMALL = {"shared_buffers": "128MB", "huge_pages": "off", "default_transaction_read_only": "on"}


class RestoreAside(Task):
    """Makes the copy, or removes it. It may be killed at any point, and called again.

    :param told: what is restored: ``told`` (the point, for a person), ``command``, ``set``, ``size`` and ``run``.
    :param hosts: how many servers of the cluster pgBackRest knows.
    """

    def __init__(self, host: server.Host, cluster: str, state: str, told: t.Mapping[str, t.Any], hosts: int) -> None:
        self._host, self._cluster, self._state, self._told, self._hosts = host, cluster, state, told, hosts
        self._wait = 0.0
        #: What the copy is of; beside its data.
        self._note = host.data.with_name("told.json")

    @classmethod
    def of(cls, params: t.Mapping[str, t.Any]) -> RestoreAside:
        """The task that the options of the module ``restore_aside`` describe.

        :raises InvalidInput: an option that can never work.
        """
        told = params["restore"]
        missing = [name for name in ("told", "command", "set", "size") if name not in told]
        if params["state"] == PRESENT and missing:
            raise InvalidInput("restore", told, f"lacks {', '.join(missing)}")
        host = server.Host(f"{PLACE}/{params['cluster']}.aside/data", params["programs"])
        found = cls(host, params["cluster"], params["state"], told, params["hosts"])
        found._wait = params["wait"]
        return found

    def plan(self) -> Plan:
        note = self._noted()
        there = note["told"] if note else "absent"
        if self._state == ABSENT:
            due = note is not None or self._host.data.parent.exists()
            return Plan({"copy": there}, {"copy": "absent"} if due else {"copy": there}, (ABSENT,) if due else ())
        if note and any(note[name] != self._told[name] for name in ("command", "set")):
            text = f"There is a copy of {self._cluster} as of {note['told']}; remove it first with -e aside=remove."
            raise Refused(text, code="restore_open")
        free = self._host.free()
        if not note and free < int(self._told["size"]) + restore.RESERVE:
            text = f"{PLACE} has {free} bytes free, and the copy needs {int(self._told['size']) + restore.RESERVE}."
            raise Refused(text, code="no_space")
        done = note is not None and self._serves()
        result = {"done": done, "socket": str(self._host.place), "doing": "", "bytes": 0}
        return Plan({"copy": there}, {"copy": self._told["told"]}, () if done else (PRESENT,), result)

    def apply(self, _plan: Plan) -> dict[str, t.Any]:
        host, folder = self._host, self._host.data.parent
        if self._state == ABSENT:
            host.stop()
            host.remove(folder)
            return {}
        # As systemd makes it for the proofs.
        for each in (folder.parent, folder):
            if not each.exists():
                each.mkdir(mode=0o755 if each == folder.parent else 0o700)
                if os.geteuid() == 0:
                    shutil.chown(each, host.user, host.user)
        if self._noted() is None:
            host.put(self._note, json.dumps({name: self._told[name] for name in ("told", "command", "set")}))
        deadline = time.monotonic() + self._wait
        while True:
            doing = self._advance()
            if not doing or time.monotonic() > deadline:
                return {"done": not doing, "doing": doing, "bytes": host.size(host.data) if doing else 0}
            time.sleep(POLL)

    def _advance(self) -> str:
        """Take a step, and return what is waited for; empty once the copy takes questions."""
        host = self._host
        status = host.fetched()
        if status is None and not host.fetches():
            self._fetch()
        if status is None:
            return "copies the backup"
        if status:
            host.put(host.place / "status", "")
            raise server.RestoreFailed(f"pgbackrest restore failed: {host.said('fetch.log')}.")
        if host.postmaster():
            return "" if self._serves() else "replays"
        started = host.place / "started"
        if host.text(started) == str(self._told.get("run", "")) and (host.data / "recovery.signal").exists():
            raise server.RestoreFailed(
                f"PostgreSQL did not replay to {self._told['told']}: {host.said('server.log')}. Remove the copy with "
                "-e aside=remove."
            )
        host.put(started, str(self._told.get("run", "")))
        host.put(host.place / "pg_hba.conf", "local all all peer\n")
        if not host.text(host.data / "postgresql.conf"):
            host.put(host.data / "postgresql.conf", "")
        limits = restore.limits(host.control())
        host.start(host.data, {**restore.settings(str(host.place), limits, ""), **_SMALL})
        return "replays"

    def _fetch(self) -> None:
        host = self._host
        host.make(host.place)
        whole = any((host.data / name).exists() for name in ("PG_VERSION", "backup.manifest"))
        if not whole:
            host.remove(host.data)
        host.make(host.data)
        resets = [f"--reset-pg{number}-host" for number in range(1, self._hosts + 1)]
        where = [f"--stanza={self._cluster}", *resets, f"--pg1-path={host.data}", f"--set={self._told['set']}"]
        more = ["--delta"] if whole else []
        command = [*where, *self._told["command"], "--archive-mode=off", *more, "--log-level-console=warn", "restore"]
        host.fetch([server.PGBACKREST, *command])

    def _serves(self) -> bool:
        return self._host.ask(_RECOVERS, str(self._host.place)) == "f"

    def _noted(self) -> dict[str, t.Any] | None:
        text = self._host.text(self._note)
        return dict(json.loads(text)) if text else None
