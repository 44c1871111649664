# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Three VMs with one application that counts its requests, a metric store, and two VMs that wait for work."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.end_to_end import playbooks, visitors
from tests.vms import Vms
from tools.lab import secrets
from tools.lab.paths import ROOT

VMS = Vms("scaleout-autoscale", "172.29.92.0/24")
HERE = Path(__file__).parent
SITE = "counter.example"
#: Requests in a second and server above which the pool grows.
THRESHOLD = 12
#: Seconds between two samples. On a machine that is busy a cycle takes longer, and so do all times.
SHORTEST = 15


def policy(interval: int) -> dict[str, Any]:
    """The defaults, with times that are multiples of the interval."""
    rule = {
        "metric": "requests",
        "threshold": THRESHOLD,
        "duration": 2 * interval,
        "up": {"step": 2, "cooldown": interval},
        "down": {"step": 1, "cooldown": 2 * interval},
    }
    return {"interval": interval, "rules": [rule], "alerts": [], "warm_up": 5, "stabilization": 2 * interval}


COUNTER = {
    "group": "web",
    "source": str(HERE / "counter"),
    "command": ["/usr/bin/python3", "serve.py"],
    "port": 9300,
    "health": {"timeout": 30},
    "site": {"server_name": SITE},
    "pool": {"min": 3, "max": 5},
}
HOSTS = ("vm1", "vm2", "vm3")
SPARE = ("spare1", "spare2")
ADDRESSES = {"vm1": 11, "vm2": 12, "vm3": 13, "spare1": 201, "spare2": 202}
PUSHES = {"ANSIBLE_CALLBACKS_ENABLED": "scaleout.platform.push_metrics"}
#: A VM has no other client of HTTP.
_ASK = (
    "python3 -c 'from urllib.request import Request, urlopen; "
    'print(urlopen(Request("http://127.0.0.1:8500/v1/{1}", headers={{"X-Consul-Token": "{0}"}})).read().decode())'
    "'"
)
_LINE = re.compile(r"^\d\d:\d\d:\d\d (web: .*)$", re.MULTILINE)


class Platform:
    """The inventory, and what there is to ask of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.inventory = folder / "inventories/autoscale"
        shutil.copytree(ROOT / "inventories/trio", self.inventory, ignore=shutil.ignore_patterns("secrets.yml"))
        (folder / ".lab").mkdir()
        self.secrets = secrets.make()
        everywhere = self.inventory / "group_vars/all"
        (everywhere / "reference_api.yml").unlink()
        self._write(everywhere / "secrets.yml", self.secrets)
        self.scale_each(SHORTEST)
        self._write(
            everywhere / "main.yml",
            {
                "fleet_name": VMS.fleet,
                "fleet_docker_subnet": VMS.subnet,
                "fleet_docker_memory": "1g",
                "scale_address_range": f"{VMS.prefix}128/26",
            },
        )
        hosts = {name: {"ansible_host": self.address(name)} for name in HOSTS}
        groups = {
            "loadbalancer": ["vm1", "vm2"],
            "consul_server": list(HOSTS),
            "monitoring": ["vm3"],
            "web": list(HOSTS),
        }
        children: dict[str, Any] = {
            group: {"hosts": {name: hosts[name] for name in names}} for group, names in groups.items()
        }
        spare = {name: {"ansible_host": self.address(name), "fleet_provider": "static"} for name in SPARE}
        children["fleet_spare"] = {"hosts": spare}
        children["fleet_idle"] = {"children": {"fleet_spare": {}, "fleet_leaving": {}, "fleet_released": {}}}
        self._write(self.inventory / "hosts.yml", {"all": {"children": children}})
        members = yaml.safe_load((self.inventory / "members.yml").read_text())
        self._write(self.inventory / "members.yml", {**members, "groups": ["web"]})

    def scale_each(self, interval: int) -> None:
        """Have a sample each so many seconds, and all times of the policy as multiples of that."""
        self.interval = interval
        declared = {"counter": {**COUNTER, "scaling": policy(interval)}}
        self._write(self.inventory / "group_vars/all/applications.yml", {"applications": declared})

    @staticmethod
    def _write(path: Path, document: Any) -> None:
        path.write_text(yaml.safe_dump(document, sort_keys=False))

    @staticmethod
    def address(host: str) -> str:
        """Where a VM is."""
        return f"{VMS.prefix}{ADDRESSES[host]}"

    def make_spare(self) -> None:
        """Make the VMs that wait for work."""
        wanted = [{"name": name, "address": self.address(name), "provider": "docker", "memory": "1g"} for name in SPARE]
        role = {"role": "scaleout.platform.fleet", "fleet_state": "present", "fleet_hosts": wanted}
        interpreter = {"ansible_python_interpreter": "{{ ansible_playbook_python }}"}
        play = {"hosts": "localhost", "connection": "local", "vars": interpreter, "roles": [role]}
        self._write(self.folder / "spare.yml", [play])
        self.run(str(self.folder / "spare.yml"), log="spare").succeeded()

    def run(self, playbook: str, *arguments: str, log: str, **environment: str) -> playbooks.Run:
        """Run a playbook on it."""
        named = ["-i", str(self.inventory), *arguments]
        made = playbooks.playbook(playbook, *named, log=f"autoscale-{log}", **environment)
        print(f"\n{playbook.rsplit('/', 1)[-1]} {' '.join(arguments)}: {made.seconds:.0f} s", flush=True)
        return made

    def cycle(self, *arguments: str, log: str = "cycle") -> tuple[playbooks.Run, list[str]]:
        """Run one cycle, and return what it said of the pool."""
        made = self.run("autoscale.yml", *arguments, log=log, **PUSHES)
        lines = _LINE.findall(made.text)
        print("\n".join(f"  {line}" for line in lines), flush=True)
        return made, lines

    def killed_cycle(self, seconds: float, *arguments: str) -> None:
        """Begin a cycle and kill ansible-playbook after some seconds, if it has not ended."""
        command = ["ansible-playbook", "-i", str(self.inventory), "playbooks/autoscale.yml", *arguments]
        log = (playbooks.LOGS / "autoscale-killed.log").open("w")
        with log:
            run = subprocess.Popen(
                command, cwd=ROOT, env={**os.environ, **PUSHES}, stdout=log, stderr=log, start_new_session=True
            )
            try:
                run.wait(seconds)
            except subprocess.TimeoutExpired:
                run.send_signal(signal.SIGKILL)
                run.wait()

    def consul(self, path: str) -> Any:
        """Ask Consul."""
        return json.loads(VMS.ssh(self.address("vm1"), _ASK.format(self.secrets["consul_management_token"], path)))

    def members(self) -> dict[str, str]:
        """The members of the record with their states; those of the inventory before there is one."""
        if "scaleout/members/web" not in self.consul("kv/?keys"):
            return dict.fromkeys(HOSTS, "member")
        record = self.consul("kv/scaleout/members/web?raw")
        return {one["name"]: one["state"] for one in record["members"]}

    def journal(self) -> dict[str, Any]:
        """What is remembered of the pool."""
        return self.consul("kv/scaleout/scaling/web?raw")

    def history(self) -> list[tuple[str, int, int, str]]:
        """The past actions, the oldest first: the direction, the sizes and the outcome."""
        return [(one["direction"], one["from"], one["to"], one["outcome"]) for one in self.journal()["history"]]

    def passing(self) -> set[str]:
        """The servers to which the load balancers send requests, by Consul."""
        return {entry["Node"]["Node"] for entry in self.consul("health/service/counter?passing=1")}


class Traffic:
    """Requests at a rate that can be changed, without a retry, each over a connection of its own."""

    THREADS = 8

    def __init__(self, balancers: list[str]) -> None:
        self.seen = visitors.Seen(SITE)
        self.first: dict[str, float] = {}
        self._balancers = balancers
        self._rate = 2.0
        self._began = 0.0
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(self.THREADS)]

    def __enter__(self) -> Traffic:
        self._began = time.monotonic()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_given: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self.seen.seconds = time.monotonic() - self._began

    def at(self, rate: float) -> float:
        """Send so many requests a second from now on; returns when that was."""
        self._rate = rate
        return time.time()

    def _ask(self, number: int) -> None:
        due = time.monotonic() + number / self.THREADS
        while not self._stop.is_set():
            due += self.THREADS / self._rate
            before = dict(self.seen.told)
            self.seen.ask(self._balancers[number % len(self._balancers)], "GET", "/")
            number += 1
            for name in set(self.seen.told) - set(before):
                self.first.setdefault(name, time.time())
            self._stop.wait(max(0.0, min(due - time.monotonic(), 2.0)))
            due = max(due, time.monotonic() - 1)

    def assert_well(self, title: str) -> None:
        """Tell what came of them: none failed."""
        self.seen.tell(title)
        assert not self.seen.failed


def parts(breach: float, action: Mapping[str, Any], firsts: Collection[float]) -> str:
    """The way from a breach to the first request of a new server, with the sum of its parts."""
    first, last = min(firsts), max(firsts)
    decided, served = action["started"] - breach, first - action["started"]
    return (
        f"breach to decision {decided:.0f} s, decision to the first request served by a new server {served:.0f} s: "
        f"sum {decided + served:.0f} s, and measured {first - breach:.0f} s; the last new one answered after "
        f"{last - breach:.0f} s; the action ended {action['finished'] - action['started']:.0f} s after the decision"
    )
