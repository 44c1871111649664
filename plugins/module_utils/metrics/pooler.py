# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How long clients wait for PgBouncer, by its own word; pure.

``SHOW POOLS`` has a row for each pool. Its ``maxwait`` is how long the oldest client in its queue has waited: "If this
starts increasing, then the current pool of servers does not handle requests quickly enough" (pgbouncer.org/usage).
"""

from __future__ import annotations

import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError

COMMAND = "SHOW POOLS"
_MICROSECONDS = 1e6


class NoWait(ScaleoutError):
    """PgBouncer does not say how long clients wait."""

    CODE = "not_measured"


def longest_wait(rows: t.Sequence[t.Sequence[str]], databases: t.Collection[str]) -> float:
    """Return how many seconds the client has waited that has waited longest.

    A pool is made when its first client comes, so no one waits for a database without one.

    :param rows: of ``SHOW POOLS``, the names of its columns first; versions of PgBouncer differ in them.
    :param databases: whose pools count; none for all.
    :raises NoWait: it is no such answer.
    """
    if not rows or not {"database", "maxwait", "maxwait_us"}.issubset(rows[0]):
        raise NoWait(f"PgBouncer's answer to {COMMAND} has no maxwait.")
    waits = [0.0]
    for row in rows[1:]:
        pool = dict(zip(rows[0], row))
        if not databases or pool["database"] in databases:
            waits.append(_seconds(pool))
    return max(waits)


def _seconds(pool: t.Mapping[str, str]) -> float:
    whole, rest = pool.get("maxwait", ""), pool.get("maxwait_us", "")
    if not (whole.isdigit() and rest.isdigit()):
        raise NoWait(f"PgBouncer's answer to {COMMAND} has the maxwait {whole!r} and {rest!r}.")
    return int(whole) + int(rest) / _MICROSECONDS
