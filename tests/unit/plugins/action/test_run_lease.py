# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Real runs that take a lease: one that is paused for too long, one below ansible-runner, and the next run."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.consul.client import Check, Delete, Write
from ansible_collections.scaleout.platform.plugins.module_utils.operations import lease
from ansible_collections.scaleout.platform.plugins.plugin_utils import watchdog
from tests.unit.plugins.callback.runs import Project

#: How long a lease counts here, in seconds. The tests move its end to now, so that a busy machine has its time.
EXPIRES = 600
TAKE = """
- name: Work
  hosts: shop
  gather_facts: false
  tasks:
    - name: Take the lease
      scaleout.platform.run_lease: {{consul_port: {port}, expires: {expires}, watched: true}}
      register: lease
"""
BEGIN = """
    - name: Record what begins
      scaleout.platform.scaling_journal:
        consul_port: {port}
        group: api
        state: begun
        run: "{{{{ lease.run }}}}"
        action: {{direction: up, from: 3, to: 5}}
      run_once: true
"""
FIND = """
    - name: Find what another run began
      scaleout.platform.scaling_journal:
        consul_port: {port}
        group: api
        state: broken_off
        run: "{{{{ lease.run }}}}"
      run_once: true
"""
WORK = """
    - name: Begin a task after the other
      ansible.builtin.shell: echo begun >> {{{{ playbook_dir }}}}/tasks; sleep 0.1
      loop: "{{{{ range(1000) | list }}}}"
      run_once: true
"""


@pytest.fixture(name="port")
def _port(consul):
    """The port of a Consul on the loopback interface, which keeps what the dict keeps."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            entry = consul.kv.get(self.path.removeprefix("/v1/kv/").partition("?")[0])
            if entry is None:
                return self.answer(404, b"")
            value = {"Value": base64.b64encode(entry.value).decode(), "ModifyIndex": entry.modify_index, "Flags": 0}
            return self.answer(200, json.dumps([value]).encode())

        def do_PUT(self):
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                written = consul.commit([operation(one["KV"]) for one in asked])
            if written is None:
                return self.answer(409, b'{"Results": null, "Errors": [{"OpIndex": 0, "What": "index is stale"}]}')
            results = [{"KV": {"Key": key, "ModifyIndex": index}} for key, index in written.items()]
            return self.answer(200, json.dumps({"Results": results, "Errors": None}).encode())

        def answer(self, status, body):
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments):
            """Say nothing."""

    lock = threading.Lock()
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def operation(fields):
    verb, key = fields["Verb"], fields["Key"]
    if verb == "check-index":
        return Check(key, fields["Index"])
    if verb.startswith("delete"):
        return Delete(key, fields.get("Index"))
    return Write(key, base64.b64decode(fields["Value"]), fields.get("Index"), fields["Flags"])


def until(true, what, seconds=60.0):
    ends = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends, f"{what} did not come"
        time.sleep(0.02)


def expire(folder):
    """Move the end of the only lease of a run below a folder to now, as if so much time had passed."""
    (path,) = folder.rglob("scaleout-lease-ends")
    ends = float(path.read_text()) - watchdog.boot_time()
    assert EXPIRES - 90 < ends <= EXPIRES - 10
    (folder / "now").write_text(repr(watchdog.boot_time()))
    os.replace(folder / "now", path)


def begun(project):
    tasks = project.folder / "tasks"
    return len(tasks.read_text().splitlines()) if tasks.exists() else 0


@contextlib.contextmanager
def running(project, port, name="work.yml"):
    """A run that begins a task after the other; yields its process."""
    project.environment.pop("ANSIBLE_CALLBACKS_ENABLED")
    (project.folder / name).write_text((TAKE + BEGIN + WORK).format(port=port, expires=EXPIRES))
    with subprocess.Popen(
        ["ansible-playbook", "-i", str(project.inventory), name],
        cwd=project.folder,
        env=project.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        process_group=0,
    ) as process:
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def test_a_run_that_was_paused_past_its_lease_begins_no_task_and_the_next_says_why(tmp_path, port, consul):
    """A5: paused where it stands, with what it has running; a task may be about to begin."""
    project = Project(tmp_path, hosts=2)
    with running(project, port) as process:
        until(lambda: begun(project) > 1, "the second task")
        assert len(watchers(tmp_path)) == 1
        family = {process.pid: watchdog.started(process.pid)}
        os.killpg(process.pid, signal.SIGSTOP)
        family |= watchdog._descendants(family)
        for pid in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        before = begun(project)
        expire(tmp_path)
        until(lambda: all(watchdog.started(pid) != since for pid, since in family.items()), "the end of the run")
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGCONT)
        time.sleep(0.5)
        assert begun(project) == before
        said = process.communicate(timeout=20)[0]
    assert f"(process {process.pid}), was stopped at " in said
    assert consul.held(lease.KEY)["holder"]["pid"] == process.pid
    assert consul.held("scaleout/scaling/api")["running"]["to"] == 5
    again = project.play((TAKE + FIND).format(port=port, expires=60))
    assert again.status == 0
    assert again.said.count(f"An earlier run, work.yml of {consul.held(lease.KEY)['holder']['user']} on ") == 1
    assert again.said.count("it had not renewed its lease in time, so another may work.") == 1
    journal = consul.held("scaleout/scaling/api")
    assert (journal["running"], journal["history"][0]["outcome"]) == (None, "failed")
    assert "was stopped" not in project.play(TAKE.format(port=port, expires=60)).said


def test_a_run_that_ends_in_time_is_left_alone_and_leaves_no_process(tmp_path, port, consul):
    project = Project(tmp_path, hosts=2)
    give_back = f"""
    - name: Give it back
      scaleout.platform.run_lease: {{consul_port: {port}, state: released}}
      when: lease.expires == {EXPIRES}
    """
    run = project.play(TAKE.format(port=port, expires=EXPIRES) + give_back)
    assert run.status == 0, run.said
    assert consul.kv == {}
    until(lambda: not watchers(tmp_path), "the end of the watchdog")


def watchers(folder):
    """The watchdogs of runs of the account whose home is a folder."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            words = pathlib.Path("/proc", name, "cmdline").read_bytes().split(b"\0")
            if b"-I" in words and any(word.startswith(str(folder).encode()) for word in words):
                found.append(int(name))
    return found


#: A process of its own, as AWX has for a job.
JOB = """
import json, sys, ansible_runner
run = ansible_runner.run(**json.load(sys.stdin), quiet=True)
print(json.dumps([run.status, run.rc, run.stdout.read()]))
"""


def test_below_ansible_runner_only_the_run_is_ended_and_the_output_of_the_job_says_why(tmp_path, port, consul):
    """A5."""
    project = Project(tmp_path / "project", hosts=1)
    (tmp_path / "project/work.yml").write_text((TAKE + WORK).format(port=port, expires=EXPIRES))
    (tmp_path / "inventory").mkdir()
    project.inventory.rename(tmp_path / "inventory/hosts")
    given = {"ANSIBLE_COLLECTIONS_PATH": project.environment.pop("ANSIBLE_COLLECTIONS_PATH")}
    del project.environment["ANSIBLE_CALLBACKS_ENABLED"]
    job = json.dumps({"private_data_dir": str(tmp_path), "playbook": "work.yml", "envvars": given})
    with subprocess.Popen(
        [sys.executable, "-c", JOB],
        env=project.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        process.stdin.write(job)
        process.stdin.close()
        until(lambda: begun(project) > 0, "the first task")
        expire(tmp_path)
        status, code, said = json.loads(process.stdout.read())
    assert (status, code != 0) == ("failed", True)
    assert "was stopped at " in said
    assert watchdog.started(consul.held(lease.KEY)["holder"]["pid"]) is None


@pytest.mark.parametrize("words", [(), ("--check",)])
def test_another_run_is_named_and_a_dry_run_goes_on(tmp_path, port, consul, words):
    """A6."""
    other = dict.fromkeys(lease.FIELDS, "x") | {"run": "other", "user": "ops", "host": "ctl2"}
    lease.take(consul, other, None, time.time())
    run = Project(tmp_path, hosts=1).play(TAKE.format(port=port, expires=EXPIRES), *words)
    assert "Another run changes this platform: x of ops on ctl2 (process x)" in run.said
    assert (run.status == 0) == bool(words)
    assert ("This dry run changes nothing." in run.said) == bool(words)
    assert consul.held(lease.KEY)["holder"] == other
