# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Hand-overs in real runs: to a server that behaves as AWX's API, to one that checks signatures, to a process."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import pathlib
import signal
import stat
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.unit import redis_server
from tests.unit.plugins.callback.runs import COLLECT, Project

TOKEN = "t0ken-of-one-template"
SECRET = "webhook sëcret"
#: What the scaling playbook of these tests does: it samples as well, and would push and hand over in its turn.
SCALE = (
    COLLECT
    + """
    - name: Work for a while
      ansible.builtin.pause: {seconds: "{{ lookup('ansible.builtin.env', 'WORK') | default('0', true) }}"}
      run_once: true
"""
)


@contextlib.contextmanager
def served(answer):
    """A server on the loopback interface; yields its URL and what it was asked.

    :param answer: given a request's path, headers and body, returns a status, and a value that is sent as JSON.
    """
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, value = answer(self.path, self.headers, body)
            asked.append((self.path, self.headers, body, status))
            self.send_response(status)
            if status in (301, 307):
                self.send_header("Location", value)
            self.end_headers()
            self.wfile.write(json.dumps(value).encode())

        def log_message(self, *_arguments):
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
        server.shutdown()


def awx(path, headers, body):
    """POST /api/v2/job_templates/N/launch/, as AWX's API describes it."""
    if headers.get("Authorization") != f"Bearer {TOKEN}":
        return 401, {"detail": f"Authentication credentials were not provided: {headers.get('Authorization')}"}
    if path not in ("/api/v2/job_templates/7/launch/", "/api/v2/job_templates/Auto%20scale++Default/launch/"):
        return 404, {"detail": "Not found."}
    assert set(json.loads(body)) == {"extra_vars"}
    return 201, {"job": 42, "ignored_fields": {}, "id": 42, "type": "job"}


def handed_to_awx(project, url, **environment):
    return project.play(
        COLLECT,
        "-v",
        **{
            "SCALEOUT_HANDOVER": "awx",
            "SCALEOUT_AWX_URL": f"{url}/api/v2",
            "SCALEOUT_AWX_TEMPLATE": "7",
            "SCALEOUT_AWX_TOKEN": TOKEN,
            **environment,
        },
    )


@pytest.mark.parametrize("template", ["7", "Auto scale++Default"])
def test_awx_launches_the_template(tmp_path, port, template):
    with served(awx) as (url, asked):
        run = handed_to_awx(Project(tmp_path, port), url, SCALEOUT_AWX_TEMPLATE=template)
    assert (run.status, run.warnings) == (0, [])
    assert "handed over job 42 of AWX" in run.said
    ((_path, _headers, body, _status),) = asked
    given = json.loads(body)["extra_vars"]
    assert set(given) == {"scaleout_handed_over", "scaleout_services"}
    assert given["scaleout_services"] == ["shop"]


REFUSALS = [
    ({"SCALEOUT_AWX_TOKEN": "wrong-token"}, "[denied]", "it refuses the login (HTTP 401)", 1),
    ({"SCALEOUT_AWX_TEMPLATE": "8"}, "[unexpected_answer]", "HTTP 404 to POST /api/v2/job_templates/8/launch/", 1),
    ({"SCALEOUT_AWX_TOKEN": ""}, "[invalid_input]", "awx_token", 0),
    ({"SCALEOUT_AWX_URL": "http://awx.example.com/api/v2"}, "[invalid_input]", "use https://", 0),
]


@pytest.mark.parametrize(("environment", "code", "reason", "requests"), REFUSALS)
def test_an_awx_that_refuses_is_one_warning(tmp_path, port, environment, code, reason, requests):
    with served(awx) as (url, asked):
        run = handed_to_awx(Project(tmp_path, port), url, **environment)
    assert run.status == 0
    (warning,) = run.warnings
    assert code in warning
    assert reason in warning
    assert len(asked) == requests
    assert "wrong-token" not in run.said
    assert TOKEN not in run.said


def test_a_redirect_gets_no_token(tmp_path, port):
    with (
        served(awx) as (elsewhere, got),
        served(lambda path, *_: (307, elsewhere + path)) as (url, _asked),
    ):
        run = handed_to_awx(Project(tmp_path, port), url)
    assert "HTTP 307" in run.warnings[0]
    assert got == []


def test_no_samples_no_hand_over(tmp_path, port):
    with served(awx) as (url, asked):
        project = Project(tmp_path, port)
        text = COLLECT.replace("take_sample:", "ansible.builtin.debug:")
        run = project.play(text, SCALEOUT_HANDOVER="awx", SCALEOUT_AWX_URL=url, SCALEOUT_AWX_TEMPLATE="7")
    assert (run.status, run.warnings, asked) == (0, [], [])


def test_the_samples_of_a_store_that_is_dead_are_not_handed_over(tmp_path):
    with served(awx) as (url, asked):
        run = handed_to_awx(Project(tmp_path, redis_server.free_port()), url)
    assert len(run.warnings) == 1
    assert asked == []


def test_the_webhook_gets_an_event_that_is_signed(tmp_path, port):
    def checks(_path, headers, body):
        wanted = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        return (204 if headers["X-Hub-Signature-256"] == f"sha256={wanted}" else 401), None

    given = {"SCALEOUT_HANDOVER": "webhook", "SCALEOUT_WEBHOOK_SECRET": SECRET}
    with served(checks) as (url, asked):
        project = Project(tmp_path, port)
        run = project.play(COLLECT, **given, SCALEOUT_WEBHOOK_URL=f"{url}/endpoint")
        refused = project.play(COLLECT, **{**given, "SCALEOUT_WEBHOOK_SECRET": "x"}, SCALEOUT_WEBHOOK_URL=url)
    assert (run.status, run.warnings) == (0, [])
    event = json.loads(asked[0][2])
    assert asked[0][0] == "/endpoint"
    assert set(event) == {"event", "id", "at", "services", "more_services", "samples"}
    assert (event["event"], event["services"], event["samples"]) == ("metrics_pushed", ["shop"], 2)
    assert len(refused.warnings) == 1
    assert "[denied]" in refused.warnings[0]


def wait_for(condition, seconds=40.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.2)
    raise AssertionError("it did not happen")


def locally(project, text, name="collect.yml", **environment):
    return project.play(
        text, "-v", name=name, SCALEOUT_HANDOVER="local", SCALEOUT_PLAYBOOK="autoscale.yml", **environment
    )


def test_the_local_playbook_outlives_its_parent_runs_once_and_never_starts_itself(tmp_path, port):
    """Its parent has ended. It samples, with the same options as its parent, and starts nothing."""
    project = Project(tmp_path, port)
    (tmp_path / "autoscale.yml").write_text(SCALE)
    log = tmp_path / ".ansible/scaleout-autoscale.log"
    old = os.umask(0)
    try:
        run = locally(project, COLLECT, WORK="6")
        again = locally(project, COLLECT, WORK="6")
    finally:
        os.umask(old)
    assert (run.status, run.warnings, again.warnings) == (0, [], [])
    assert "handed over nothing, as a run of autoscale.yml has not ended yet" in again.said
    process = int(run.said.partition("handed over autoscale.yml as process ")[2].split(",")[0])
    assert os.getsid(process) == process
    assert process != os.getpid()
    environment = pathlib.Path(f"/proc/{process}/environ").read_bytes()
    assert b"SCALEOUT_HANDED_OVER=" in environment
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    said = wait_for(lambda: "PLAY RECAP" in log.read_text() and log.read_text())
    assert said.count("PLAY [Collect]") == 1
    # One that a person starts is known by its name.
    by_hand = locally(project, SCALE, name="autoscale.yml")
    assert "nothing is handed over, as this run is itself one of autoscale" in by_hand.said
    # One that AWX or a rulebook starts is known by the variable that it gets.
    from_afar = project.play(COLLECT, "-v", "-e", "scaleout_handed_over=x", SCALEOUT_HANDOVER="local")
    assert "nothing is handed over, as this run was itself started by a hand-over" in from_afar.said
    time.sleep(1)
    assert log.read_text().count("PLAY [Collect]") == 1
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process, signal.SIGTERM)


def test_a_log_that_is_a_link_is_not_written(tmp_path, port):
    project = Project(tmp_path, port)
    (tmp_path / "target").write_text("")
    (tmp_path / "log").symlink_to(tmp_path / "target")
    (tmp_path / "autoscale.yml").write_text(SCALE)
    run = locally(project, COLLECT, SCALEOUT_LOG_PATH=str(tmp_path / "log"))
    assert run.status == 0
    assert "[write_failed] log_path:" in run.warnings[0]
    assert (tmp_path / "target").read_text() == ""


def test_a_job_of_awx_starts_no_process(tmp_path, port):
    (tmp_path / "runner").mkdir()
    run = locally(Project(tmp_path / "project", port), COLLECT, AWX_PRIVATE_DATA_DIR=str(tmp_path / "runner"))
    assert "[refused] handover: local" in run.warnings[0]
