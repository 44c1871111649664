# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A whole run against a small API in this process, honest or not: the ledger bites, and only where it should."""

from __future__ import annotations

import asyncio
import contextlib
import http
import json
import socket
import uuid

import pytest

from tools.ledger.http import Client
from tools.ledger.load import CannotStart, Load, Options

# The time limit is for a machine that is busy with other tests; only a test of what hangs asks for a short one.
RUN = Options(url="", rate=300.0, seconds=0.7, writes=0.4, users=20, timeout=20.0)


class Api:
    """Users and tasks in memory; `fault` sees each request first and may answer in the API's place."""

    def __init__(self, fault=lambda number, method, path: None):
        self.rows = {}
        self.tokens = []
        self._fault = fault
        self._number = 0

    def answer(self, method, path, body):
        self._number += 1
        faulty = self._fault(self._number, method, path)
        if faulty is not None:
            return faulty
        path = path.split("?")[0]
        if method == "POST":
            row = {"id": str(uuid.uuid4()), **body}
            self.rows[f"{path}/{row['id']}"] = row
            return 201, row
        if method == "GET" and path.endswith("/tasks"):
            return 200, {"items": [row for where, row in self.rows.items() if where.startswith(path)]}
        if path not in self.rows:
            return 404, {}
        if method == "DELETE":
            del self.rows[path]
            return 204, None
        if method == "PATCH":
            self.rows[path].update(body)
        return 200, self.rows[path]

    async def __call__(self, reader, writer):
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            method, path, _unused = head[0].split()
            headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
            self.tokens.append(headers.get("session-token"))
            body = json.loads(await reader.readexactly(int(headers.get("content-length", 0))) or "null")
            status, told = self.answer(method, path, body)
            if status == "hang":
                await asyncio.sleep(told)
            elif status == "cut":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
            elif status:
                content = b"" if told is None else json.dumps(told).encode()
                length = "" if status == 204 else f"Content-Length: {len(content)}\r\n"
                extra = "Session-Token: t\r\nX-Served-By: fake\r\nX-Shard: 0\r\n"
                reason = http.HTTPStatus(status).phrase
                writer.write(f"HTTP/1.1 {status} {reason}\r\n{extra}{length}\r\n".encode() + content)
        writer.close()


def run(api, **changes):
    async def all_of_it():
        server = await asyncio.start_server(api, "127.0.0.1", 0)
        async with server:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            return await Load(Options(**{**vars(RUN), "url": url, **changes})).run(asyncio.Event(), lambda line: None)

    return asyncio.run(all_of_it())


def late(number, method, kinds=("GET",)):
    """Whether a request comes after the first users were made, and is the one in three that a fault hits."""
    return number > 2 * RUN.users and number % 3 == 0 and method in kinds


def test_an_honest_api():
    told = run(Api())
    assert told["requests"] == told["ok"] == 210
    assert told["by_server"] == {"fake": {"ok": 210}}
    assert told["verification"]["ok"] == told["verification"]["requests"] >= 2 * RUN.users
    steps = told["by_step"]
    writes = sum(steps[step]["ok"] for step in steps if step.startswith(("create", "change", "delete")))
    assert 40 < writes < 130


@pytest.mark.parametrize("token", [True, False])
def test_tokens_are_handed_back_unless_told_otherwise(token):
    api = Api()
    run(api, token=token, seconds=0.2)
    assert ("t" in api.tokens) is token


@pytest.mark.parametrize(
    ("fault", "kind", "timeout"),
    [
        pytest.param(
            lambda n, m, p: (503, {}) if late(n, m, ("POST", "PATCH")) else None, "503", RUN.timeout, id="503"
        ),
        pytest.param(
            lambda n, m, p: ("cut", None) if late(n, m) else None, "IncompleteRead", RUN.timeout, id="cut off"
        ),
        pytest.param(
            lambda n, m, p: ("", None) if late(n, m) else None, "RemoteDisconnected", RUN.timeout, id="closed"
        ),
        pytest.param(lambda n, m, p: ("hang", 5) if late(n, m, ("PATCH",)) else None, "TimeoutError", 2.0, id="hung"),
    ],
)
def test_failures_are_not_wrong_answers(fault, kind, timeout):
    told = run(Api(fault), timeout=timeout)
    assert told["failed"]["by_kind"] == {kind: told["failed"]["total"]}
    assert told["wrong"]["total"] == 0


def test_writes_that_happened_although_their_answer_was_lost_are_no_wrong_answers():
    class Lossy(Api):
        def answer(self, method, path, body):
            done = super().answer(method, path, body)
            return ("", None) if late(self._number, method, ("POST", "PATCH", "DELETE")) else done

    told = run(Lossy())
    assert told["unknown_writes"] > 0
    assert told["wrong"]["total"] == told["verification"]["wrong"]["total"] == 0


class ForgetsChanges(Api):
    """Acknowledges a change and does not keep it."""

    def answer(self, method, path, body):
        before = dict(self.rows.get(path, {}))
        done = super().answer(method, path, body)
        if late(self._number, method, ("PATCH",)):
            self.rows[path] = before
            return 200, {**before, **body}
        return done


class ForgetsRows(Api):
    """Acknowledges a row and does not keep it."""

    def answer(self, method, path, body):
        status, told = super().answer(method, path, body)
        if late(self._number, method, ("POST",)):
            del self.rows[f"{path}/{told['id']}"]
        return status, told


class Mixes(Api):
    """Now and then answers with another row than the one that was asked for."""

    def answer(self, method, path, body):
        status, told = super().answer(method, path, body)
        if status == 200 and "items" not in told and late(self._number, method):
            return status, next(iter(self.rows.values()))
        return status, told


@pytest.mark.parametrize("api", [ForgetsChanges, ForgetsRows, Mixes])
def test_lies_are_found(api):
    told = run(api())
    assert told["wrong"]["total"] + told["verification"]["wrong"]["total"] > 0
    assert told["failed"]["total"] == 0


def test_an_api_that_refuses_all():
    with pytest.raises(CannotStart, match="20 of 20 users could not be made: 503"):
        run(Api(lambda n, m, p: (503, {})))


def test_latency_counts_from_when_a_request_was_due():
    told = run(Api(lambda n, m, p: ("hang", 30) if late(n, m) else None), timeout=2.0)
    assert 2000 <= told["latency_ms"]["max"] < 10000


def test_one_request_is_one_connection_and_a_refusal_is_an_answer():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    told = asyncio.run(Client(f"http://127.0.0.1:{port}", 1.0).ask("GET", "/", None, {}))
    assert (told.status, told.error) == (None, "ConnectionRefusedError")


@pytest.mark.parametrize(
    ("rate", "after"),
    # At the second rate each request is late from the start.
    [(300.0, 0.5), (1e6, 0.0)],
)
def test_an_interrupt_ends_the_load_and_the_report_follows(rate, after):
    async def interrupted():
        server = await asyncio.start_server(Api(), "127.0.0.1", 0)
        stop = asyncio.Event()
        async with server:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            options = Options(**{**vars(RUN), "url": url, "rate": rate, "seconds": 18000 / rate})
            load = Load(options)

            def tell(line):
                if line.startswith("load begins"):
                    asyncio.get_running_loop().call_later(after, stop.set) if after else stop.set()

            return await load.run(stop, tell)

    told = asyncio.run(interrupted())
    assert told["requests"] < 18000
    assert told["verification"]["ok"] > 0
