# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A private Consul agent in development mode."""

from __future__ import annotations

import pathlib
import subprocess
import typing as t
import urllib.error
import urllib.request

from .ports import free_ports
from .waiting import until


class Consul:
    def __init__(self, directory: pathlib.Path) -> None:
        self._log = directory / "consul.log"
        self._ports = dict(zip(("http", "server", "serf-lan", "serf-wan"), free_ports(4), strict=True))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._ports['http']}"

    def start(self) -> None:
        ports = [f"-{name}-port={port}" for name, port in self._ports.items()]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    "consul",
                    "agent",
                    "-dev",
                    "-bind=127.0.0.1",
                    "-client=127.0.0.1",
                    "-dns-port=-1",
                    "-grpc-port=-1",
                    *ports,
                ],
                stdout=log,
                stderr=log,
            )
        until(self._has_leader, 20, "Consul has a leader")

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def put(self, key: str, value: bytes) -> None:
        self._call("PUT", f"/v1/kv/{key}", value)

    def delete(self, key: str) -> None:
        self._call("DELETE", f"/v1/kv/{key}")

    def _has_leader(self) -> bool:
        try:
            return len(self._call("GET", "/v1/status/leader")) > 2
        except (urllib.error.URLError, ConnectionError):
            return False

    def _call(self, method: str, path: str, body: bytes | None = None) -> bytes:
        request = urllib.request.Request(self.address + path, data=body, method=method)
        with urllib.request.urlopen(request, timeout=5) as response:
            return t.cast(bytes, response.read())
