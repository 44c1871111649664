# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads this machine's own files, and asks servers that answer, lie, hang and never end."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.metrics import rates, reader, spec
from ansible_collections.scaleout.platform.plugins.module_utils.metrics.sample import parse, render
from ansible_collections.scaleout.platform.plugins.module_utils.metrics.spec import Endpoint
from ansible_collections.scaleout.platform.plugins.modules.service_metrics_info import ARGUMENTS

DEFAULTS = {name: option.get("default") for name, option in ARGUMENTS.items()}
PARAMS = {**DEFAULTS, "service": "shop", "instance": "shop1"}
OK = b"HTTP/1.1 200 OK\r\n"


@contextlib.contextmanager
def answering(*pieces, pause=0.0):
    """A server that sends its pieces to whoever asks, with a pause after each; it keeps what it was asked."""
    asked, over = [], threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            while not over.is_set():
                with contextlib.suppress(OSError):
                    client, _address = server.accept()
                    with client:
                        asked.append(client.recv(65536))
                        for piece in pieces:
                            client.sendall(piece)
                            over.wait(pause)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield Endpoint(False, "127.0.0.1", server.getsockname()[1], "/metrics?a=b"), asked
        over.set()
        with contextlib.suppress(OSError):
            socket.create_connection(server.getsockname(), 1).close()
        thread.join(5)


@pytest.mark.parametrize(
    "pieces",
    [
        [OK, b"Content-Length: 4\r\n\r\n", b"a 1\n"],
        [OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\na \r\n2\r\n1\n\r\n0\r\n\r\n"],
        [OK + b"\r\na 1\n"],
    ],
)
def test_an_answer(pieces):
    with answering(*pieces) as (endpoint, asked):
        assert reader.scrape(endpoint, "shop.example") == b"a 1\n"
    assert asked[0].startswith(b"GET /metrics?a=b HTTP/1.1\r\n")
    assert (asked[0].count(b"\r\nHost: "), asked[0].count(b"\r\nHost: shop.example\r\n")) == (1, 1)
    assert b"version=0.0.4" in asked[0]


@pytest.mark.parametrize(
    ("pieces", "pause", "code", "says"),
    [
        ([b"HTTP/1.1 404 Not Found\r\n\r\n"], 0, "unexpected_answer", ": /metrics answered 404."),
        ([b"HTTP/1.1 302 Found\r\nLocation: http://192.0.2.1/\r\n\r\n"], 0, "unexpected_answer", "answered 302."),
        ([b"HTTP/1.1 401 No\r\n\r\n"], 0, "denied", "answered 401."),
        ([b"SSH-2.0-OpenSSH\r\n\r\n"], 0, "unreachable", "its answer is not HTTP (BadStatusLine)."),
        ([b""], 0, "unreachable", "its answer is not HTTP (RemoteDisconnected)."),
        ([OK + b"Content-Length: 9\r\n\r\na 1\n"], 0, "unreachable", "its answer breaks off."),
        ([OK + b"Transfer-Encoding: chunked\r\n\r\n9\r\na 1\n"], 0, "unreachable", "its answer breaks off."),
        ([OK + b"Content-Length: x\r\n\r\n"] + [b"a 1\n" * 100_000] * 30, 0, "too_large", "more than 8 MB."),
        ([b""], 30, "timeout", "it did not answer within 0.5 s."),
        ([OK + b"\r\na 1\n"], 30, "timeout", "it did not answer within 0.5 s."),
        ([OK] + [b"X: y\r\n"] * 1000, 0.1, "timeout", "it did not answer within 0.5 s."),
        ([OK + b"\r\n"] + [b"a 1\n"] * 1000, 0.1, "timeout", "it did not answer within 0.5 s."),
    ],
)
def test_what_is_no_answer_has_a_code_and_an_end(pieces, pause, code, says):
    with answering(*pieces, pause=pause) as (endpoint, _asked):
        started = time.monotonic()
        with pytest.raises(ScaleoutError) as refused:
            reader.scrape(endpoint, timeout=10.0 if pause == 0 else 0.5)
        assert time.monotonic() - started < 5
    assert refused.value.code == code
    assert refused.value.message.endswith(says)


def test_no_one_listens():
    with pytest.raises(ScaleoutError) as refused:
        reader.scrape(Endpoint(False, "127.0.0.1", 1, "/metrics"))
    assert refused.value.code == "unreachable"
    assert refused.value.message == "Cannot reach the application's metrics at 127.0.0.1:1: Connection refused."
    with pytest.raises(ScaleoutError) as refused:
        reader.scrape(Endpoint(True, "127.0.0.1", 1, "/metrics"), validate_certs=False)
    assert refused.value.code == "unreachable"


def test_an_application_that_fails_is_asked_once_for_both_looks():
    with answering(b"HTTP/1.1 503 No\r\n\r\n") as (endpoint, asked):
        url = f"http://127.0.0.1:{endpoint.port}/metrics"
        looking = reader.Reader(spec.read({**PARAMS, "url": url}))
        first, second = looking.look(), looking.look()
    assert [[problem.code for problem in seen.failed] for seen in (first, second)] == [["unexpected_answer"]] * 2
    assert len(list(filter(None, asked))) == 1
    assert second.sample.memory.total


def test_this_machine_by_its_own_word():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        seen = reader.Reader(spec.read({**PARAMS, "port": server.getsockname()[1], "timeout": 0.2})).look()
    sample = seen.sample
    assert seen.failed
    assert seen.problems == seen.failed
    assert parse(render(sample)) == sample
    assert abs(sample.timestamp - time.time()) < 5
    assert abs(sample.counters.uptime - time.clock_gettime(time.CLOCK_BOOTTIME)) < 5
    assert 0 < sample.memory.total <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert 0 < sample.counters.host.cpus <= os.cpu_count()
    # The connection is at both ends on this host; its own end counts.
    assert sample.network.connections == 1
    assert all(abs(load - now) < 5 for load, now in zip(sample.cpu.load, os.getloadavg(), strict=True))


def test_the_processors_are_measured_as_busy_as_we_make_them():
    looking = reader.Reader(spec.read(PARAMS))
    first, until, own = looking.look().sample, time.monotonic() + 0.6, time.process_time()
    while time.monotonic() < until:
        sum(range(1000))
    own = time.process_time() - own
    second = looking.look().sample
    busy = second.counters.host.cpu_seconds - first.counters.host.cpu_seconds
    assert busy >= 0.8 * own > 0
    usage = rates.reading(first, second)["values"]["cpu"]
    assert 100 * 0.8 * own / 0.6 / second.counters.host.cpus - 10 <= usage <= 100


def test_a_file_under_proc_sys_and_one_that_does_not_end():
    assert len(reader.read("/proc/sys/kernel/random/boot_id")) == 37
    assert reader.read("/proc/none") is None
    with pytest.raises(ScaleoutError) as refused:
        reader.read("/dev/zero")
    assert refused.value.code == "too_large"


def test_what_systemd_does_not_say():
    try:
        shown = reader.unit("scaleout-none.service")
    except ScaleoutError as error:
        shown = error  # no systemd here
    assert shown == reader.Unit() or shown.code == "not_measured"
