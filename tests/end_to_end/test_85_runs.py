# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A run among lost hosts, limits, other runs and kills. The ids are those of the field reports: L1, L8, S7."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import time

import pytest

from tests.end_to_end import lab, playbooks


def started(log: str) -> subprocess.Popen:
    """A run of site.yml that goes on by itself."""
    lab.LOGS.mkdir(parents=True, exist_ok=True)
    with (lab.LOGS / f"{log}.log").open("w") as output:
        return subprocess.Popen(
            ["ansible-playbook", "playbooks/site.yml"],
            cwd=lab.ROOT,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, "ANSIBLE_NOCOLOR": "1"},
        )


#: Reads the lease with the token that the server itself has; the token never leaves it.
READ_LEASE = """
import json, urllib.error, urllib.request
tokens = json.load(open("/etc/consul.d/scaleout.json"))["acl"]["tokens"]
token = tokens.get("master") or tokens["initial_management"]
url = "http://127.0.0.1:8500/v1/kv/scaleout/run?raw"
try:
    print(urllib.request.urlopen(urllib.request.Request(url, headers={"X-Consul-Token": token})).read().decode())
except urllib.error.HTTPError as error:
    assert error.code == 404, error
"""


def lease() -> str:
    """What Consul holds under the lease's key; empty without a lease."""
    return lab.ssh(lab.hosts("consul_server")[-1], f"python3 -c {shlex.quote(READ_LEASE)}")


def lost_host() -> str:
    """A host whose loss leaves Consul its quorum, and the platform a load balancer."""
    return lab.hosts()[-1]


@pytest.fixture(scope="module")
def with_one_lost(platform):
    """A run while one host is paused, on a host of which a file was bent."""
    victim = lost_host()
    bent = next(host for host in lab.hosts("loadbalancer") if host != victim)
    lab.ssh(bent, "echo '# bent' >> /etc/nginx/nginx.conf")
    lab.engine("pause", lab.container(victim))
    try:
        assert lab.engine("inspect", "-f", "{{.State.Paused}}", lab.container(victim)).strip() == "true"
        made = playbooks.playbook("site.yml", log="85-one-lost")
    finally:
        lab.engine("unpause", lab.container(victim))
    return victim, bent, made


def test_l1_one_dead_host_stops_no_other(with_one_lost):
    victim, bent, made = with_one_lost
    print(f"\nsite.yml without {victim}: {made.seconds:.0f} s, status {made.status}")
    assert made.status != 0
    assert f"{victim} did not answer" in made.summary, made.failures
    assert "# bent" not in lab.ssh(bent, "cat /etc/nginx/nginx.conf"), "the rest did not converge"
    assert {host for host, counts in made.stats.items() if counts.get("failures")} <= {lab.hosts()[0], bent}
    others = set(lab.hosts()) - {victim}
    assert not [line for line in made.other_failures if any(line.startswith(f"{h}:") for h in others)]


def test_l1_back_again_it_is_brought_up(with_one_lost):
    victim, _bent, _made = with_one_lost
    assert lab.wait_for(lambda: lab.ssh(victim, "true", check=False) == "", 30) is not None
    again = playbooks.playbook("site.yml", log="85-back-again").succeeded()
    assert victim in again.tasks


@pytest.mark.parametrize(
    "pattern", [pytest.param("all", marks=lab.long_tier), pytest.param("first", marks=lab.long_tier), "without"]
)
def test_l8_any_limit_works_and_misses_no_host(platform, pattern):
    hosts = lab.hosts()
    limit = {"all": ":".join(hosts), "first": hosts[0], "without": f"!{lab.hosts('consul_server')[0]}"}[pattern]
    made = playbooks.playbook("site.yml", "--limit", limit, log=f"85-limit-{pattern}").succeeded()
    wanted = {"all": set(hosts), "first": {hosts[0]}, "without": set(hosts) - {lab.hosts("consul_server")[0]}}[pattern]
    assert set(made.tasks) == wanted
    assert not made.changes, "\n".join(map(str, made.changes))


@lab.any_size
def test_tags_are_the_names_of_services(platform):
    made = playbooks.playbook("site.yml", "--tags", "nginx", log="85-tags").succeeded()
    assert not made.changes, "\n".join(map(str, made.changes))
    assert 0 < sum(made.tasks.values()) < 25 * len(lab.hosts())


@lab.any_size
def test_s7_of_two_runs_the_second_names_the_first(platform):
    first = started("85-first")
    try:
        assert lab.wait_for(lambda: f"{first.pid}" in lease(), 60) is not None
        second = playbooks.playbook("site.yml", log="85-second")
        assert first.poll() is None, "the first had ended already: nothing was tried"
    finally:
        status = first.wait(600)
    assert status == 0, (lab.LOGS / "85-first.log").read_text()[-3000:]
    assert second.status != 0
    assert any(
        f"Another run changes this platform: site.yml of {os.environ.get('USER', 'root')} on " in line
        and f"process {first.pid}" in line
        for line in second.failures
    ), second.failures
    assert not second.changes


@lab.any_size
def test_a_run_that_was_killed_is_finished_by_the_next_at_once(platform):
    first = started("85-killed")
    assert lab.wait_for(lambda: f"{first.pid}" in lease(), 60) is not None
    os.killpg(first.pid, signal.SIGKILL)
    first.wait(30)
    assert f"{first.pid}" in lease(), "the lease went with the run: nothing was tried"
    began = time.monotonic()
    playbooks.playbook("site.yml", log="85-after-the-kill").succeeded()
    print(f"\nafter a kill: {time.monotonic() - began:.0f} s")
    assert lease() == ""
