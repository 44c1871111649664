# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One drift for each role: a check finds exactly those, a run repairs them, and the rest of the lab is left alone."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import pytest

from tests.end_to_end import lab, playbooks

pytestmark = lab.any_size


@dataclass(frozen=True)
class Drift:
    """What was changed by hand.

    :param look: shows the state that the drift changes.
    :param tasks: which find it.
    """

    host: str
    plant: str
    look: str
    tasks: frozenset[str]


def _psql(query: str) -> str:
    return f'cd / && sudo -u postgres psql -XAtq -c "{query}"'


#: As an operator would, past the inventory; then until it is in force.
TUNE = """
patronictl -c /etc/patroni/scaleout edit-config --quiet --force -p random_page_cost=3 {cluster} &&
for _ in $(seq 40); do [ "$({look})" != 3 ] || exit 0; sleep 0.5; done; exit 1
"""

API = lab.hosts("api")
#: The cluster of the first database server.
CLUSTER = lab.cluster_of(lab.hosts("postgres")[0])
BASE = "Limit the size of the systemd journal, and keep services from being restarted by night"


@functools.cache
def drifts() -> dict[str, Drift]:
    """Return one for each role; that of PostgreSQL is repaired where its leader is."""
    cost = _psql("SHOW random_page_cost")
    return {
        "base": Drift(
            lab.hosts("consul_server")[0],
            "sed -i 's/^SystemMaxUse.*/SystemMaxUse=42M/' /etc/systemd/journald.conf.d/60-scaleout.conf",
            "grep SystemMaxUse /etc/systemd/journald.conf.d/60-scaleout.conf",
            frozenset({f"base : {BASE}"}),
        ),
        "consul": Drift(
            API[0],
            "echo >> /etc/consul.d/scaleout.json",
            "sha256sum < /etc/consul.d/scaleout.json",
            frozenset({"consul : Run Consul with its configuration"}),
        ),
        "postgres": Drift(
            lab.leader(CLUSTER),
            TUNE.format(cluster=CLUSTER, look=cost),
            cost,
            frozenset({"postgres : Change the settings"}),
        ),
        "nginx": Drift(
            lab.hosts("loadbalancer")[0],
            "sed -i 's/least_conn/ip_hash/; $ a # by hand' /etc/nginx/nginx.conf",
            "sha256sum < /etc/nginx/nginx.conf",
            frozenset({"nginx : Run nginx with its configuration"}),
        ),
        "app": Drift(
            API[1],
            f"echo BY_HAND=1 >> /etc/{lab.APP}/environment",
            f"cat /etc/{lab.APP}/environment",
            frozenset({"app : Unpack the release, and read the application's state"}),
        ),
        "reference_api": Drift(
            API[2],
            f"echo '# by hand' >> /srv/{lab.APP}/current/reference_api/app.py",
            f"sha256sum < /srv/{lab.APP}/current/reference_api/app.py",
            frozenset({"app : Unpack the release, and read the application's state"}),
        ),
    }


def look() -> dict[str, str]:
    """Everything that is about to drift, as it is."""
    return {role: lab.ssh(drift.host, drift.look) for role, drift in drifts().items()}


@pytest.fixture(scope="module")
def before():
    return look()


@pytest.fixture(scope="module")
def planted(platform, before):
    for drift in drifts().values():
        lab.ssh(drift.host, drift.plant)
    now = look()
    assert not [role for role in drifts() if now[role] == before[role]], "a drift was not planted"
    return now


def found(run: playbooks.Run) -> set[tuple[str, str]]:
    return {(change.host, change.task) for change in run.changed}


def test_a_check_finds_exactly_what_drifted(planted):
    check = playbooks.playbook("site.yml", "--check", "--diff", log="40-check-drift").succeeded()
    print(f"\ncheck in {check.seconds:.0f} s:")
    print("\n".join(f"  {change}" for change in sorted(check.changed)))
    assert found(check) == {(drift.host, task) for drift in drifts().values() for task in drift.tasks}
    assert look() == planted, "a check changed something"


def test_a_run_repairs_it(planted, before):
    repaired = playbooks.playbook("site.yml", log="40-repair").succeeded()
    print(f"\nrepaired in {repaired.seconds:.0f} s:")
    print("\n".join(f"  {change}" for change in sorted(repaired.changed)))
    assert look() == before
    assert {change.host for change in repaired.changed} == {drift.host for drift in drifts().values()}
    assert lab.get("/users?limit=1").status == 200
