# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Rows kept in Redis, which never show less than the database does.

The trouble with caches is a race: a request reads a row, a write changes it, and the old row arrives in the cache after
the write has emptied it. So a miss hands out a lease, a write takes all leases away, before it goes to PostgreSQL and
after it, and only who has a lease that still holds may fill. What is kept for a user and a kind of rows is one hash
with one lease, so a write need not know which entries it touches.

    scripts.py     the four steps, each one script inside Redis: get, fill, begin, end (the rules are there)
    breaker.py     when a process may use a cache that was out (pure)
    server.py      one Redis: its connections, its time limit, its ping
    caches.py      what requests see

What a lost cache costs is time, never a wrong answer. Every process pings every cache twice a second, and a write that
cannot tell a cache waits until every other process must have noticed that too. Whoever saw a cache out sets a new
*generation* before using it again, so that what it holds from before is worth nothing.

What remains: a process that alone is cut off from a cache writes without telling it, and callers of the others may get
the old entry until its time is over (``CACHE_TTL``). Callers with a session token never do: their token says which
position in the log an entry must show.
"""

from __future__ import annotations
