# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""playbooks/collect.yml with a real Redis and a real application; all hosts are this machine, but one is not there."""

from __future__ import annotations

import contextlib
import shutil
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import yaml

from ansible_collections.scaleout.platform.plugins.module_utils.metrics import sample
from ansible_collections.scaleout.platform.plugins.plugin_utils.metric_store import Settings, Store
from tests.unit import redis_server
from tests.unit.plugins.callback.runs import Project
from tests.unit.plugins.plugin_utils.samples import samples_in

HERE = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
AWAY = {"ansible_ssh_common_args": "-o ConnectTimeout=1 -o BatchMode=yes", "ansible_port": 9}


class Metrics(BaseHTTPRequestHandler):
    """An application that has answered 90 requests."""

    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'# TYPE http_requests_total counter\nhttp_requests_total{code="200"} 90\n')

    def log_message(self, *_arguments):
        """Say nothing."""


@pytest.fixture(name="application")
def _application():
    with ThreadingHTTPServer(("127.0.0.1", 0), Metrics) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def inventory(application, store):
    addresses = {"consul1": "192.0.2.1", "shop1": "192.0.2.11", "shop2": "192.0.2.12", "shop3": "127.0.0.1"}
    hosts = {name: {"platform_address": address, **HERE} for name, address in addresses.items()}
    hosts["shop3"] = {"platform_address": "192.0.2.13", "ansible_host": "127.0.0.1", **AWAY}
    variables = {
        "consul_gossip_key": "MDEyMzQ1Njc4OWFiY2RlZg==",
        "consul_management_token": "00000000-0000-4000-8000-000000000001",
        "consul_agent_token": "00000000-0000-4000-8000-000000000002",
        "consul_reader_token": "00000000-0000-4000-8000-000000000003",
        "redis_password": redis_server.PASSWORD,
        "applications": {
            "shop": {"group": "shop", "port": application, "source": "shop", "command": ["./serve"]},
        },
        "push_metrics_store_host": "127.0.0.1",
        "push_metrics_store_port": store,
        "push_metrics_store_password": "{{ redis_password }}",
    }
    groups = {"consul_server": ["consul1"], "shop": ["shop1", "shop2", "shop3"]}
    children = {group: {"hosts": {name: hosts[name] for name in names}} for group, names in groups.items()}
    return {"all": {"vars": variables, "children": children}}


def test_it_samples_the_pools_and_passes_over_a_host_that_is_not_there(tmp_path, application):
    with redis_server.running(tmp_path / "redis") as port:
        project = Project(tmp_path / "project")
        del project.environment["SCALEOUT_STORE_PASSWORD"]
        project.inventory = tmp_path / "project/hosts.yml"
        project.inventory.write_text(yaml.safe_dump(inventory(application, port)))
        shutil.copy(redis_server.ROOT / "playbooks/collect.yml", tmp_path)
        run = project.play((tmp_path / "collect.yml").read_text(), "-v")
        assert run.status == 0, run.said
        assert run.warnings == []
        assert "changed=0" in run.said
        with contextlib.closing(Store(Settings("127.0.0.1", port, password=redis_server.PASSWORD))) as store:
            found = samples_in(store, "shop", time.time() - 60, time.time())[0]
            (told,) = store.runs()
    assert sorted(one["instance"] for one in found) == ["shop1", "shop2"]
    assert [sample.parse(one).application.requests for one in found] == [90, 90]
    assert [one["host"] for one in told["failures"]] == ["shop3"]
