# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Sessions and requests at a constant rate, then every row once more.

The load is open: a request is due at its time whether or not the ones before were answered, and its latency counts from
then. A closed loop would stop asking just when the platform stops answering, and so would not see it.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from . import report, sessions
from .http import Client
from .judge import Outcome
from .sessions import Session, Step

#: Requests at a time, where no rate is asked for: before and after the load.
WIDTH = 8
#: Of the writes, the share that makes a new user.
NEW_USERS = 0.15


class CannotStart(Exception):
    """The platform did not take the first users, so there is nothing to measure."""


@dataclass(frozen=True)
class Options:
    """What to do.

    :param rate: requests per second.
    :param seconds: of load.
    :param writes: share of the requests, 0 to 1.
    :param users: made before the load.
    :param token: hand session tokens back.
    :param timeout: seconds.
    :param seed: of the choices; the same seed makes the same requests as far as the answers allow.
    """

    url: str
    rate: float = 50.0
    seconds: float = 60.0
    writes: float = 0.3
    users: int = 200
    token: bool = True
    timeout: float = 10.0
    seed: int = 1


class Load:
    """One run."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._client = Client(options.url, options.timeout)
        self._chance = random.Random(options.seed)
        self._values = sessions.Values(f"ledger-{secrets.token_hex(4)}")
        self._all: list[Session] = []
        self._idle: list[Session] = []
        self._begin = time.monotonic()

    async def run(self, stop: asyncio.Event, tell: Callable[[str], None]) -> dict:
        """Make users, ask, verify.

        :param stop: ends the load early; what follows it is done all the same.
        :param tell: gets a line when a phase begins.
        :returns: the report, see report.py.
        :raises CannotStart: when the first users could not be made.
        """
        await self._make_users()
        tell(f"load begins: {self._options.rate:g} requests/s, {self._options.writes:.0%} writes")
        started_at = time.time()
        load = await self._load(stop)
        lasted = time.monotonic() - self._begin
        tell(f"verification of {len(self._all)} users and their tasks")
        verification = await self._verify()
        return report.summary(self._options, started_at, lasted, load, verification)

    async def _make_users(self) -> None:
        async def make(session: Session) -> report.Sample:
            made = await self._take(session, sessions.create_user(session, self._values))
            if made.outcome is not Outcome.OK:
                return made
            self._all.append(session)
            return await self._take(session, sessions.create_task(session, self._values))

        made = await _in_turns(make, [Session() for _unused in range(self._options.users)])
        bad = [sample for sample in made if sample.outcome is not Outcome.OK]
        if bad:
            raise CannotStart(f"{len(bad)} of {len(made)} users could not be made: {bad[0].kind} {bad[0].detail}")
        self._idle = list(self._all)

    async def _load(self, stop: asyncio.Event) -> list[report.Sample]:
        self._begin = time.monotonic()
        asked = []
        for number in range(int(self._options.rate * self._options.seconds)):
            # Who is late waits for no time at all, and would not see it below.
            if stop.is_set():
                break
            due = self._begin + number / self._options.rate
            try:
                await asyncio.wait_for(stop.wait(), max(0.0, due - time.monotonic()))
                break
            except TimeoutError:
                asked.append(asyncio.create_task(self._ask_any_server(due)))
        return list(await asyncio.gather(*asked))

    async def _ask_any_server(self, due: float) -> report.Sample:
        """Send the next request of a user who waits for no answer; a new user's first one when all do."""
        is_write = self._chance.random() < self._options.writes
        if not self._idle or (is_write and self._chance.random() < NEW_USERS):
            session = Session()
            step = sessions.create_user(session, self._values)
        else:
            position = self._chance.randrange(len(self._idle))
            self._idle[position], self._idle[-1] = self._idle[-1], self._idle[position]
            session = self._idle.pop()
            if is_write:
                step = sessions.next_write(session, self._chance, self._values)
            else:
                step = sessions.next_read(session, self._chance)
        sample = await self._take(session, step, due)
        if session.user is not None:
            self._idle.append(session)
            if step.name == "create user":
                self._all.append(session)
        return sample

    async def _verify(self) -> list[report.Sample]:
        """Read each row once: a user by itself, the tasks in a list."""

        async def look(session: Session) -> list[report.Sample]:
            steps = [sessions.read_user(session), sessions.list_tasks(session)]
            return [await self._take(session, step) for step in steps]

        return [sample for samples in await _in_turns(look, self._all) for sample in samples]

    async def _take(self, session: Session, step: Step, due: float | None = None) -> report.Sample:
        """Take one step, and enter its outcome into the ledger."""
        due = time.monotonic() if due is None else due
        headers = {"Session-Token": session.token} if session.token and self._options.token else {}
        answer = await self._client.ask(step.method, step.path, step.body, headers)
        now = time.monotonic()
        session.listen(answer)
        judgement = step.settle(answer)
        return report.Sample(
            at=due - self._begin,
            seconds=now - due,
            step=step.name,
            is_write=step.method != "GET",
            outcome=judgement.outcome,
            kind=judgement.kind,
            detail=f"{step.method} {step.path}: {judgement.detail}" if judgement.detail else "",
            server=answer.headers.get("X-Served-By", ""),
            shard=session.shard,
        )


async def _in_turns(work: Callable[[Session], Awaitable], items: Iterable[Session]) -> list:
    """Work on all items, a few at a time."""
    gate = asyncio.Semaphore(WIDTH)

    async def one(item: Session):
        async with gate:
            return await work(item)

    return list(await asyncio.gather(*[one(item) for item in items]))
