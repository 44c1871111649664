# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is known of one request apart from its body, and what its response says apart from its body."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from .freshness import TOKEN_LIFETIME, SessionToken

TOKEN_HEADER = "Session-Token"
TOKEN_COOKIE = "session_token"


@dataclass
class Exchange:
    """
    :param request_id: the caller's, or made here.
    :param token: what the caller wrote so far.
    :param shards: the ids of the shards that the request has turned to, in order.
    :param read_from: the name of the server that answered the last read.
    :param cache: ``hit``, ``miss`` or ``off`` for a read that may be cached.
    """

    request_id: str
    token: SessionToken
    shards: list[str] = field(default_factory=list)
    read_from: str = ""
    cache: str = ""
    _token_changed: bool = False

    def uses(self, shard: str) -> None:
        if shard not in self.shards:
            self.shards.append(shard)

    def wrote(self, shard: str, version: int, lsn: int) -> None:
        self.token = self.token.written(shard, version, lsn, int(time.time()))
        self._token_changed = True

    def write_in_doubt(self, shard: str) -> None:
        self.token = self.token.in_doubt(shard, int(time.time()))
        self._token_changed = True

    def headers(self, served_by: str) -> list[tuple[str, str]]:
        headers = [("X-Served-By", served_by), ("X-Request-ID", self.request_id)]
        if self.shards:
            headers.append(("X-Shard", ",".join(self.shards)))
        if self.read_from:
            headers.append(("X-Read-From", self.read_from))
        if self.cache:
            headers.append(("X-Cache", self.cache))
        if self._token_changed:
            token = self.token.encode()
            cookie = f"{TOKEN_COOKIE}={token}; Path=/; Max-Age={TOKEN_LIFETIME}; HttpOnly; SameSite=Lax"
            headers += [(TOKEN_HEADER, token), ("Set-Cookie", cookie)]
        return headers
