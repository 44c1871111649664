# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The callback in real runs, with a real Redis and with what is none."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import socket
import socketserver
import subprocess
import sys
import threading
import time
import zlib

import pytest
import redis

from ansible_collections.scaleout.platform.plugins.plugin_utils.metric_store import Store
from tests.unit import redis_server
from tests.unit.plugins.callback.runs import COLLECT, Project
from tests.unit.plugins.plugin_utils.samples import samples_in

SECRET = "s3same-0pen"  # in no other text of these tests


@pytest.fixture(name="stored")
def _stored(store_settings):
    """What is in the store, which is empty before."""
    with contextlib.closing(Store(store_settings)) as store:
        yield store


def instances(store, service="shop"):
    return sorted(one["instance"] for one in samples_in(store, service, time.time() - 600, time.time())[0])


def everything(port):
    """All that lies in the store, unpacked, as one text."""
    with redis.Redis(port=port, password=redis_server.PASSWORD) as client:
        entries = [entry for key in client.scan_iter() for entry in client.xrange(key)]
    return "".join(zlib.decompress(fields[b"z"]).decode() for _id, fields in entries)


def test_samples_timings_and_failures_of_a_run(tmp_path, port, stored):
    """Items of loops, handlers, loops of includes; what failed, was ignored and was rescued."""
    project = Project(tmp_path, port)
    (tmp_path / "more.yml").write_text("- name: Once more\n  take_sample: {suffix: '-include{{ number }}'}\n")
    run = project.play("""
        - name: Collect
          hosts: all
          gather_facts: false
          handlers:
            - name: By a handler
              take_sample: {suffix: -handler}
          tasks:
            - name: Take a sample of {{ inventory_hostname }}
              take_sample:
              notify: By a handler
              changed_when: true
            - name: By items
              take_sample: {suffix: "-item{{ item }}", fail: "{{ '' if item < 2 else 'no' }}"}
              loop: [1, 2]
              ignore_errors: true
            - name: By includes
              ansible.builtin.include_tasks: more.yml
              loop: [1, 2]
              loop_control: {loop_var: number}
            - name: Of another service
              take_sample: {service: worker}
            - block:
                - take_sample: {fail: "no", code: bad_port}
              rescue:
                - ansible.builtin.debug: {msg: rescued}
            - ansible.builtin.assert: {that: inventory_hostname == 'shop1'}
        """)
    assert run.warnings == []
    assert run.status == 2
    each = ["", "-handler", "-include1", "-include2", "-item1", "-item2"]
    # The handler of a host that failed before does not run.
    wanted = {f"{host}{suffix}" for host in ("shop1", "shop2") for suffix in each} - {"shop2-handler"}
    assert set(instances(stored)) == wanted
    assert instances(stored, "worker") == ["shop1", "shop2"]
    (told,) = stored.runs()
    assert re.fullmatch("[0-9a-f]{32}", told["run"])
    assert (told["playbook"], told["hosts"], told["failed"]) == ("collect.yml", 2, 5)
    assert 0 < told["hook_seconds"] < told["seconds"] < run.seconds
    tasks = {task.get("name", task["action"]): task for task in told["tasks"]}
    assert tasks["Take a sample of {{ inventory_hostname }}"]["results"] == 2
    assert tasks["Once more"]["results"] == 4
    assert tasks["By a handler"]["results"] == 1
    assert all(task["seconds"] >= task["longest"] >= 0 for task in told["tasks"])
    assert sorted((one["kind"], one.get("code", ""), one["host"]) for one in told["failures"]) == [
        ("failed", "", "shop2"),
        ("failed", "bad_port", "shop1"),
        ("failed", "bad_port", "shop2"),
        ("ignored", "", "shop1"),
        ("ignored", "", "shop2"),
    ]
    assert all(re.fullmatch(r".*/collect\.yml:\d+", one["where"]) for one in told["failures"])


def test_nothing_of_no_log_leaves(tmp_path, port, stored):
    """Neither in samples nor in names, messages, items, codes or exceptions; and what fails in a hook says nothing."""
    project = Project(tmp_path, port)
    run = project.play(
        f"""
        - name: Collect
          hosts: all
          gather_facts: false
          vars: {{secret: {SECRET}, push_metrics_store_user: "{{{{ secret | nothing }}}}"}}
          tasks:
            - name: Take a sample
              take_sample:
            - name: Hide {{{{ secret }}}}
              take_sample: {{suffix: "-{{{{ secret }}}}", note: "{{{{ secret }}}}"}}
              no_log: true
            - name: Hide items of {{{{ secret }}}}
              take_sample: {{suffix: "-{{{{ secret }}}}", fail: "{{{{ secret }}}}", code: "{SECRET.replace("-", "_")}"}}
              loop: ["{{{{ secret }}}}", 2]
              no_log: true
              ignore_errors: true
            - name: Hide by a variable {{{{ secret }}}}
              take_sample: {{suffix: "-{{{{ secret }}}}", fail: "{{{{ secret }}}}", code: s_sesame}}
              no_log: "{{{{ 1 == 1 }}}}"
              ignore_errors: true
            - name: An exception of {{{{ secret }}}}
              ansible.builtin.set_fact: {{a: "{{{{ secret | int(default=nowhere) / 0 }}}}"}}
              no_log: true
              ignore_errors: true
            - name: Seen by anyone, {{{{ secret }}}}
              ansible.builtin.debug: {{msg: "{{{{ secret }}}}"}}
        """,
        "-vvv",
    )
    assert len(run.warnings) == 1
    assert "v2_playbook_on_stats met a" in run.warnings[0]
    assert SECRET not in run.warnings[0]
    assert everything(port) == ""
    run = project.play((tmp_path / "collect.yml").read_text().replace("secret | nothing", "secret and ''"))
    assert run.warnings == []
    assert instances(stored) == ["shop1", "shop2"]
    found = everything(port)
    assert SECRET not in found
    assert SECRET.replace("-", "_") not in found
    assert "s_sesame" not in found
    assert "Hide" not in found
    assert "Seen by anyone, {{ secret }}" in found


def test_the_free_strategy_many_forks_and_other_callbacks(tmp_path, port, stored):
    project = Project(tmp_path, port, hosts=12)
    run = project.play(
        COLLECT.replace("gather_facts", "strategy: free\n  gather_facts")
        + "    - name: Wait\n      wait_for: {timeout: 0}\n",
        "--forks=12",
        ANSIBLE_CALLBACKS_ENABLED="ansible.posix.profile_tasks, scaleout.platform.push_metrics, ansible.posix.timer",
    )
    assert (run.status, run.warnings) == (0, [])
    assert len(instances(stored)) == 12
    assert {task["results"] for task in stored.runs()[0]["tasks"]} == {12}
    assert "Playbook run took" in run.said
    assert re.search(r"Take a sample -+ \d", run.said)


#: A process of its own, as AWX has for a job.
JOB = """
import json, sys, ansible_runner
run = ansible_runner.run(**json.load(sys.stdin), quiet=True)
tasks = [one["event_data"] for one in run.events if one["event"] == "runner_on_ok"]
print(json.dumps([run.status, run.stdout.read(), [one["res"]["sample"]["instance"] for one in tasks]]))
"""


def test_beside_the_callback_of_awx_under_ansible_runner(tmp_path, port, stored):
    """A job's layout: the project has its own ansible.cfg, and the credential gives the environment."""
    project = Project(tmp_path / "project", port)
    (tmp_path / "project/ansible.cfg").write_text("[defaults]\ncallbacks_enabled = scaleout.platform.push_metrics\n")
    (tmp_path / "project/collect.yml").write_text(COLLECT)
    (tmp_path / "inventory").mkdir()
    project.inventory.rename(tmp_path / "inventory/hosts")
    names = ("SCALEOUT_STORE_HOST", "SCALEOUT_STORE_PORT", "SCALEOUT_STORE_PASSWORD", "ANSIBLE_COLLECTIONS_PATH")
    given = {name: project.environment.pop(name) for name in names}
    del project.environment["ANSIBLE_CALLBACKS_ENABLED"]
    job = {"private_data_dir": str(tmp_path), "playbook": "collect.yml", "envvars": given}
    done = subprocess.run(
        [sys.executable, "-c", JOB],
        input=json.dumps(job),
        env=project.environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    status, said, events = json.loads(done.stdout)
    assert status == "successful", said
    assert "WARNING" not in said
    # AWX's own events are whole.
    assert sorted(events) == ["shop1", "shop2"]
    assert instances(stored) == ["shop1", "shop2"]


def test_two_playbooks_of_one_run_and_check_mode(tmp_path, port, stored):
    project = Project(tmp_path, port)
    (tmp_path / "second.yml").write_text(COLLECT.replace("take_sample:", "take_sample: {service: worker}"))
    run = project.play(COLLECT, "second.yml")
    assert (run.status, run.warnings) == (0, [])
    assert (instances(stored), instances(stored, "worker")) == (["shop1", "shop2"], ["shop1", "shop2"])
    assert [one["playbook"] for one in stored.runs()] == ["second.yml", "collect.yml"]
    project.play(COLLECT, "--check")
    assert len(stored.runs()) == 2


def test_options_from_variables_and_from_ansible_cfg(tmp_path, port, stored):
    """A variable may be a template of a vaulted one, of the group of the host; it counts before the others."""
    project = Project(tmp_path)
    del project.environment["SCALEOUT_STORE_PASSWORD"]
    (tmp_path / "ansible.cfg").write_text(
        "[defaults]\ncallbacks_enabled = scaleout.platform.push_metrics\n"
        "[push_metrics]\nstore_host = 127.0.0.1\nstore_port = 1\n"
    )
    del project.environment["ANSIBLE_CALLBACKS_ENABLED"]
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "group_vars/shop.yml").write_text(
        json.dumps(
            {
                "redis_password": redis_server.PASSWORD,
                "push_metrics_store_password": "{{ redis_password }}",
                "push_metrics_store_port": f"{{{{ {port} + 0 }}}}",
                "push_metrics_store_host": "{{ hostvars[groups.shop[0]].address }}",
                "address": "127.0.0.1",
            }
        )
    )
    run = project.play(COLLECT)
    assert (run.status, run.warnings) == (0, [])
    assert instances(stored) == ["shop1", "shop2"]


@contextlib.contextmanager
def answering(answer, step):
    """A server that answers anything with these bytes, so many at a time."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            with contextlib.suppress(OSError):
                while self.request.recv(65536):
                    for begin in range(0, len(answer), step):
                        self.request.sendall(answer[begin : begin + step])
                        time.sleep(0.2)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def closed():
    return contextlib.nullcontext(redis_server.free_port())


@contextlib.contextmanager
def silent():
    """A port that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@contextlib.contextmanager
def deaf():
    """A port that takes no connection, and does not refuse it either: its queue is full."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server, contextlib.ExitStack() as stack:
        for _client in range(3):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(server.getsockname())
        yield server.getsockname()[1]


STORES = {
    "dead": (closed, "[unreachable]", "Connection refused", 0.5),
    "silent": (silent, "[unreachable]", "no answer within 1.8 s", 2.6),
    "deaf": (deaf, "[unreachable]", "no answer within 1.8 s", 2.6),
    "garbage": (lambda: answering(b"HTTP/1.1 400\r\n\r\n", 99), "[stranger]", "what answers is not Redis", 2.6),
    "one byte in 0.2 s": (lambda: answering(b"$9000\r\n" + b"x" * 9000, 1), "[timeout]", "took longer than 2 s", 2.6),
}


@pytest.mark.parametrize("kind", STORES)
def test_a_store_that_is_not_well_costs_two_seconds_once_and_one_warning(tmp_path, kind):
    """Two playbooks in one run: the second does not ask again."""
    make, code, reason, most = STORES[kind]
    with make() as port:
        project = Project(tmp_path, port)
        shutil.copytree(tmp_path / "action_plugins", tmp_path / "more/action_plugins")
        (tmp_path / "more/second.yml").write_text(COLLECT)
        run = project.play(COLLECT, "more/second.yml", "-v")
    assert run.status == 0
    (warning,) = run.warnings
    assert code in warning
    assert reason in warning
    spent = [float(one) for one in re.findall(r"push_metrics: ([\d.]+) s in hooks", run.said)]
    assert len(spent) == 2
    # What it says is what all hooks took so far. The library takes some time to load as well.
    assert spent[1] < most + 1
    assert spent[1] - spent[0] < 0.3


def test_a_store_that_refuses(tmp_path, port, stored):
    run = Project(tmp_path, port).play(COLLECT, SCALEOUT_STORE_PASSWORD=SECRET)
    assert run.status == 0
    assert run.warnings == [
        f"[denied] Cannot reach the metric store at 127.0.0.1:{port}: it refuses the login (NOAUTH)."
    ]
    assert instances(stored) == []


def test_a_callback_that_is_enabled_and_knows_no_store_says_so(tmp_path):
    run = Project(tmp_path).play(COLLECT)
    assert (run.status, run.warnings) == (0, ["[invalid_input] store_host is not set, so nothing is pushed."])


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"push_metrics_store_port": SECRET}, "push_metrics: 'push_metrics_store_port' has a value that cannot be"),
        ({"push_metrics_store_timeout": 0}, "store_timeout: 0.0 is not a number of seconds above 0"),
    ],
)
def test_an_option_that_cannot_be_is_named(tmp_path, port, variables, says):
    # Of those on the command line ansible-core itself judges the types since 2.21, before it loads a callback.
    run = Project(tmp_path, port).play(COLLECT.replace("  tasks:", f"  vars: {json.dumps(variables)}\n  tasks:"))
    assert run.status == 0
    (warning,) = run.warnings
    assert warning.startswith(f"[invalid_input] {says}")
    assert SECRET not in warning


def test_what_is_no_sample_is_counted_and_breaks_nothing(tmp_path, port, stored):
    run = Project(tmp_path, port).play(
        COLLECT + "    - debug: var=sample\n      vars: {sample: {cpu: 5}}\n    - debug: var=sample\n"
    )
    assert run.status == 0
    assert len(run.warnings) == 1
    assert "[bad_sample] 4 results held something else than a sample" in run.warnings[0]
    assert instances(stored) == ["shop1", "shop2"]
