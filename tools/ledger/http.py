# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One request on one connection, answered or not within a time; never a second try.

Each request has a connection of its own. A kept one may be closed by the server just as the next request leaves, which
no server can prevent and a client would have to repair by retrying; that would measure the client.
"""

from __future__ import annotations

import asyncio
import http.client
import io
import json
import urllib.parse
from collections.abc import Mapping
from typing import Any

from .judge import Answer


class Client:
    """Asks one server.

    :param url: such as `http://192.0.2.1:8080`.
    :param timeout: seconds for a request as a whole.
    """

    def __init__(self, url: str, timeout: float) -> None:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError(f"{url}: an http:// URL is needed")
        self._host, self._port = parts.hostname, parts.port or 80
        self._name = parts.netloc
        self._timeout = timeout

    async def ask(self, method: str, path: str, body: Any, headers: Mapping[str, str]) -> Answer:
        """Send one request; whatever happens, an answer says so."""
        try:
            async with asyncio.timeout(self._timeout):
                received = await self._exchange(self._encode(method, path, body, headers))
            return _parse(received, method)
        except (OSError, http.client.HTTPException) as problem:  # TimeoutError is an OSError
            return Answer(error=type(problem).__name__)

    def _encode(self, method: str, path: str, body: Any, headers: Mapping[str, str]) -> bytes:
        content = b"" if body is None else json.dumps(body).encode()
        lines = {"Host": self._name, "Connection": "close", "Accept": "application/json", **headers}
        if body is not None:
            lines.update({"Content-Type": "application/json", "Content-Length": str(len(content))})
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + content

    async def _exchange(self, request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(self._host, self._port)
        try:
            writer.write(request)
            await writer.drain()
            return await reader.read()
        finally:
            writer.close()


class _Received:
    """What was received, as the socket that http.client reads from."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, mode: str) -> io.BytesIO:
        del mode
        return io.BytesIO(self._data)


def _parse(data: bytes, method: str) -> Answer:
    """Take an answer apart.

    :raises http.client.HTTPException: it is none, or was cut off.
    """
    response = http.client.HTTPResponse(_Received(data), method=method)
    response.begin()
    return Answer(response.status, response.read(), response.headers)
