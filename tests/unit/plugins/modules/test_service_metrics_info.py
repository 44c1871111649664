# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module on this machine beside an application that counts what it answers."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import urllib.request
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
import yaml
from ansible.module_utils.testing import patch_module_args
from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, make_wsgi_app

from ansible_collections.scaleout.platform.plugins.modules import service_metrics_info as module

ASKED = {"service": "shop", "instance": "shop1"}


class Quiet(WSGIRequestHandler):
    def log_message(self, *_arguments):
        pass


class Shop:
    """An application with the metrics that its client library gives it."""

    def __init__(self):
        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.requests = Counter("http_requests", "Requests.", ["status"], registry=registry)
        self.seconds = Histogram("http_request_duration_seconds", "S.", buckets=(0.01, 0.1), registry=registry)
        self._metrics = make_wsgi_app(registry)

    def __call__(self, environ, start):
        if environ["PATH_INFO"] == "/metrics":
            return self._metrics(environ, start)
        self.requests.labels("500" if environ["PATH_INFO"] == "/broken" else "200").inc()
        self.seconds.observe(0.005)
        start("200 OK", [])
        return [b""]


@pytest.fixture
def shop():
    with make_server("127.0.0.1", 0, Shop(), handler_class=Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def run(capsys, **options):
    with patch_module_args({**ASKED, **options}), pytest.raises(SystemExit):
        module.main()
    return json.loads(capsys.readouterr().out)


def visit(port, path, times):
    for _number in range(times):
        urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5).close()


def test_what_an_application_counted_between_two_looks(capsys, shop):
    visit(shop, "/", 20)
    visit(shop, "/broken", 3)
    first = run(capsys, port=shop, look=0)
    visitor = threading.Timer(0.2, visit, (shop, "/", 10))
    visitor.start()
    started = time.monotonic()
    second = run(capsys, port=shop, look=1.0, _ansible_check_mode=True)
    took = time.monotonic() - started
    visitor.join()
    assert not first["changed"]
    assert not second["changed"]
    assert (first["problems"], second["problems"]) == ([], [])
    assert first["sample"]["metrics"]["application"] == {"requests": 23, "errors": 3, "latency": []}
    assert "usage" not in first["sample"]["metrics"]["cpu"]
    application = second["sample"]["metrics"]["application"]
    assert (application["requests"], application["errors"]) == (33, 3)
    assert application["latency"] == pytest.approx([5, 9.5, 9.9])
    values = second["reading"]["values"]
    assert values["requests"] == values["application"] == pytest.approx(10, rel=0.1)
    assert (values["errors"], values["latency"]) == (0, pytest.approx(9.9))
    assert 0 <= values["cpu"] == second["sample"]["metrics"]["cpu"]["usage"] <= 100
    assert 1.0 <= second["seconds"] <= took
    assert first["seconds"] < 1.0


def test_an_application_that_is_down_is_said_and_fails_nothing(capsys):
    result = run(capsys, port=1, look=0.1)
    assert not result.get("failed")
    assert [problem["code"] for problem in result["problems"]] == ["unreachable"]
    assert "application" not in result["sample"]["metrics"]
    assert {"requests", "application", "errors", "latency"}.isdisjoint(result["reading"]["values"])
    assert result["sample"]["metrics"]["memory"]["total"]


def test_it_fails_where_that_was_asked_for_and_still_says_the_rest(capsys):
    result = run(capsys, port=1, look=0, application_required=True)
    assert (result["failed"], result["code"]) == (True, "unreachable")
    assert result["sample"]["metrics"]["memory"]["total"]


def test_without_an_application_to_ask_nothing_is_missing(capsys):
    assert run(capsys, look=0, application_required=True)["problems"] == []


@pytest.mark.parametrize(
    "options", [{}, {"url": "http://127.0.0.1:1/", "requests_metrics": []}], ids=["host", "application"]
)
def test_a_play_takes_it_as_a_task(tmp_path, options):
    """By Ansible itself, so that all that the module imports is shipped with it."""
    task = {"scaleout.platform.service_metrics_info": {**ASKED, **options, "look": 0.1}, "register": "sampled"}
    says = {"ansible.builtin.assert": {"that": ["sampled.sample.instance == 'shop1'", "sampled.seconds < 5"]}}
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": [task, says]}
    path = tmp_path / "play.yml"
    path.write_text(yaml.safe_dump([play]))
    command = [sys.executable, "-m", "ansible", "playbook", "-i", "localhost,", "-e"]
    command += [f"ansible_python_interpreter={sys.executable}", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


#: What PgBouncer 1.18 answered while one client held the only connection of a pool, and another one waited.
POOLS = """database\x1fuser\x1fcl_active\x1fcl_waiting\x1fmaxwait\x1fmaxwait_us\x1fpool_mode
analytics\x1fshop\x1f0\x1f0\x1f0\x1f0\x1ftransaction
shop\x1fshop\x1f1\x1f1\x1f1\x1f411985\x1ftransaction
"""


def console(folder, monkeypatch, script):
    """Put a program in the place of the one that asks PgBouncer as its own user."""
    program = folder / "runuser"
    program.write_text(f'#!/bin/sh\necho "$@" > {folder}/asked\n{script}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_w3_it_asks_the_pooler_how_long_clients_wait(capsys, tmp_path, monkeypatch):
    (tmp_path / "answer").write_text(POOLS)
    console(tmp_path, monkeypatch, f"cat {tmp_path}/answer")
    result = run(capsys, look=0, pooler_port=6432, pooler_databases=["shop"])
    assert result["sample"]["metrics"]["pooler"] == {"wait": 1.411985}
    assert result["reading"]["values"]["pooler_wait"] == 1.411985
    assert result["problems"] == []
    asked = (tmp_path / "asked").read_text()
    assert asked.startswith("--user=pgbouncer -- psql --no-psqlrc --no-password")
    assert asked.endswith("--port=6432 --username=pgbouncer --command SHOW POOLS\n")
    assert run(capsys, look=0, pooler_port=6432)["reading"]["values"]["pooler_wait"] == 1.411985


def test_a_pooler_that_does_not_answer_is_said_and_fails_nothing(capsys, tmp_path, monkeypatch):
    console(tmp_path, monkeypatch, "echo connection refused >&2; exit 2")
    result = run(capsys, look=0, pooler_port=6432, application_required=True)
    assert not result.get("failed")
    assert result["problems"] == [
        {"code": "not_measured", "text": "PgBouncer at port 6432 does not answer: connection refused."}
    ]
    assert "pooler" not in result["sample"]["metrics"]
