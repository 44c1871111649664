# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Takes the events of one shard from its outbox to RabbitMQ.

Every worker has a relay for every shard; an advisory lock lets one of them work at a time, so that events are published
once as a rule. It is held by the transaction: one that is lost sets it free.
"""

from __future__ import annotations

import asyncio
import logging

from ..events.event import Event
from ..servers import Connection
from .broker import BrokerLost, Publisher, wait
from .database import Database, Refused, Unavailable
from .tally import Tally

log = logging.getLogger(__name__)

#: Events in a round.
ROUND = 200
#: Seconds between rounds: after one with events, and at the most; in between it doubles.
BUSY, IDLE = 0.1, 1.0

# The key is any number, as long as all use the same. A server that takes no writes would have its events published
# again and again, for it deletes none.
_LOCK = """
    SELECT current_setting('transaction_read_only')::boolean AS read_only,
           pg_try_advisory_xact_lock(7235911840322) AS mine
"""
SELECT = "SELECT user_id, id, kind, payload, created_at FROM outbox ORDER BY id LIMIT %(limit)s"
DELETE = """
    DELETE FROM outbox USING unnest(%(user_ids)s::uuid[], %(ids)s::uuid[]) AS sent (user_id, id)
    WHERE outbox.user_id = sent.user_id AND outbox.id = sent.id
"""


class Relay:
    def __init__(self, database: Database, publisher: Publisher, tally: Tally) -> None:
        self._database = database
        self._publisher = publisher
        self._tally = tally

    async def run(self, stopping: asyncio.Event) -> None:
        pause, trouble = BUSY, ""
        while not stopping.is_set():
            try:
                published = 0
                if self._publisher.connected:
                    published = await self._round()
                    if trouble:
                        log.info("%s works again", self._database.name)
                    trouble = ""
            except BrokerLost:
                published = 0
            except (Unavailable, Refused) as error:
                published = 0
                if not trouble:
                    log.warning("events wait: %s", error)
                trouble = str(error)
            except Exception:
                published = 0
                log.exception("relay of %s failed", self._database.name)
            pause = BUSY if published else min(2 * pause, IDLE)
            await wait(stopping, 0 if published == ROUND else pause)
        await self._database.close()

    async def _round(self) -> int:
        """Publish what is there, up to ``ROUND``, and return how many it was."""

        async def work(connection: Connection) -> int:
            cursor = await connection.execute(_LOCK)
            state = await cursor.fetchone()
            if state["read_only"]:
                raise Unavailable(f"{self._database.name} takes no writes")
            if not state["mine"]:
                return 0
            cursor = await connection.execute(SELECT, {"limit": ROUND})
            events = [
                Event(row["id"], row["kind"], row["user_id"], row["created_at"], row["payload"])
                for row in await cursor.fetchall()
            ]
            if not events:
                return 0
            sent = await self._publisher.publish(events)
            await connection.execute(
                DELETE, {"user_ids": [event.user_id for event in sent], "ids": [event.id for event in sent]}
            )
            return len(sent)

        published = await self._database.transaction(work)
        self._tally.count("published", published)
        return published
