# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``python3 -m reference_api.worker`` works until SIGTERM, then finishes what it has begun."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import typing as t

from ..analytics import addresses_of
from ..analytics.store import Analytics
from ..settings import Amqp, Settings, SettingsError
from .broker import Broker, Publisher
from .consumer import Consumer, Store
from .database import Database
from .notifications import Notifications
from .relay import Relay
from .shards import Shards
from .tally import Tally

log = logging.getLogger(__name__)

#: Seconds to finish after SIGTERM. What is not finished then is done again by another worker.
_FAREWELL = 15
#: The exit status for a wrong configuration (sysexits.h).
_EX_CONFIG = 78


async def work(settings: Settings, amqp: Amqp) -> None:
    stopping, relays_ended = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)

    tally, broker = Tally(), Broker(amqp, analytics=settings.analytics_database is not None)
    publisher = Publisher(broker)
    shards = Shards(settings, lambda database: Relay(database, publisher, tally))
    stores: list[Store] = [Notifications(shards)]
    if settings.analytics_database is not None:
        members = addresses_of(settings.analytics_database)
        stores.append(Analytics(Database("the analytics database", members, settings)))
    shards.start()
    tasks = [
        publisher.run(relays_ended),
        tally.run(stopping),
        *(Consumer(broker, store, tally).run(stopping) for store in stores),
    ]
    running = asyncio.gather(*tasks)
    asked = asyncio.ensure_future(stopping.wait())
    # Each of them goes on until it is asked to end. One that ends has failed: a restart is better than half a worker.
    either: set[asyncio.Future[t.Any]] = {running, asked}
    await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        await running
    log.info("stopping")
    try:
        async with asyncio.timeout(_FAREWELL):
            await shards.stop()
            relays_ended.set()
            await running
    except TimeoutError:
        log.warning("not everything has ended within %s seconds", _FAREWELL)
    tally.report()


def main() -> int:
    try:
        settings = Settings.from_environment(os.environ)
        if settings.amqp is None:
            raise SettingsError(
                "The environment variable AMQP_ADDRESS is missing: a worker is nothing without a broker."
            )
    except SettingsError as error:
        print(error, file=sys.stderr)
        return _EX_CONFIG
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    # They report each lost connection at length; this worker says the same once.
    for name in ("aio_pika", "aiormq"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    asyncio.run(work(settings, settings.amqp))
    return 0


if __name__ == "__main__":
    sys.exit(main())
