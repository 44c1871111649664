# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From nothing: a check of hosts that were just created foretells what `make up` then does."""

from __future__ import annotations

import pytest

from tests.end_to_end import lab, playbooks, things


@pytest.fixture(scope="module")
def bare():
    """VMs and nothing on them."""
    lab.local(*lab.DOWN)
    created = playbooks.playbook("fleet.yml", log="10-fleet").succeeded()
    print(f"\nVMs created in {created.seconds:.0f} s")


@pytest.fixture(scope="module")
def foretold(bare):
    return playbooks.playbook("site.yml", "playbooks/control.yml", "--check", "--diff", log="10-check-bare")


@pytest.fixture(scope="module")
def up(bare):
    return playbooks.run(*lab.UP, log="10-up")


@lab.any_size
def test_a_check_of_bare_hosts_fails_nowhere(foretold):
    print(f"\ncheck of bare hosts in {foretold.seconds:.0f} s: {len(foretold.changed)} changes foretold")
    foretold.succeeded()
    assert not [name for name, counts in foretold.stats.items() if counts["failures"] or counts["unreachable"]]


@lab.any_size
def test_the_check_changed_nothing(foretold):
    # dpkg knows names that others recommend as well; only what is installed counts.
    query = "dpkg-query -W -f '${db:Status-Status} ${Package}\\n' nginx consul 'postgresql-1*' 2>/dev/null"
    packages = lab.everywhere(f"{query} | grep ^installed || true")
    assert not any(packages.values()), packages


def test_up(up):
    up.succeeded()
    print("\n".join(["", *up.tail()[-12:]]))
    print(f"`make up` on bare hosts: {up.seconds:.0f} s, {len(up.changed)} changes; tasks by host: {up.tasks}")
    assert lab.get("/users?limit=1").status == 200


@lab.any_size
def test_every_package_file_and_service_was_foretold(foretold, up):
    done = {host: up.things(host) for host in lab.hosts()}
    surprises = {host: sorted(things.surprises(done[host], foretold.things(host))) for host in done}
    for host, names in done.items():
        print(
            f"\n{host}: {len(names)} packages, files and services changed, {len(surprises[host])} not foretold", end=""
        )
    assert all(
        any(name.startswith(kind) for name in done[lab.hosts("loadbalancer")[0]])
        for kind in ("package nginx", "file /etc", "service ")
    )
    assert not any(surprises.values()), surprises
