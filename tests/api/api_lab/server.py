# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The API as a process of its own, and a client for it."""

from __future__ import annotations

import http.client
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import typing as t
from dataclasses import dataclass

from .ports import free_ports
from .postgres import APPLICATION, PASSWORD
from .waiting import until

PACKAGE = pathlib.Path(__file__).parents[3] / "roles" / "reference_api" / "files"


def environment(consul_address: str, **more: str) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": str(PACKAGE),
        "PYTHONDONTWRITEBYTECODE": "1",
        "DATABASE_USER": APPLICATION,
        "DATABASE_PASSWORD": PASSWORD,
        "CONSUL_HTTP_ADDR": consul_address,
        **more,
    }


def run(module: str, variables: t.Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module], env=variables, capture_output=True, text=True, timeout=30, check=False
    )


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: t.Any
    seconds: float

    @property
    def code(self) -> str:
        """The code of an error."""
        return str(self.body["error"]["code"])

    @property
    def shard(self) -> str:
        return self.headers["X-Shard"]

    @property
    def read_from(self) -> str:
        return self.headers["X-Read-From"]

    @property
    def token(self) -> str:
        return self.headers["Session-Token"]


# A wrong clock for this process alone.
_WRONG = """
import sys, time
right = time.time_ns
time.time_ns = lambda: right() + {seconds} * 10**9
time.time = lambda: time.time_ns() / 10**9
from reference_api.__main__ import main
sys.exit(main())
"""


class ApiServer:
    """
    :param ahead: seconds by which its clock is wrong.
    """

    def __init__(self, consul_address: str, log: pathlib.Path, ahead: int = 0, **variables: str) -> None:
        self._program = ["-c", _WRONG.format(seconds=ahead)] if ahead else ["-m", "reference_api"]
        (self.port,) = free_ports(1)
        self.log = log
        self._variables = environment(consul_address, PORT=str(self.port), **variables)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, wait: bool = True) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *self._program], env=self._variables, stdout=log, stderr=log
            )
        if wait:
            until(self.is_ready, 20, "the API is ready")

    def stop(self) -> int:
        """Ask it to end, as systemd would; return its exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=20)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def is_ready(self) -> bool:
        try:
            return bool(self.get("/readyz").body["status"] == "ready")
        except OSError:
            return False

    def get(self, path: str, token: str = "", **headers: str) -> Answer:
        return self.call("GET", path, token=token, **headers)

    def post(self, path: str, body: t.Any = None, token: str = "", **headers: str) -> Answer:
        return self.call("POST", path, body, token, **headers)

    def patch(self, path: str, body: t.Any = None, token: str = "", **headers: str) -> Answer:
        return self.call("PATCH", path, body, token, **headers)

    def delete(self, path: str, token: str = "", **headers: str) -> Answer:
        return self.call("DELETE", path, token=token, **headers)

    def call(self, method: str, path: str, body: t.Any = None, token: str = "", **headers: str) -> Answer:
        """
        :param body: bytes are sent as they are, everything else as JSON.
        :param headers: with underscores where the header has hyphens.
        """
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if token:
            sent["Session-Token"] = token
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
            body = body if isinstance(body, bytes) else json.dumps(body).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        started = time.monotonic()
        try:
            connection.request(method, path, body, sent)
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        is_json = response.headers.get("Content-Type", "").startswith("application/json")
        return Answer(
            response.status,
            response.headers,
            json.loads(content) if is_json else content.decode(),
            time.monotonic() - started,
        )
