# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The part of one member in the restore of its cluster; ``failover.restore`` says which steps there are, and why."""

from __future__ import annotations

import contextlib
import json
import pathlib
import time
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.consul.client import Consul, Delete
from ansible_collections.scaleout.platform.plugins.module_utils.errors import (
    Conflict,
    InvalidInput,
    Refused,
    ScaleoutError,
)
from ansible_collections.scaleout.platform.plugins.module_utils.failover import reinit, restore, server
from ansible_collections.scaleout.platform.plugins.module_utils.operations import leaders
from ansible_collections.scaleout.platform.plugins.module_utils.operations.cluster_members import Members
from ansible_collections.scaleout.platform.plugins.module_utils.patroni import Patroni
from ansible_collections.scaleout.platform.plugins.module_utils.plan import Plan, Task

LOOKED, STOPPED, FORGOTTEN, RESTORED, LED, FOLLOWED, FINISHED = STATES = (
    "looked",
    "stopped",
    "forgotten",
    "restored",
    "led",
    "followed",
    "finished",
)
#: What a mark says of how far the member that restores has come.
_COPIES, _FETCHED, _REPLAYED, _CHANGING, _CHANGED = "copies", "fetched", "replayed", "changing", "changed"
#: Seconds between two looks, and those that a former leader's lease may last.
POLL, LEASE = 0.5, 30.0
#: A commit of now, so that PostgreSQL finds one behind each moment that is over; the stop archives it.
_COMMIT = "SET synchronous_commit = local; SELECT pg_catalog.pg_current_xact_id()"
_REPLAYS = "SELECT pg_catalog.pg_is_in_recovery()"

Document = t.Mapping[str, t.Any]


class RestoreMember(Task):
    """Looks at a member, or takes one step of a restore there.

    :param told: what the restore is told: ``id``, ``cluster``, ``member``, ``asked``, ``told``, ``command`` (what
        pgBackRest is told of the point), ``set``, ``keep``, ``stanza``, ``lost`` and ``run`` (which run this is).
    """

    def __init__(
        self, host: server.Host, consul: Consul, patroni: Patroni, name: str, cluster: str, state: str, told: Document
    ) -> None:
        self._host, self._consul, self._patroni = host, consul, patroni
        self._name, self._state, self._told, self._wait = name, state, told, 0.0
        self._folder = f"{leaders.FOLDER}/{cluster}"

    @classmethod
    def of(cls, params: t.Mapping[str, t.Any]) -> RestoreMember:
        """The task that the options of the module ``restore_member`` describe.

        :raises InvalidInput: an option that can never work.
        """
        state, told = params["state"], params["restore"]
        missing = [name for name in ("id", "member", "asked", "command", "set", "keep", "stanza") if name not in told]
        if state != LOOKED and missing:
            raise InvalidInput("restore", told, f"lacks {', '.join(missing)}")
        if params["wait"] < 0:
            raise InvalidInput("wait", params["wait"], "is less than 0")
        patroni = t.cast(Patroni, Patroni.from_options(params))
        host = server.Host(params["data"], params["programs"])
        found = cls(host, Consul.from_options(params), patroni, params["member"], params["cluster"], state, told)
        found._wait = params["wait"]
        return found

    def plan(self) -> Plan:
        host = self._host
        mark, note = host.read(host.mark_file), host.read(host.note_file)
        open_note = note if note and not note.get("ended") else None
        if self._state == LOOKED:
            return Plan({}, {}, result=self._looked(mark, open_note))
        due = self._due(mark, open_note)
        before = {self._name: (mark or open_note or {}).get("step", "untouched")}
        after = {self._name: self._state} if due else before
        return Plan(before, after, (self._state,) if due else (), {"done": not due})

    def apply(self, _plan: Plan) -> dict[str, t.Any]:
        with self._host.lock():
            step: t.Callable[[], dict[str, t.Any]] = getattr(self, f"_{self._state}")
            return {"done": True, **step()}

    def close(self) -> None:
        self._consul.close()
        self._patroni.close()

    def _due(self, mark: Document | None, note: Document | None) -> bool:
        """Whether a step has something to do here; a second run may come to one that is done."""
        own = mark is not None and mark["id"] == self._told["id"]
        noted = note is not None and note["id"] == self._told["id"]
        if self._state == STOPPED:
            # Once it restores, a server that runs is the one that replays, or that leads.
            begun = noted or (own and "step" in (mark or {}))
            return not begun and (not own or self._host.is_active() or self._host.postmaster())
        if self._state in (FORGOTTEN, RESTORED):
            return own and (mark or {}).get("step") != _CHANGED
        if self._state == FOLLOWED:
            # Also one that was lost in an earlier run and is back: only Patroni knows whether it follows.
            return True
        return noted or (own and self._state == LED)

    # What there is

    def _looked(self, mark: Document | None, note: Document | None) -> dict[str, t.Any]:
        host, keys = self._host, self._consul.entries(self._folder)
        control, config = host.control(), keys.get(f"{self._folder}/config")
        leader = keys.get(f"{self._folder}/leader")
        return {
            "mark": mark,
            "note": note,
            "runs": host.is_active() or host.postmaster(),
            "data": host.has(host.data.name, "PG_VERSION"),
            "limits": restore.limits(control),
            "given": restore.given(_json(config.value)) if config else {},
            "free": host.free(),
            "used": host.size(host.data),
            "paused": bool(_json(config.value).get("pause")) if config else False,
            "members": sorted(key.rsplit("/", 1)[1] for key in keys if key.startswith(f"{self._folder}/members/")),
            "fixed": host.fixed(),
            "leader": leader.value.decode("utf-8", "replace") if leader else "",
            "timeline": int(restore.controldata(control).get("Latest checkpoint's TimeLineID", 0)),
        }

    # Steps

    def _stopped(self) -> dict[str, t.Any]:
        host = self._host
        mark = host.read(host.mark_file)
        if mark is None or mark["id"] != self._told["id"]:
            host.write(host.mark_file, self._told)
        host.ask(_COMMIT)
        if host.is_active():
            host.unit("stop")
        # A paused Patroni leaves its server running, and so does one that was killed.
        host.stop()
        return {}

    def _forgotten(self) -> dict[str, t.Any]:
        """Remove the cluster's keys, once no one holds its lead."""
        deadline = time.monotonic() + LEASE
        while True:
            keys = self._consul.entries(self._folder)
            leader = keys.get(f"{self._folder}/leader")
            if leader is None or leader.value.decode("utf-8", "replace") not in self._told.get("lost", ()):
                break
            if time.monotonic() > deadline:
                who = leader.value.decode("utf-8", "replace")
                text = f"{who} is said to be lost, and still leads: Consul has its lease. Switch that host off first."
                raise Refused(text, code="not_whole", missing=[who])
            time.sleep(POLL)
        for key in restore.keys_to_remove(keys, self._folder):
            self._consul.commit([Delete(key)])
        return {"removed": restore.keys_to_remove(keys, self._folder)}

    def _restored(self) -> dict[str, t.Any]:
        """Take the next steps of the restore until it is done or the time is over."""
        deadline = time.monotonic() + self._wait
        while True:
            doing = self._advance()
            if not doing or time.monotonic() > deadline:
                return {"done": not doing, "doing": doing, "bytes": self._host.size() if doing else 0}
            time.sleep(POLL)

    def _advance(self) -> str:
        """Take one step, and return what is being waited for; empty at the end. Each may be the first one of a task."""
        mark = self._host.read(self._host.mark_file) or {}
        step = mark.get("step")
        if step == _CHANGED:
            return ""
        taken: dict[t.Any, t.Callable[[Document], str]] = {
            None: self._clear,
            _COPIES: self._fetch,
            _FETCHED: self._replay,
            _REPLAYED: self._settle,
            _CHANGING: self._change,
        }
        return taken[step](mark)

    def _comes_to(self, step: str, mark: Document, **more: t.Any) -> None:
        self._host.write(self._host.mark_file, {**mark, "step": step, **more})

    def _clear(self, mark: Document) -> str:
        """Remove what an earlier restore has left that was taken back."""
        host = self._host
        if host.fetches():
            raise Conflict(f"pgBackRest still restores into {host.place}; run again when it has ended.", code="busy")
        host.stop(host.place / "data")
        host.remove(host.place)
        self._comes_to(_COPIES, mark)
        return "copies the backup"

    def _settle(self, mark: Document) -> str:
        """Leave nothing of the replay in the settings, and decide on a name for the data of before."""
        host, path = self._host, self._target / "postgresql.auto.conf"
        host.put(path, restore.without_recovery(host.text(path)))
        keeps = self._told["keep"] and host.has(host.data.name)
        kept = str(host.data.with_name(f"{host.data.name}.before-{mark['id']}")) if keeps else ""
        self._comes_to(_CHANGING, mark, kept=kept)
        return "changes places"

    def _change(self, mark: Document) -> str:
        """Let the data change places. Whether that was done before a task was killed shows in what is there."""
        host, target = self._host, self._target
        if target != host.data and target.exists():
            if host.has(host.data.name):
                host.move(host.data, pathlib.Path(mark["kept"]))
            host.move(target, host.data)
        host.remove(host.place)
        self._comes_to(_CHANGED, mark)
        return "changes places"

    def _fetch(self, mark: Document) -> str:
        host, target = self._host, self._target
        if host.fetches():
            return "copies the backup"
        status = host.fetched()
        if status == 0:
            self._comes_to(_FETCHED, mark)
            return "replays"
        if status is not None:
            # Removed, not emptied: on a full disk nothing can be written.
            host.remove(host.place / "status")
            raise server.RestoreFailed(f"pgbackrest restore failed: {host.said('fetch.log')}.")
        if mark.get("fetched_by") == self._told.get("run", ""):
            # Such as on a full disk, where it cannot even say how it ended.
            text = f"pgbackrest restore ended without a status ({host.free()} bytes are free): {host.said('fetch.log')}"
            raise server.RestoreFailed(f"{text}.")
        self._comes_to(_COPIES, mark, fetched_by=self._told.get("run", ""))
        host.make(host.place)
        whole = any((target / name).exists() for name in ("PG_VERSION", "backup.manifest"))
        if not whole:
            # pgBackRest copies into an empty folder, or over what it knows.
            host.remove(target)
        host.make(target)
        where = [f"--stanza={self._told['stanza']}", f"--pg1-path={target}", f"--set={self._told['set']}"]
        more = ["--delta"] if whole else []
        host.fetch([server.PGBACKREST, *where, *self._told["command"], *more, "--log-level-console=warn", "restore"])
        return "copies the backup"

    def _forget_status(self) -> None:
        """Let the next run try again."""
        self._host.put(self._host.place / "status", "")

    def _replay(self, mark: Document) -> str:
        host, target = self._host, self._target
        signal = (target / "recovery.signal").exists()
        if host.postmaster(target):
            if host.ask(_REPLAYS, str(host.place)) != "f":
                return "replays"
            # It archives the rest of the timeline that it has begun.
            host.stop(target)
        elif signal or restore.controldata(host.control(target)).get("Database cluster state") != "shut down":
            # A later run tries again, as after a restart of the host.
            if mark.get("started_by") == self._told.get("run", ""):
                text = f"PostgreSQL did not replay to {self._told['told']}: {host.said('server.log')}"
                before = "What was there before is untouched" if self._told["keep"] else "The data of before are gone"
                raise server.RestoreFailed(f"{text}. {before}.")
            host.write(host.mark_file, {**mark, "started_by": self._told.get("run", "")})
            self._start(target)
            return "replays"
        self._comes_to(_REPLAYED, mark)
        return "changes places"

    def _start(self, target: pathlib.Path) -> None:
        host = self._host
        host.put(host.place / "pg_hba.conf", "local all all peer\n")
        if not host.text(target / "postgresql.conf"):
            # One that ran before Patroni did has it elsewhere.
            host.put(target / "postgresql.conf", "")
        where = f"--stanza={self._told['stanza']} --pg1-path={target}"
        archive = f"{server.PGBACKREST} {where} --no-archive-async archive-push %p"
        host.start(target, restore.settings(str(host.place), restore.limits(host.control(target)), archive))

    @property
    def _target(self) -> pathlib.Path:
        return self._host.place / "data" if self._told["keep"] else self._host.data

    def _led(self) -> dict[str, t.Any]:
        """Start Patroni on the restored data, and wait until it leads."""
        host = self._host
        mark = host.read(host.mark_file)
        if mark is not None:
            if mark.get("step") != _CHANGED:
                raise Refused(f"{self._name} has not restored yet, and does not lead before.", code="not_ready")
            host.becomes(host.mark_file, host.note_file)
        note = host.read(host.note_file) or {}
        if not host.is_active():
            host.unit("start")
        deadline = time.monotonic() + self._wait
        while True:
            its_own: dict[str, t.Any] = {}
            with contextlib.suppress(ScaleoutError):
                its_own = self._patroni.itself()
            leads = its_own.get("role") in ("primary", "master") and its_own.get("state") == "running"
            if leads or time.monotonic() > deadline:
                return {
                    "done": leads,
                    "doing": "" if leads else f"starts ({its_own.get('state', 'no answer')})",
                    "timeline": its_own.get("timeline"),
                    "kept": note.get("kept", ""),
                }
            time.sleep(POLL)

    def _followed(self) -> dict[str, t.Any]:
        """Throw the data away, and wait until the member follows with a copy of the leader's."""
        host = self._host
        mark = host.read(host.mark_file)
        if mark is not None:
            host.stop()
            host.empty_places_elsewhere()
            host.remove(host.data)
            host.remove(host.place)
            with contextlib.suppress(FileNotFoundError):
                host.joined_file.unlink()
            host.remove_mark()
        if not host.is_active():
            host.unit("start")
        deadline = time.monotonic() + self._wait
        members = Members(self._patroni)
        while True:
            state, done = "no answer", False
            with contextlib.suppress(ScaleoutError):
                view = members.look()
                state, done = reinit.state_of(view, self._name), reinit.follows(view, self._name, None)
            if done:
                host.joined_file.touch()
            if done or time.monotonic() > deadline:
                return {"done": done, "doing": "" if done else state, "bytes": 0}
            time.sleep(POLL)

    def _finished(self) -> dict[str, t.Any]:
        note = self._host.read(self._host.note_file) or {}
        self._host.write(self._host.note_file, {**note, "ended": True})
        return {"kept": note.get("kept", "")}


def _json(value: bytes) -> dict[str, t.Any]:
    try:
        found = json.loads(value)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
