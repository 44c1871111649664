# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The lab as a tester reaches it: its hosts over SSH, its API over HTTP, its VMs through the engine.

It is the trio, or what SCALEOUT_LAB names. Every command of the tests works on its inventory.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tools.lab.labs import LABS
from tools.lab.paths import LAB, ROOT
from tools.ledger.http import Client
from tools.ledger.judge import Answer

LOGS = LAB / "logs"

#: Which of the labs the tests are about.
CHOSEN = LABS[os.environ.get("SCALEOUT_LAB") or "trio"]
os.environ["ANSIBLE_INVENTORY"] = str(CHOSEN.inventory)
# The control node's timer: an upkeep at midnight would have the lease when a test wants it.
os.environ["LAB_UPKEEP"] = "yearly"

#: For tests that take minutes and add to what a shorter one of the same kind shows: `make end-to-end-long` has them.
long_tier = pytest.mark.long_tier

#: For tests that need hosts with one service each: they run on the lab only.
lab_only = pytest.mark.skipif(CHOSEN.name != "lab", reason="needs hosts with one service: make end-to-end-lab")

#: For tests whose answer cannot depend on the number of hosts: they run on the trio only.
any_size = pytest.mark.skipif(CHOSEN.name == "lab", reason="the same at any size: make end-to-end")

#: What makes it, and what removes it.
UP = (sys.executable, "-m", "tools.lab", "up", CHOSEN.name)
DOWN = (sys.executable, "-m", "tools.lab", "down", CHOSEN.name)

#: The reference API as the lab deploys it.
APP = "reference-api"
PORT = 8000

#: Where the connections to the hosts are kept while the tests run.
_SOCKETS = tempfile.TemporaryDirectory(prefix="lab-")


@functools.cache
def inventory() -> Mapping[str, Any]:
    """The lab's inventory, as Ansible reads it."""
    return json.loads(local("ansible-inventory", "--list"))


def hosts(group: str | None = None) -> list[str]:
    """The names of a group's hosts, or of all."""
    return list(inventory()[group]["hosts"]) if group else list(inventory()["_meta"]["hostvars"])


def variables(host: str) -> Mapping[str, Any]:
    """A host's variables, templates as they stand in the inventory."""
    return inventory()["_meta"]["hostvars"][host]


def address(host: str) -> str:
    """Where a host is."""
    return variables(host)["ansible_host"]


def cluster_of(host: str) -> str:
    """The cluster of a database server."""
    return variables(host)["postgres_cluster"]


def members(cluster: str) -> list[str]:
    """The hosts of a database cluster."""
    return [host for host in hosts("postgres") if cluster_of(host) == cluster]


def shards(host: str) -> list[int]:
    """The ids of the shards that a database server has, as its cluster's leader or as a replica."""
    return variables(host)["postgres_clusters"][cluster_of(host)].get("shards", [])


def patroni(cluster: str) -> dict[str, Mapping[str, Any]]:
    """The members of a database cluster as the first of them sees them whose Patroni answers; empty where none does."""
    for host in members(cluster):
        place = f"http://{address(host)}:8008/cluster"
        ask = f"import urllib.request as r; print(r.urlopen('{place}', timeout=5).read().decode())"
        told = ssh(host, f'python3 -c "{ask}"', check=False)
        if told:
            return {one["name"]: one for one in json.loads(told)["members"]}
    return {}


def leader(cluster: str) -> str:
    """The member that takes the writes; empty where there is none."""
    return next((name for name, one in patroni(cluster).items() if one["role"] == "leader"), "")


def leads(host: str) -> bool:
    """Whether a database server is the one of its cluster that takes writes."""
    return host == leader(cluster_of(host))


def whole(cluster: str) -> bool:
    """Whether one member of a database cluster leads, and all others follow it."""
    seen = patroni(cluster)
    return (
        set(seen) == set(members(cluster))
        and [one["role"] for one in seen.values()].count("leader") == 1
        and all(one["state"] in ("running", "streaming") for one in seen.values())
        and len({one.get("timeline") for one in seen.values()}) == 1
    )


def url() -> str:
    """Where the platform answers: at its first load balancer."""
    return f"http://{address(hosts('loadbalancer')[0])}"


def local(*command: str) -> str:
    """Run a command on this machine and return what it printed."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{shlex.join(command)}: {done.stderr or done.stdout}"
    return done.stdout


def _ssh_options() -> list[str]:
    settings = {
        "BatchMode": "yes",
        "ConnectTimeout": "5",
        "ControlMaster": "auto",
        "ControlPath": f"{_SOCKETS.name}/%h",
        "ControlPersist": "60",
        "IdentityFile": LAB / "id_ed25519",
        "ServerAliveInterval": "2",
        "UserKnownHostsFile": LAB / "known_hosts",
    }
    return [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]


def ssh(host: str, command: str, check: bool = True, told: str = "") -> str:
    """Run a shell command as root on a host, and return what it printed.

    :param check: fail when it does.
    :param told: what it reads, such as a secret.
    """
    done = subprocess.run(
        ["ssh", *_ssh_options(), f"ops@{address(host)}", f"sudo sh -c {shlex.quote(command)}"],
        check=False,
        capture_output=True,
        text=True,
        input=told,
    )
    assert done.returncode == 0 or not check, f"{host}: {command}: {done.stderr or done.stdout}"
    return done.stdout.strip()


def everywhere(command: str, names: Iterable[str] | None = None) -> dict[str, str]:
    """Run a shell command on many hosts at once; returns what each printed."""
    chosen = list(names or hosts())
    with ThreadPoolExecutor(len(chosen)) as pool:
        return dict(zip(chosen, pool.map(lambda host: ssh(host, command), chosen), strict=True))


def sql(host: str, database: str, query: str) -> list[list[str]]:
    """Ask a server's database over SSH, as its superuser; returns rows of text."""
    printed = ssh(host, f"cd / && sudo -u postgres psql -XAtq -d {database} -c {shlex.quote(query)}")
    return [line.split("|") for line in printed.splitlines()]


def ask(method: str, path: str, body: Any = None, base: str | None = None, timeout: float = 15.0, **headers) -> Answer:
    """Send one request; a failure is an answer too.

    :param base: where to, if not through the load balancer.
    :param headers: with underscores for hyphens.
    """
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return asyncio.run(Client(base or url(), timeout).ask(method, path, body, named))


def get(path: str, base: str | None = None, timeout: float = 15.0, **headers) -> Answer:
    """Read something."""
    return ask("GET", path, None, base, timeout, **headers)


def healthy(host: str) -> bool:
    """Whether an API server itself answers in time, asked past the load balancer."""
    return get("/healthz", f"http://{address(host)}:{PORT}", 1.0).status == 200


def listed(service: str = "api") -> str:
    """The upstream that nginx has now."""
    return ssh(hosts("loadbalancer")[0], f"cat /etc/nginx/upstreams/{service}.conf")


def consul_leader() -> str:
    """Return the address and port of the server that leads Consul."""
    ask = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:8500/v1/status/leader').read().decode())"
    return ssh(hosts("consul_server")[0], f'python3 -c "{ask}"')


def listed_since(service: str = "api") -> float:
    """When the upstream became what it is; seconds since 1970, by the clock that the lab shares with this machine."""
    return float(ssh(hosts("loadbalancer")[0], f"stat -c %.Y /etc/nginx/upstreams/{service}.conf"))


def upstream(service: str = "api") -> set[str]:
    """The addresses that nginx sends requests for a service to; one that is listed again as a spare counts once."""
    return set(re.findall(r"server ([0-9.]+):", listed(service)))


def is_listed(host: str, port: int = PORT, service: str = "api") -> bool:
    """Whether nginx sends requests for a service to a host."""
    return f"server {address(host)}:{port} " in listed(service)


def wait_for(condition: Callable[[], bool], seconds: float) -> float | None:
    """Look twice a second; returns the seconds until the condition held, None when it did not in time."""
    begin = time.monotonic()
    while True:
        if condition():
            return time.monotonic() - begin
        if time.monotonic() - begin > seconds:
            return None
        time.sleep(0.5)


def services() -> dict[tuple[str, str], str]:
    """When each running service of each host was started, and each database server by its own account."""
    shown = everywhere(
        "systemctl list-units --type=service --state=running --plain --no-legend | cut -d' ' -f1"
        " | xargs systemctl show -p Id,MainPID,ActiveEnterTimestampMonotonic"
    )
    started = {}
    for host, text in shown.items():
        for block in text.split("\n\n"):
            unit = dict(line.split("=", 1) for line in block.splitlines())
            started[host, unit["Id"]] = f"{unit['MainPID']} at {unit['ActiveEnterTimestampMonotonic']}"
    for host in hosts("postgres"):
        started[host, "postmaster"] = sql(host, "postgres", "SELECT pg_postmaster_start_time()")[0][0]
    return started


def engine(*command: str) -> str:
    """Ask the Docker engine."""
    return local("docker", *command)


def container(host: str) -> str:
    """The container that is a host's VM."""
    return CHOSEN.container(host)
