# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The poolers of a cluster: they hold their clients' requests while the lead changes hands, and let go again.

Each is told through its console, over TCP. All of them are told at once, and none is waited for without a bound: a
pooler whose host hangs does not keep the others from letting go.
"""

from __future__ import annotations

import contextlib
import functools
import threading
import time
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import (
    InvalidInput,
    Refused,
    ScaleoutError,
    Unreachable,
)
from ansible_collections.scaleout.platform.plugins.module_utils.failover import switch
from ansible_collections.scaleout.platform.plugins.module_utils.failover.switch import Pool
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.connection import Console, Endpoint

ARGUMENTS: dict[str, dict[str, t.Any]] = {
    "poolers": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"type": "str", "required": True},
            "host": {"type": "str", "required": True},
            "port": {"type": "int", "default": 6432},
        },
    },
    "pooler_user": {"type": "str", "default": "pgbouncer"},
    "pooler_password": {"type": "str", "default": "", "no_log": True},
    "databases": {"type": "list", "elements": "str", "default": []},
    "drain": {"type": "float", "default": switch.DRAIN},
    "hold": {"type": "float", "default": switch.HOLD},
}
"""The options of every module that has poolers hold requests; ``doc_fragments/pgbouncer.py`` documents them."""

_CONSOLE = "pgbouncer"
"""What PgBouncer calls its own database."""

_ANSWER = 2.0
"""Seconds that a pooler may take to connect, and to take a command that does not wait for anything."""

_SOON = 0.3
"""Seconds that one may take while others wait for their turn."""

_SERVED = 1.0
"""Seconds after a hold until PgBouncer's own time-outs are back, so that whoever waited is served first."""

_LIMITS = ("query_wait_timeout", "client_login_timeout")
"""What ends the wait of a client. 0 is no limit."""

_Result = t.TypeVar("_Result")


class _Pooler:
    """One pooler's console.

    :param where: with the user and the password.
    """

    def __init__(self, name: str, where: Endpoint, databases: t.Sequence[str]) -> None:
        self.name, self._where, self._databases = name, where, databases
        self._console: Console | None = None
        self._waiting: dict[str, Console] = {}
        self._ended: set[str] = set()
        self._refused: ScaleoutError | None = None
        self._turn = threading.Lock()

    def look(self) -> Pool:
        """Ask it where it sends its clients, and what it holds.

        :raises Unreachable: it does not answer, or does not let us in.
        """
        console = self._connected()
        found = {
            str(row["name"]): row
            for row in console.rows("SHOW DATABASES")
            if row["name"] in self._databases and row["host"]
        }
        self._databases = [*found]
        config = {row["key"]: row["value"] for row in console.rows("SHOW CONFIG")}
        return Pool(
            self.name,
            {name: (str(row["host"]), int(row["port"])) for name, row in found.items()},
            tuple(name for name, row in found.items() if int(row["paused"])),
            float(config.get("query_wait_timeout") or 0),
        )

    def prepare(self) -> None:
        """Connect once for each database, since a PAUSE answers only when the transactions have ended."""
        self._connected()
        self._waiting = {name: Console(self._where) for name in self._databases}

    def hold(self, seconds: float) -> None:
        """Let clients wait. New requests do so at once; what is open may end."""
        console = self._connected()
        # Else it would try the leader that shuts down again and again, and take its refusal for that of every leader.
        console.run("SET min_pool_size = 0")
        config = {row["key"]: float(row["value"] or 0) for row in console.rows("SHOW CONFIG") if row["key"] in _LIMITS}
        for name in _LIMITS:
            # Without a limit, and with a longer one, clients wait anyway.
            if 0 < config.get(name, 0) < seconds:
                console.run(f"SET {name} = {seconds:.0f}")
        for database in self._databases:
            threading.Thread(target=self._pause, args=(database,), daemon=True).start()
        until = time.monotonic() + _ANSWER
        # The thread may not have come to it yet.
        while not self.drained and {*self.look().paused} != {*self._databases}:
            if time.monotonic() > until:
                raise ScaleoutError(f"it did not take PAUSE within {_ANSWER:g} s.")
            time.sleep(0.01)

    @property
    def drained(self) -> bool:
        """Whether no transaction is open any more.

        :raises ScaleoutError: it does not hold the requests of a database.
        """
        if self._refused:
            raise self._refused
        return self._ended == {*self._databases}

    def release(self, place: tuple[str, int] | None = None) -> bool:
        """Let clients go on.

        :param place: only if they are sent to this server.
        :returns: whether none waits any more.
        """
        if not self._turn.acquire(blocking=place is None):
            return False  # An earlier question has not been answered yet.
        try:
            pool = self.look()
            if place and not switch.points_to(pool, place):
                return False
            for database in pool.paused:
                self._connected().run(f'RESUME "{database}"')
        except Unreachable:
            self._console = None
            raise
        finally:
            self._turn.release()
        return True

    def settle(self) -> None:
        """Bring back the time-outs of its own configuration."""
        self._connected().run("RELOAD")

    def close(self) -> None:
        for console in [self._console, *self._waiting.values()]:
            if console:
                with contextlib.suppress(Exception):
                    console.close()

    def _pause(self, database: str) -> None:
        try:
            # Once it is resumed, a PAUSE that still waits is never answered.
            self._waiting[database].run(f'PAUSE "{database}"')
            self._ended.add(database)
        except ScaleoutError as error:
            self._refused = _not_held(self.name, error)

    def _connected(self) -> Console:
        if self._console is None:
            self._console = Console(self._where)
        return self._console


class Poolers:
    """All poolers of a cluster.

    :param seconds: that they hold requests at most.
    """

    def __init__(self, poolers: t.Sequence[_Pooler], drain: float, seconds: float) -> None:
        self._all = {pooler.name: pooler for pooler in poolers}
        self._held: dict[str, _Pooler] = {}
        self.drain, self.seconds = drain, seconds

    @classmethod
    def of(cls, params: t.Mapping[str, t.Any]) -> Poolers:
        """The poolers that a module's options describe.

        :raises InvalidInput: an option that can never work.
        """
        switch.check_times(params["drain"], params["hold"])
        names = [one["name"] for one in params["poolers"]]
        if len({*names}) < len(names):
            raise InvalidInput("poolers", names, "names one twice")
        if names and not params["databases"]:
            raise InvalidInput("databases", [], "is empty, so that the poolers would hold nothing")
        found = []
        for one in params["poolers"]:
            if not 0 < one["port"] < 65536:
                raise InvalidInput("poolers", one["port"], "is not a port")
            login = {"user": params["pooler_user"], "password": params["pooler_password"], "database": _CONSOLE}
            where = Endpoint(one["host"], one["port"], **login, parameters={"connect_timeout": f"{_ANSWER:.0f}"})
            found.append(_Pooler(one["name"], where, params["databases"]))
        return cls(found, params["drain"], params["hold"])

    def look(self) -> list[Pool]:
        """Ask all of them; those that do not answer say why."""
        found = []
        for name, answer in _at_once({name: pooler.look for name, pooler in self._all.items()}).items():
            if isinstance(answer, Exception):
                text = answer.message.rstrip(".") if isinstance(answer, ScaleoutError) else str(answer)
                found.append(Pool(name, missing=text))
            else:
                found.append(answer)
        return found

    def hold(self) -> None:
        """Have all that answer hold requests, and wait for transactions for as long as they may take.

        :raises Refused: one does not; the caller lets go of the others.
        """
        ready = _at_once({name: pooler.prepare for name, pooler in self._all.items()})
        self._held = {name: self._all[name] for name, answer in ready.items() if not isinstance(answer, Exception)}
        held = _at_once({name: self._holder(pooler) for name, pooler in self._held.items()})
        for name, answer in held.items():
            if isinstance(answer, Exception):
                raise _not_held(name, answer)
        until = time.monotonic() + self.drain
        while not self.drained and time.monotonic() < until:
            time.sleep(0.01)

    @property
    def drained(self) -> bool:
        """Whether no transaction is open any more on any of them."""
        return all(pooler.drained for pooler in self._held.values())

    @property
    def holding(self) -> list[str]:
        """Names of those that hold requests."""
        return list(self._held)

    def release_those_at(self, place: tuple[str, int]) -> None:
        """Let go of those that send their clients to a server; one that does not answer soon is left for later."""
        self._release({name: functools.partial(pooler.release, place) for name, pooler in self._held.items()}, _SOON)

    def release(self) -> list[str]:
        """Let go of all; returns those that could not be told, of which the watch beside each takes care."""
        for _attempt in range(2):
            self._release({name: pooler.release for name, pooler in self._held.items()}, _ANSWER)
        return self.holding

    def settle(self) -> None:
        """Bring back the time-outs of their configurations, once those who waited have been served."""
        time.sleep(_SERVED)
        _at_once({name: pooler.settle for name, pooler in self._all.items()})

    def close(self) -> None:
        for pooler in self._all.values():
            pooler.close()

    def _holder(self, pooler: _Pooler) -> t.Callable[[], None]:
        return lambda: pooler.hold(self.seconds + switch.MARGIN)

    def _release(self, calls: t.Mapping[str, t.Callable[[], bool]], within: float) -> None:
        for name, answer in _at_once(calls, within).items():
            if answer is True:
                del self._held[name]


def _not_held(name: str, why: Exception) -> Refused:
    return Refused(f"The pooler of {name} does not hold requests: {why}", code="not_held", pooler=name)


def _at_once(calls: t.Mapping[str, t.Callable[[], _Result]], within: float = 2 * _ANSWER) -> dict[str, t.Any]:
    """Make calls at the same time, and return what each returned or raised within so many seconds."""
    found: dict[str, _Result | Exception] = {}

    def call(name: str, one: t.Callable[[], _Result]) -> None:
        try:
            found[name] = one()
        except Exception as error:  # It is returned, so that the others are told all the same.
            found[name] = error

    threads = [threading.Thread(target=call, args=item, daemon=True) for item in calls.items()]
    for thread in threads:
        thread.start()
    until = time.monotonic() + within
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    return {name: found.get(name, TimeoutError(f"no answer within {within:g} s")) for name in calls}
