# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A service as a configuration transaction needs it: any systemd unit, and the base of those that need more."""

from __future__ import annotations

import dataclasses
import http.client
import re
import socket
import ssl
import time
import typing as t
import urllib.parse

from ansible_collections.scaleout.platform.plugins.module_utils.process import LOOK_TIMEOUT, run
from ansible_collections.scaleout.platform.plugins.module_utils.transaction import DIGEST_MARK, RESTART

#: Seconds that a start, a stop or a reload may take.
ACTIVATE_TIMEOUT = 180

_PROPERTIES = (
    "LoadState",
    "ActiveState",
    "UnitFileState",
    "NeedDaemonReload",
    "ActiveEnterTimestampMonotonic",
    "StateChangeTimestampMonotonic",
)
_TROUBLE = re.compile(r"error|fatal|fail|denied|cannot|can't|could not|invalid|unknown|emerg|panic", re.IGNORECASE)
#: What systemd itself says about a failure names no cause.
_ABOUT_UNIT = re.compile(r"^(\S+\.service: |Failed to start |Failed with )")
_EXCERPT = 300


@dataclasses.dataclass(frozen=True)
class UnitState:
    """One unit as systemd has it.

    :param since: when it became active, seconds since the epoch; 0 where it is not.
    :param read: when its state changed last, a reload included; seconds since the epoch.
    """

    name: str
    known: bool = False
    active: bool = False
    failed: bool = False
    enabled: bool = False
    needs_daemon_reload: bool = False
    since: float = 0.0
    read: float = 0.0


def states(units: t.Sequence[str]) -> list[UnitState]:
    """Ask systemd about some units in one call."""
    if not units:
        return []
    done = run(["systemctl", "show", f"--property={','.join(_PROPERTIES)}", "--", *units])
    boot = time.time() - time.clock_gettime(time.CLOCK_MONOTONIC)
    found = []
    for unit, block in zip(units, (done.output.strip("\n") + "\n\n" * len(units)).split("\n\n")):
        shown = dict.fromkeys(_PROPERTIES, "")
        pairs = (line.partition("=") for line in block.splitlines())
        shown.update((name, value) for name, sign, value in pairs if sign)
        active = shown["ActiveState"] in ("active", "reloading", "activating")
        found.append(
            UnitState(
                unit,
                known=shown["LoadState"] == "loaded",
                active=active and shown["ActiveState"] != "activating",
                failed=shown["ActiveState"] == "failed",
                enabled=shown["UnitFileState"] in ("enabled", "static", "indirect", "enabled-runtime", "alias"),
                needs_daemon_reload=shown["NeedDaemonReload"] == "yes",
                since=boot + int(shown["ActiveEnterTimestampMonotonic"] or 0) / 1e6 if active else 0.0,
                read=boot + int(shown["StateChangeTimestampMonotonic"] or 0) / 1e6,
            )
        )
    return found


def in_place(text: str, staged: t.Mapping[str, str]) -> str:
    """Name files in what a checker said by the places that they are for."""
    for path, name in staged.items():
        text = text.replace(name, path)
    return text


class _ByName(http.client.HTTPSConnection):
    """Connects to an address, and asks there for a name: a server may have a certificate for each of its names."""

    def __init__(self, host: str, port: int | None, timeout: float, name: str) -> None:
        # It is asked by address on its own host, and it may have a certificate for its name only.
        self._tls = ssl.create_default_context()
        self._tls.check_hostname, self._tls.verify_mode = False, ssl.CERT_NONE
        super().__init__(host, port, timeout=timeout, context=self._tls)
        self._name = name

    def connect(self) -> None:
        plain = socket.create_connection((self.host, self.port), self.timeout)
        self.sock = self._tls.wrap_socket(plain, server_hostname=self._name or self.host)


def ask(
    url: str,
    method: str = "GET",
    headers: t.Mapping[str, str] | None = None,
    timeout: float = LOOK_TIMEOUT,
    name: str = "",
) -> tuple[int, str]:
    """Send one HTTP request to this host or a neighbour, past any proxy.

    :param name: of the server, where TLS is to ask for another one than the URL's.
    :return: the status and the text of the answer; 0 and the reason where there is none.
    """
    parts = urllib.parse.urlsplit(url)
    secure = parts.scheme == "https"
    connection: http.client.HTTPConnection
    if secure:
        connection = _ByName(parts.hostname or "", parts.port, timeout, name)
    else:
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
    try:
        connection.request(
            method, f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}", headers=dict(headers or {})
        )
        response = connection.getresponse()
        return response.status, response.read(65536).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        return 0, getattr(error, "strerror", None) or str(error) or type(error).__name__
    finally:
        connection.close()


def probe(wanted: t.Mapping[str, t.Any], digest: str, secrets: t.Mapping[str, str]) -> list[str]:
    """Ask a service whether it serves.

    :param wanted: ``url`` with, at will, ``status`` (a list, by default any 2xx), ``body`` (what the answer must hold;
        the digest's mark stands for the digest) and ``headers`` (by name, the name of a secret); or ``tcp``, an address
        and port; or ``argv``, a command that succeeds.
    """
    if wanted.get("url"):
        headers = {name: secrets[secret] for name, secret in (wanted.get("headers") or {}).items()}
        status, text = ask(str(wanted["url"]), headers=headers, timeout=5)
        if not status:
            return [f"{wanted['url']} did not answer ({text})"]
        if status not in wanted["status"] if wanted.get("status") else not 200 <= status < 300:
            return [f"{wanted['url']} answered {status}"]
        body = str(wanted.get("body") or "").replace(DIGEST_MARK, digest)
        return [] if body in text else [f"{wanted['url']} does not answer with {body}"]
    if wanted.get("tcp"):
        host, _colon, port = str(wanted["tcp"]).rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
        except (OSError, ValueError) as error:
            return [f"{wanted['tcp']} takes no connections ({getattr(error, 'strerror', None) or error})"]
        return []
    done = run([str(word) for word in wanted["argv"]], timeout=5)
    return [done.said] if done.status else []


class Driver:
    """What a transaction asks of a service; the defaults serve anything that runs as systemd units.

    A subclass knows its service: how to check files that are not in place yet, what to do before a restart, how to
    tell whether it runs with its files. It never decides whether something is to be done.

    :param name: of the service, for sentences.
    :param units: systemd units, the service's own first.
    :param options: what the role passes on to this driver; the driver's class documents it.
    :param secrets: texts that the driver needs and that may appear nowhere.
    :param digest: identifies the wanted configuration; it stands where the files say ``@scaleout-digest@``.
    """

    def __init__(
        self,
        name: str,
        units: t.Sequence[str],
        options: t.Mapping[str, t.Any],
        secrets: t.Mapping[str, str],
        digest: str,
    ) -> None:
        self.name = name
        self.units = tuple(units)
        self.options = options
        self.secrets = secrets
        self.digest = digest
        #: When the transaction told the service to take up its files; what the log said before is another story.
        self.activated_at = 0.0

    # Looking

    def look(self) -> list[UnitState]:
        """Return the state of the units."""
        return states(self.units)

    def drift(self) -> str:
        """Say what the running service would have to do to run with the files on the disk; a level.

        For services that tell what they run with. The files' times and the journal have been judged already.
        """
        return "none"

    def ailments(self) -> list[str]:
        """Say why the service does not serve with the files on the disk, as clauses; empty when it does.

        It is asked again and again while the transaction waits, so it must not take long.
        """
        found = [
            f"{state.name} has failed" if state.failed else f"{state.name} is not running"
            for state in self.look()
            if not state.active
        ]
        if not found and self.options.get("probe"):
            found = probe(self.options["probe"], self.digest, self.secrets)
        return found

    def hopeless(self) -> bool:
        """Tell, after :meth:`ailments` named some, that waiting is pointless: the service would end again.

        By default the time-out decides, since systemd may start a unit again.
        """
        return False

    # Changing

    def validate(self, staged: t.Mapping[str, str]) -> str:
        """Check files that are not in place yet.

        :param staged: where each new file waits, by the path that it is for.
        :return: why the service would not take them; empty when it would, or when there is no telling.
        """
        for path, argv in (self.options.get("validate") or {}).items():
            if path in staged:
                done = run([word.replace("%s", staged[path]) for word in argv], timeout=ACTIVATE_TIMEOUT)
                if done.status:
                    return in_place(done.said, staged)
        return ""

    def guard(self) -> str:
        """Say why the service must not stop now, such as a quorum that needs it; empty when it may."""
        return ""

    def prepare(self, level: str) -> str:
        """Do what has to be done before the service stops; the new files are not in place yet.

        :return: why the transaction must not go on; empty when it may.
        """
        return ""

    def activate(self, level: str) -> str:
        """Have the service take up the files on the disk.

        :param level: ``reload`` or ``restart``; a service that does not run is started by either.
        :return: why that failed; empty when it did not.
        """
        found = self.look()
        # systemd 252 (Debian 12) does not see a drop-in in a folder that is new to it, so its word is not enough.
        if level == RESTART or any(state.needs_daemon_reload or not state.active for state in found):
            run(["systemctl", "daemon-reload"], timeout=ACTIVATE_TIMEOUT)
        # systemd refuses to start what failed too often in the last seconds.
        run(["systemctl", "reset-failed", *self.units])
        missing = [state.name for state in found if not state.enabled]
        if missing:
            run(["systemctl", "enable", *missing], timeout=ACTIVATE_TIMEOUT)
        self.activated_at = time.time()
        running = [state.name for state in found if state.active]
        stopped = [state.name for state in found if not state.active]
        for verb, units in (("restart" if level == RESTART else "reload-or-restart", running), ("start", stopped)):
            done = run(["systemctl", verb, *units], timeout=ACTIVATE_TIMEOUT) if units else None
            if done and done.status:
                return done.said
        return ""

    def last_words(self) -> str:
        """Return what the service said last about its trouble since the activation, in one line; empty without any."""
        if not self.activated_at:
            return ""
        command = ["journalctl", "--no-pager", "--quiet", "--output=cat", f"--since=@{int(self.activated_at) - 1}"]
        lines = run([*command, *(f"--unit={unit}" for unit in self.units)]).output.splitlines()
        told = [line for line in lines if _TROUBLE.search(line) and not _ABOUT_UNIT.match(line)]
        return " ".join((told or [line for line in lines if not _ABOUT_UNIT.match(line)] or [""])[-1].split())[
            :_EXCERPT
        ]

    def proven(self) -> None:
        """The service runs with the wanted files: what was kept for the way back is not needed any more.

        A run that is killed here calls it again, so it must not mind what it did already.
        """

    def restored(self) -> None:
        """The earlier files are back and the service is about to take them up."""

    def absent(self) -> str:
        """Stop the units and keep them from starting; say why that failed."""
        known = [state.name for state in self.look() if state.known]
        if not known:
            return ""
        done = run(["systemctl", "disable", "--now", *known], timeout=ACTIVATE_TIMEOUT)
        # A Consul server ends with 1 when it is told to, and would stay in the list of what has failed.
        run(["systemctl", "reset-failed", *known])
        return done.said if done.status else ""
