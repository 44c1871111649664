# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An application of one's own, deployed with nothing but variables; and taken away without a trace."""

from __future__ import annotations

import json
import textwrap

import pytest
import yaml

from tests.end_to_end import lab, playbooks

pytestmark = lab.long_tier

HOSTS = lab.hosts("api")[:2]
BALANCERS = lab.hosts("loadbalancer")
PORT = 9000

SERVER = """
import os
import socket
from wsgiref.simple_server import make_server

GREETING = f"{os.environ['GREETING']} from {socket.gethostname()}, {len(os.environ['KEY'])} secret bytes"


def application(environ, start_response):
    known = {"/healthz": "well", "/": GREETING}
    text = known.get(environ["PATH_INFO"])
    start_response("200 OK" if text else "404 Not Found", [("Content-Type", "text/plain")])
    return [(text or "nothing here").encode()]


make_server("", int(os.environ["PORT"]), application).serve_forever()
"""

#: What a deployed application leaves on a host; the last word of each line is empty when it is not there.
TRACES = """
    systemctl cat hello.service 2>/dev/null | head -1
    id -u hello 2>/dev/null
    ls -d /srv/hello /etc/hello /var/lib/hello 2>/dev/null
    ls /etc/consul.d | grep hello
    ss -Hltn 'sport = :9000'
    grep -r hello /etc/systemd /etc/passwd /etc/group
    true
"""


@pytest.fixture
def site(tmp_path):
    """The playbook that a user would write: roles and variables, no tasks."""
    (tmp_path / "hello").mkdir()
    (tmp_path / "hello/server.py").write_text(textwrap.dedent(SERVER))
    balancer = lab.variables(BALANCERS[0])
    seeds = dict(balancer.get("nginx_seed_servers", {}))
    seeds["hello"] = [f"{lab.address(host)}:{PORT}" for host in HOSTS]

    def play(hosts: str, role: str, **options) -> dict:
        return {
            "name": f"Hello on {hosts}",
            "hosts": hosts,
            "become": True,
            "gather_facts": True,
            "any_errors_fatal": True,
            "roles": [{"role": f"scaleout.platform.{role}", **options}],
        }

    application = {
        "app_name": "hello",
        "app_source": str(tmp_path / "hello"),
        "app_command": ["/usr/bin/python3", "server.py"],
        "app_port": PORT,
        "app_environment": {"GREETING": "Hello"},
        "app_secrets": {"KEY": "sesame"},
    }
    sites = [
        *balancer.get("nginx_sites", []),
        {"name": "hello", "service": "hello", "server_name": "hello.lab", "external": True},
    ]
    names = ":".join(HOSTS)
    served = {"nginx_sites": sites, "nginx_seed_servers": seeds}
    deploy = [play(names, "app", **application), play("loadbalancer", "nginx", **served)]
    remove = [play("loadbalancer", "nginx"), play(names, "app", **application, app_state="absent")]
    for name, plays in (("deploy", deploy), ("remove", remove)):
        (tmp_path / f"{name}.yml").write_text(yaml.safe_dump(plays, sort_keys=False))
    return tmp_path


def greeting() -> str:
    return lab.get("/", Host="hello.lab").body.decode()


def nginx_state() -> dict[str, str]:
    """What each nginx is told, and which upstreams are followed."""
    return lab.everywhere(
        "cat /etc/nginx/nginx.conf; ls /etc/nginx/upstreams; "
        "systemctl list-units --all --plain --no-legend 'nginx-upstream@*' | cut -d' ' -f1",
        BALANCERS,
    )


def test_it_is_deployed_and_answers_and_goes(platform, site):
    before = nginx_state()
    traces_before = lab.everywhere(TRACES, HOSTS)
    deployed = playbooks.playbook(str(site / "deploy.yml"), log="70-deploy").succeeded()
    assert lab.wait_for(lambda: all(lab.is_listed(host, PORT, "hello") for host in HOSTS), 20) is not None
    answers = {greeting() for _unused in range(20)}
    assert answers == {f"Hello from {host}, 6 secret bytes" for host in HOSTS}
    assert lab.get("/users?limit=1").status == 200
    print(f"\ndeployed in {deployed.seconds:.0f} s; {sorted(answers)}")
    assert lab.everywhere(TRACES, HOSTS) != traces_before

    again = playbooks.playbook(str(site / "deploy.yml"), log="70-deploy-again").succeeded()
    assert not again.changes, again.changes

    removed = playbooks.playbook(str(site / "remove.yml"), log="70-remove").succeeded()
    print(f"removed in {removed.seconds:.0f} s")
    assert lab.everywhere(TRACES, HOSTS) == traces_before
    assert nginx_state() == before
    assert "hello" not in services_in_consul()
    assert lab.get("/users?limit=1").status == 200


def services_in_consul() -> list[str]:
    token = yaml.safe_load(lab.CHOSEN.secrets.read_text())["consul_reader_token"]
    answer = lab.ssh(lab.hosts("consul_server")[0], f"python3 -c {json.dumps(_ASK_CONSUL)} {token}")
    return list(json.loads(answer))


_ASK_CONSUL = (
    "import sys, urllib.request as r; print(r.urlopen(r.Request('http://127.0.0.1:8500/v1/catalog/services', "
    "headers={'X-Consul-Token': sys.argv[1]})).read().decode())"
)
