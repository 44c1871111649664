# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""RabbitMQ on its host: how it starts, how it is asked, and what it says when it does not start.

``rabbitmqctl`` starts a whole Erlang machine for each call. Whatever can be seen from the sockets, the files and
systemd is seen there.
"""

from __future__ import annotations

import glob
import json
import os
import re
import shutil
import socket
import tempfile
import time
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils import host as machine
from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.process import run
from ansible_collections.scaleout.platform.plugins.module_utils.services.drivers import files
from ansible_collections.scaleout.platform.plugins.module_utils.services.drivers.unit import (
    ACTIVATE_TIMEOUT,
    Driver,
    probe,
    states,
)
from ansible_collections.scaleout.platform.plugins.module_utils.services.rabbitmq import MAPPER_PORT
from ansible_collections.scaleout.platform.plugins.module_utils.transaction import NONE, RESTART

RABBITMQCTL = "/usr/sbin/rabbitmqctl"
UNIT = "rabbitmq-server.service"
ENABLED_PLUGINS = "/etc/rabbitmq/enabled_plugins"
PLUGIN_FOLDERS = ("/usr/lib/rabbitmq/plugins", "/usr/lib/rabbitmq/lib/rabbitmq_server-*/plugins")
LOGS = ("/var/log/rabbitmq/rabbitmq-server.log", "/var/log/rabbitmq/rabbitmq-server.error.log")

_LISTENING = "0A"
_LOOPBACK = re.compile(r"0100007F|0{24}01000000|0{16}FFFF00000100007F")
_EXCERPT = 300

# What a broker that does not start says, the clearest first.
_CAUSES = (
    re.compile(r"\[error\] <[0-9.]*>   - (.*)"),
    re.compile(r'could_not_start_listener[^"]*"([^"]*)"[^0-9]*([0-9]*).*?(eaddr[a-z]*|eacces)', re.DOTALL),
    re.compile(r"(.*unknown flag.*)"),
    re.compile(r"(Error during startup.*)"),
)


class CtlFailed(ScaleoutError):
    """The broker does not do what ``rabbitmqctl`` asked; the message has its own words."""

    CODE = "broker_refused"


def ctl(*words: str, timeout: float = 60) -> str:
    """Run rabbitmqctl and return what it prints; no secret may be among the words.

    :raises CtlFailed: with the code ``broker_silent`` when no broker answered.
    """
    done = run([RABBITMQCTL, "-q", *words], timeout=timeout)
    if done.status:
        said = (done.error.strip() or done.output.strip()).partition("Arguments given")[0]
        # 69 is EX_UNAVAILABLE of sysexits.h, 75 EX_TEMPFAIL: the node does not answer.
        silent = done.status in (69, 75, 124)
        text = f"rabbitmqctl {words[0]}: {' '.join(said.split())[:_EXCERPT] or f'status {done.status}'}"
        raise CtlFailed(text, code="broker_silent" if silent else None)
    return done.output


def export() -> dict[str, t.Any]:
    """Ask the broker for its definitions."""
    exported: dict[str, t.Any] = json.loads(ctl("export_definitions", "-"))
    return exported


def give(definitions: t.Mapping[str, t.Any]) -> None:
    """Import definitions, from a file that rabbitmqctl can read: version 4.0 hangs on its standard input."""
    with tempfile.NamedTemporaryFile("w", suffix=".json", dir="/run", encoding="utf-8") as file:
        shutil.chown(file.name, "rabbitmq")
        json.dump(definitions, file)
        file.flush()
        ctl("import_definitions", file.name)


def installed() -> bool:
    """Whether the package is there."""
    return os.access(RABBITMQCTL, os.X_OK)


def mapper_is_open() -> bool:
    """Whether Erlang's port mapper answers who reaches this host; it has to listen on loopback only."""
    return any(not _LOOPBACK.fullmatch(address) for address in _listening_on(MAPPER_PORT))


def _listening_on(port: int) -> list[str]:
    """Return the addresses, as the kernel writes them, on which something listens; see proc(5)."""
    found = []
    for path in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in files.text(path).splitlines()[1:]:
            words = line.split()
            address, _colon, number = words[1].rpartition(":")
            if words[3] == _LISTENING and int(number, 16) == port:
                found.append(address)
    return found


def state() -> dict[str, t.Any]:
    """Return what a role has to know of this host before it writes a configuration."""
    whole = re.search(r"^MemTotal:\s+(\d+) kB", files.text("/proc/meminfo"), re.MULTILINE)
    # The first process' group is the container's; that of a login may be smaller.
    seen = machine.look(files.found, os.cpu_count() or 1, pid=1)
    limited = whole and seen and seen.memory < int(whole.group(1))
    unit = states([UNIT])[0]
    return {
        "host": socket.gethostname().partition(".")[0],
        # RabbitMQ sees the memory of a VM by itself, and of a container it sees the machine's.
        "memory_limit": seen.memory * 1024 if limited and seen else None,
        "installed": installed(),
        "active": unit.active,
        "enabled": unit.enabled,
        "mapper_open": mapper_is_open(),
    }


def plugins_on_disk() -> set[str]:
    """Return the plugins that the host has, enabled or not; each is a folder or an archive ``name-version``."""
    found = set()
    for pattern in PLUGIN_FOLDERS:
        for path in glob.glob(os.path.join(pattern, "*-*")):
            found.add(os.path.basename(path).rpartition("-")[0])
    return found


def cause(said: str) -> str:
    """Find in what a broker logged why it did not start; empty when it does not say."""
    for pattern in _CAUSES:
        found = pattern.findall(said)
        if found and isinstance(found[0], tuple):
            address, port, reason = found[0]
            return f"{address} port {port}: {reason}"
        if found:
            return " ".join(" ".join(found[:2]).split())[:_EXCERPT]
    return ""


class Rabbitmq(Driver):
    """The broker. It cannot test a configuration, so only a start proves one.

    ``options``: ``plugins``, those that have to be there; ``accepts``, each ``address:port`` that has to take
    connections once it runs. A connection that says nothing leaves no line in the broker's log.
    """

    def validate(self, staged: t.Mapping[str, str]) -> str:
        """See that the plugins exist: the broker starts without one that it does not find."""
        if ENABLED_PLUGINS not in staged:
            return ""
        missing = sorted(set(self.options["plugins"]) - plugins_on_disk())
        return f"the host has no plugin {', '.join(missing)}" if missing else ""

    def drift(self) -> str:
        """Say that the port mapper is open to everyone, or that a broker that runs takes no connections."""
        return RESTART if mapper_is_open() or self._closed() else NONE

    def ailments(self) -> list[str]:
        """Say what does not run or does not take connections. The listeners open last, after all plugins."""
        return super().ailments() or self._closed()

    def _closed(self) -> list[str]:
        return [text for address in self.options["accepts"] for text in probe({"tcp": address}, "", {})]

    def activate(self, level: str) -> str:
        """Restart, or start what does not run; nothing is reloaded. The start is not waited for here."""
        self._marks = {path: _size(path) for path in LOGS}
        run(["systemctl", "daemon-reload"], timeout=ACTIVATE_TIMEOUT)
        if mapper_is_open():
            run(["systemctl", "stop", UNIT, "epmd.socket", "epmd.service"], timeout=ACTIVATE_TIMEOUT)
            run(["systemctl", "start", "epmd.socket"], timeout=ACTIVATE_TIMEOUT)
        run(["systemctl", "reset-failed", UNIT])
        run(["systemctl", "enable", UNIT], timeout=ACTIVATE_TIMEOUT)
        self.activated_at = time.time()
        # Waiting for the stop, so that the old broker is not taken for the new one.
        stopped = run(["systemctl", "stop", UNIT], timeout=ACTIVATE_TIMEOUT) if level == RESTART else None
        if stopped and stopped.status:
            return stopped.said
        done = run(["systemctl", "--no-block", "start", UNIT], timeout=ACTIVATE_TIMEOUT)
        return done.said if done.status else ""

    def hopeless(self) -> bool:
        """Whether the broker has ended with these files, so that systemd has to start it again: it would end again."""
        shown = run(["systemctl", "show", "--property=NRestarts,SubState", UNIT]).output.split()
        return bool({"SubState=auto-restart", "SubState=failed"} & set(shown)) or "NRestarts=0" not in shown

    def last_words(self) -> str:
        """Return why the broker did not start, from the lines that it logged since."""
        return cause("\n".join(_since(path, offset) for path, offset in self._marks.items())) or super().last_words()

    _marks: t.Mapping[str, int] = {}


def _size(path: str) -> int:
    try:
        return os.path.getsize(path)
    except OSError:
        return 0


def _since(path: str, offset: int) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            file.seek(offset if _size(path) >= offset else 0)
            return file.read()
    except OSError:
        return ""
