# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The one call to Consul that the API needs: reading a key, waiting until it changes.

It speaks HTTP/1.0 on an asyncio stream: no thread is left waiting in a blocking query when the process ends, and Consul
answers such a request in one piece and closes.
"""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

#: Seconds by which an answer may be late; Consul adds up to a sixteenth of the wait to spread its clients.
_LATE = 10
_CONNECT = 3
_LARGEST_ANSWER = 4 * 1024 * 1024


class Error(Exception):
    """Consul cannot be asked or does not answer as expected; the message is one sentence."""


@dataclass(frozen=True)
class Entry:
    """
    :param index: to be given to the next call.
    :param value: None when there is no such key.
    """

    index: int
    value: bytes | None


async def read_key(address: str, token: str, key: str, index: int, wait: int) -> Entry:
    """Read a key; with an index from an earlier answer, wait up to ``wait`` seconds for something newer.

    Whoever waits may get it from any server, a little late. The leader alone would leave them without an answer for
    half a minute when its host is lost.

    :param address: of the agent, such as ``http://127.0.0.1:8500``.
    :raises Error: no usable answer.
    """
    path = f"/v1/kv/{quote(key)}?index={index}&wait={wait}s{'&stale' if index else ''}"
    try:
        # A sixteenth is Consul's own jitter.
        async with asyncio.timeout(wait + wait / 16 + _LATE):
            status, headers, body = await _get(address, token, path)
    except TimeoutError:
        raise Error(f"Consul at {address} does not answer.") from None
    except (OSError, ValueError, asyncio.IncompleteReadError) as error:
        raise Error(f"Consul at {address} cannot be asked: {error}.") from error
    if status not in (200, 404):
        text = body.decode("utf-8", "replace").strip()[:200]
        raise Error(f"Consul at {address} answered {status} for the key {key}: {text}.")
    try:
        new_index = int(headers.get("x-consul-index", "0"))
        value = base64.b64decode(json.loads(body)[0]["Value"] or "") if status == 200 else None
    except (ValueError, TypeError, LookupError) as error:
        raise Error(f"Consul at {address} answered with something else than a key: {error}.") from error
    return Entry(max(new_index, 0), value)


async def _get(address: str, token: str, path: str) -> tuple[int, dict[str, str], bytes]:
    url = urlsplit(address)
    secure = ssl.create_default_context() if url.scheme == "https" else None
    host, port = url.hostname or "127.0.0.1", url.port or (443 if secure else 80)
    async with asyncio.timeout(_CONNECT):
        reader, writer = await asyncio.open_connection(host, port, ssl=secure)
    try:
        lines = [f"GET {path} HTTP/1.0", f"Host: {url.netloc}", "Accept: application/json"]
        if token:
            lines.append(f"X-Consul-Token: {token}")
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("ascii"))
        await writer.drain()
        answer = await _read_all(reader)
    finally:
        writer.close()
    return _parse(answer)


async def _read_all(reader: asyncio.StreamReader) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while size <= _LARGEST_ANSWER:
        chunk = await reader.read(65536)
        if not chunk:
            return b"".join(chunks)
        chunks.append(chunk)
        size += len(chunk)
    raise ValueError("the answer is too long")


def _parse(answer: bytes) -> tuple[int, dict[str, str], bytes]:
    if not answer:
        raise ValueError("it closed the connection")
    head, separator, body = answer.partition(b"\r\n\r\n")
    first, *rest = head.decode("latin-1").split("\r\n")
    words = first.split(" ", 2)
    if not separator or len(words) < 2 or not words[1].isdigit():
        raise ValueError("the answer is not HTTP")
    headers: dict[str, str] = {}
    for line in rest:
        name, _unused, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    if len(body) < int(headers.get("content-length", "0")):
        raise ValueError("the answer was cut off")
    return int(words[1]), headers, body
