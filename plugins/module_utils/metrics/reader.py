# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads on the host itself: the kernel's files, systemd's word on a unit, and the application's metrics."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import ssl
import threading
import time
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import (
    Denied,
    ScaleoutError,
    TooLarge,
    UnexpectedAnswer,
    Unreachable,
)
from ansible_collections.scaleout.platform.plugins.module_utils.metrics.look import Look, NotMeasured, Pools, Unit
from ansible_collections.scaleout.platform.plugins.module_utils.metrics.sample import Sample
from ansible_collections.scaleout.platform.plugins.module_utils.metrics.spec import Endpoint, Spec
from ansible_collections.scaleout.platform.plugins.module_utils.process import run

#: Bytes of one file of the kernel: some 200,000 connections.
_LARGEST_FILE = 32 * 1024**2
#: Bytes of one answer of the application: some 50,000 series.
_LARGEST_ANSWER = 8 * 1024**2
_CHUNK = 64 * 1024
#: Seconds that systemd may take to answer.
_SYSTEMD = 5.0
_OK = 200
_HEADERS = {
    "Accept": "text/plain;version=0.0.4",
    "User-Agent": "scaleout.platform service_metrics_info",
    "Connection": "close",
}

Value = t.TypeVar("Value")


class TooLate(Unreachable):
    """An application that does not answer in time."""

    CODE = "timeout"


class Seen(t.NamedTuple):
    """A sample, what could not be measured, and what of it is the application's fault."""

    sample: Sample
    problems: list[ScaleoutError]
    failed: list[ScaleoutError]


class Reader:
    """Looks at the host on which it runs.

    :param ask_pooler: asks the PgBouncer at a port of this host for its pools.
    """

    def __init__(self, spec: Spec, ask_pooler: t.Callable[[int], Pools] = lambda _port: None) -> None:
        self._spec = spec
        self._ask_pooler = ask_pooler
        self._ticks = os.sysconf("SC_CLK_TCK")
        self._unit: Unit | ScaleoutError | None = None
        self._failure: ScaleoutError | None = None

    def look(self) -> Seen:
        """Look once. An application that did not answer the first look is not asked again."""
        look = Look(read, self._ticks, self._spec)
        if self._spec.unit and self._unit is None:
            self._unit = _attempt(lambda: unit(self._spec.unit))
        if isinstance(self._unit, ScaleoutError):
            look.problems.append(self._unit)
        shown = self._unit if isinstance(self._unit, Unit) else None
        # The kernel's counters come last and the clock with them, so that a slow answer is no part of their interval.
        body = self._body()
        pools = self._ask_pooler(self._spec.pooler_port) if self._spec.pooler_port else None
        sample = look.sample(_now, shown, body, pools)
        return Seen(sample, look.problems, look.failed)

    def _body(self) -> bytes | ScaleoutError | None:
        spec, endpoint = self._spec, self._spec.endpoint
        if endpoint is None or self._failure:
            return self._failure
        body = _attempt(lambda: scrape(endpoint, spec.name, spec.timeout, spec.validate_certs))
        if isinstance(body, ScaleoutError):
            self._failure = body
        return body


def read(path: str) -> str | None:
    """Return the text of a file, or None where there is none to read.

    :raises TooLarge: it does not end.
    """
    found = bytearray()
    try:
        # In pieces: the kernel refuses to fill a large buffer from a small file under /proc/sys.
        with open(path, "rb", buffering=0) as file:
            while len(found) <= _LARGEST_FILE:
                chunk = file.read(_CHUNK)
                if not chunk:
                    return found.decode("utf-8", "replace")
                found += chunk
    except OSError:
        return None
    raise TooLarge(f"{path} has more than {_LARGEST_FILE // 1024**2} MB.", path=path)


def scrape(endpoint: Endpoint, name: str = "", timeout: float = 2.0, validate_certs: bool = True) -> bytes:
    """Ask an application for its metrics.

    :param name: the ``Host`` header; empty for the endpoint's own.
    :param timeout: seconds for all of it, also for an answer that trickles.
    :raises Unreachable: it does not answer in time, or with something else than metrics.
    :raises TooLarge: the answer is larger than we read.
    """
    what, path = "the application's metrics", endpoint.target.partition("?")[0]
    until = time.monotonic() + timeout
    connection = _connection(endpoint, timeout, validate_certs)
    late = threading.Event()
    alarm: threading.Timer | None = None
    try:
        connection.connect()
        alarm = threading.Timer(max(until - time.monotonic(), 0.0), _break_off, (connection.sock, late))
        alarm.daemon = True
        alarm.start()
        connection.request("GET", endpoint.target, headers={**_HEADERS, **({"Host": name} if name else {})})
        response = connection.getresponse()
        if response.status != _OK:
            kind = Denied if response.status in (401, 403) else UnexpectedAnswer
            raise kind(what, endpoint.host, endpoint.port, f"{path} answered {response.status}")
        body = bytearray()
        while True:
            chunk = response.read1(_CHUNK)
            if not chunk:
                break
            body += chunk
            if len(body) > _LARGEST_ANSWER:
                raise TooLarge(f"{path} answered with more than {_LARGEST_ANSWER // 1024**2} MB.")
        if late.is_set() or response.length:
            raise http.client.IncompleteRead(bytes(body))
        return bytes(body)
    except (OSError, http.client.HTTPException, ValueError) as error:
        if late.is_set() or isinstance(error, socket.timeout):
            raise TooLate(what, endpoint.host, endpoint.port, f"it did not answer within {timeout:g} s") from None
        reason = getattr(error, "strerror", None) or _reason(error)
        raise Unreachable(what, endpoint.host, endpoint.port, reason) from None
    finally:
        if alarm:
            alarm.cancel()
        connection.close()


def _connection(endpoint: Endpoint, timeout: float, validate_certs: bool) -> http.client.HTTPConnection:
    if not endpoint.tls:
        return http.client.HTTPConnection(endpoint.host, endpoint.port, timeout=timeout)
    context = ssl.create_default_context()
    if not validate_certs:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection(endpoint.host, endpoint.port, timeout=timeout, context=context)


def _break_off(sock: socket.socket, late: threading.Event) -> None:
    late.set()
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


def _reason(error: Exception) -> str:
    if isinstance(error, http.client.IncompleteRead):
        return "its answer breaks off"
    return f"its answer is not HTTP ({type(error).__name__})"


def unit(name: str) -> Unit:
    """Ask systemd where a unit's control group is.

    :raises NotMeasured: it does not say.
    """
    done = run(["systemctl", "show", "--property=ControlGroup,InvocationID", "--", name], timeout=_SYSTEMD)
    if done.status:
        raise NotMeasured(f"systemd says nothing of {name}: {done.said}.")
    shown = dict(line.split("=", 1) for line in done.output.splitlines() if "=" in line)
    return Unit(shown.get("ControlGroup", ""), shown.get("InvocationID", ""))


def _now() -> tuple[float, float]:
    return time.time(), time.clock_gettime(time.CLOCK_BOOTTIME)


def _attempt(ask: t.Callable[[], Value]) -> Value | ScaleoutError:
    try:
        return ask()
    except ScaleoutError as error:
        return error
