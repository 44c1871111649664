# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A private Redis, and a proxy before it that can hold a message back."""

from __future__ import annotations

import contextlib
import pathlib
import signal
import socket
import subprocess
import threading

import redis

from .ports import free_ports
from .waiting import until

PASSWORD = "the cache's password"


class Cache:
    def __init__(self, directory: pathlib.Path) -> None:
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        (self.port,) = free_ports(1)

    def start(self) -> None:
        settings = {"bind": "127.0.0.1", "port": self.port, "requirepass": PASSWORD, "save": "", "appendonly": "no"}
        options = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
        with (self._directory / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(["redis-server", *options], cwd=self._directory, stdout=log, stderr=log)
        until(self._answers, 5, "Redis answers")

    def stop(self) -> None:
        if self._process is not None:
            self.thaw()
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """It answers nothing, and its kernel still accepts connections."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port, password=PASSWORD)

    def _answers(self) -> bool:
        with contextlib.suppress(redis.RedisError):
            return bool(self.client().ping())
        return False


class Proxy:
    """Passes on what a client says to Redis; holds back the first message with a certain word, while told so."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._word = b""
        self.holds = threading.Event()
        self._release = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def hold(self, word: bytes) -> None:
        self.holds.clear()
        self._release.clear()
        self._word = word

    def release(self) -> None:
        self._word = b""
        self._release.set()

    def close(self) -> None:
        self.release()
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _address = self._listener.accept()
                try:
                    server = socket.create_connection(("127.0.0.1", self._target))
                except OSError:
                    client.close()
                    continue
                threading.Thread(target=self._pass_on, args=[client, server, True], daemon=True).start()
                threading.Thread(target=self._pass_on, args=[server, client, False], daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, may_hold: bool) -> None:
        with contextlib.suppress(OSError), source, target:
            while data := source.recv(65536):
                if may_hold and self._word and self._word in data:
                    self.holds.set()
                    self._release.wait(10)
                target.sendall(data)
