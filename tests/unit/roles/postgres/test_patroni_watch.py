# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which Patroni hangs and is ended, and which is left alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.unit import postgres_pair

watch = postgres_pair.program("patroni_watch")

LIMIT = 6
NEW, OLD = 100.0, 0.0


@pytest.mark.parametrize(
    ("looks", "number", "age", "ended"),
    [
        pytest.param([(0, True), (5, False)], 7, OLD, [], id="no answer for less than the limit"),
        pytest.param([(0, True), (3, False), (6, False)], 7, OLD, [6], id="none for the limit"),
        pytest.param([(0, True), (5, False), (6, True), (11, False)], 7, OLD, [], id="one in between"),
        pytest.param([(0, False), (9, False), (99, False)], 7, OLD, [], id="it has not answered yet, it may wait"),
        pytest.param([(1, True), (7, False)], 7, NEW, [], id="another one by now, that has not answered yet"),
        pytest.param([(1, True), (7, False)], 0, OLD, [], id="it was stopped"),
        pytest.param([(0, True), (6, False), (12, False), (99, False)], 7, OLD, [6], id="once, until it answers"),
        pytest.param([(0, True), (6, False), (8, True), (14, False)], 7, OLD, [6, 14], id="again when it hangs again"),
    ],
)
def test_what_hangs(looks, number, age, ended):
    look = watch.Watch(LIMIT, lambda: number, lambda _number: age - 1)
    assert [at for at, answered in looks if look.hanging(at, answered)] == ended


SERVER = """
import http.server, sys
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(503)
        self.end_headers()
server = http.server.HTTPServer(("127.0.0.1", 0), Answer)
print(server.server_port, flush=True)
server.serve_forever()
"""


@pytest.fixture
def patroni():
    with subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        yield process, int(process.stdout.readline())
        process.kill()


def test_one_that_is_stopped_answers_no_more_and_can_be_ended(patroni, monkeypatch):
    process, port = patroni
    monkeypatch.setattr(watch, "PATIENCE", 0.3)
    assert watch.answers("127.0.0.1", port), "that the server is down is an answer"
    assert 0 <= watch.now() - watch.started(process.pid) < 60
    os.kill(process.pid, signal.SIGSTOP)
    time.sleep(0.1)
    assert not watch.answers("127.0.0.1", port)
    look = watch.Watch(0.5, lambda: process.pid, watch.started)
    look.hanging(watch.now(), True)
    time.sleep(0.6)
    os.kill(look.hanging(watch.now(), False), signal.SIGKILL)
    assert process.wait(5) == -signal.SIGKILL
    assert not watch.answers("127.0.0.1", port)


@pytest.mark.parametrize(("state", "number"), [("active", 7), ("deactivating", 0), ("inactive", 0)])
def test_one_that_is_being_stopped_does_not_answer_and_is_left_alone(tmp_path, monkeypatch, state, number):
    systemctl = tmp_path / "systemctl"
    systemctl.write_text(f"#!/bin/sh\necho MainPID={0 if state == 'inactive' else 7}\necho ActiveState={state}\n")
    systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert watch.main_process() == number


def test_what_has_gone_was_never_started(patroni):
    process, _port = patroni
    process.kill()
    process.wait(5)
    assert watch.started(process.pid) == float("inf")
