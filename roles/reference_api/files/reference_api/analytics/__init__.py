# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The analytics database: every event once, and what is counted of them.

    counts.py      what an event counts for (pure)
    store.py       the worker stores events and counts
    client.py      the API reads the counts
    migrations/    the schema, which ``reference_api.migrate`` brings up to date

It has a server of its own, so that no question about all users is asked of the shards.
"""

from __future__ import annotations

import pathlib

from ..settings import AnalyticsDatabase
from ..shard_map import Address

MIGRATIONS = pathlib.Path(__file__).parent / "migrations"


def addresses_of(setting: AnalyticsDatabase) -> tuple[Address, ...]:
    return tuple(Address("analytics", one.host, one.port, setting.database) for one in setting.addresses)
