# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The outermost layer of every request: its id, its token, the headers of its response, its metrics, and the last
resort for an unforeseen error."""

from __future__ import annotations

import logging
import re
import socket
import time
import typing as t
import uuid
from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse

from . import errors
from .exchange import TOKEN_COOKIE, TOKEN_HEADER, Exchange
from .freshness import SessionToken
from .metrics import Metrics

log = logging.getLogger(__name__)

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

Scope = t.MutableMapping[str, t.Any]
Receive = t.Callable[[], t.Awaitable[t.Any]]
Send = t.Callable[[t.Any], t.Awaitable[None]]


class Envelope:
    """An ASGI middleware; puts an :class:`Exchange` into ``request.state.exchange``."""

    def __init__(self, app: t.Callable[[Scope, Receive, Send], t.Awaitable[None]], metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics
        self._served_by = socket.gethostname()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = open_exchange(Headers(scope=scope))
        scope.setdefault("state", {})["exchange"] = exchange
        started = time.perf_counter()
        status = 0

        async def send_with_headers(event: t.Any) -> None:
            nonlocal status
            if event["type"] == "http.response.start":
                status = event["status"]
                headers = MutableHeaders(scope=event)
                for name, value in exchange.headers(self._served_by):
                    headers.append(name, value)
            await send(event)

        try:
            await self._app(scope, receive, send_with_headers)
        except Exception:
            log.exception("request %s failed", exchange.request_id)
            if status:
                raise  # The response has begun; all that is left is to break it off.
            content = errors.body("internal_error", "The server failed; its log says why.", exchange.request_id)
            await JSONResponse(content, 500)(scope, receive, send_with_headers)
        finally:
            method = scope["method"] if scope["method"] in _METHODS else "other"
            route = getattr(scope.get("route"), "path", "unmatched")
            self._metrics.requests.labels(method, route, str(status)).inc()
            self._metrics.seconds.labels(method, route).observe(time.perf_counter() - started)


def open_exchange(headers: Headers) -> Exchange:
    request_id = headers.get("x-request-id", "")
    if not _REQUEST_ID.fullmatch(request_id):
        request_id = uuid.uuid4().hex
    token = SessionToken.decode(headers.get(TOKEN_HEADER, ""))
    return Exchange(request_id, token.merge(SessionToken.decode(_cookie(headers.get("cookie", "")))))


def _cookie(header: str) -> str:
    try:
        morsel = SimpleCookie(header).get(TOKEN_COOKIE)
    except CookieError:
        return ""
    return morsel.value if morsel else ""
