# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From nothing: a check of hosts that were just created foretells what `make up` then does."""

from __future__ import annotations

import pytest

from tests.end_to_end import lab, playbooks

#: What puts packages, files and services on a host. What other modules do can depend on what only a live host knows.
FORESEEABLE = {
    "ansible.builtin.apt",
    "ansible.builtin.copy",
    "ansible.builtin.deb822_repository",
    "ansible.builtin.file",
    "ansible.builtin.group",
    "ansible.builtin.lineinfile",
    "ansible.builtin.service",
    "ansible.builtin.systemd_service",
    "ansible.builtin.template",
    "ansible.builtin.user",
    "ansible.posix.sysctl",
    "community.general.ini_file",
    "scaleout.platform.release",
}


@pytest.fixture(scope="module")
def bare():
    """VMs and nothing on them."""
    lab.local("make", "down")
    created = playbooks.playbook("fleet.yml", log="10-fleet").succeeded()
    print(f"\nVMs created in {created.seconds:.0f} s")


@pytest.fixture(scope="module")
def foretold(bare):
    return playbooks.playbook("site.yml", "--check", "--diff", log="10-check-bare")


@pytest.fixture(scope="module")
def up(foretold):
    return playbooks.run("make", "up", log="10-up")


def test_a_check_of_bare_hosts_fails_nowhere(foretold):
    print(f"\ncheck of bare hosts in {foretold.seconds:.0f} s: {len(foretold.changed)} changes foretold")
    foretold.succeeded()
    assert not [name for name, counts in foretold.stats.items() if counts["failures"] or counts["unreachable"]]


def test_the_check_changed_nothing(foretold):
    packages = lab.everywhere("dpkg-query -W -f '${Package} ' nginx consul 'postgresql-1*' 2>/dev/null || true")
    assert not any(packages.values()), packages


def test_up(up):
    up.succeeded()
    print("\n".join(["", *up.tail()[-12:]]))
    print(f"`make up` on bare hosts: {up.seconds:.0f} s, {len(up.changed)} changes; tasks by host: {up.tasks}")
    assert lab.get("/users?limit=1").status == 200


def test_every_package_file_and_service_was_foretold(foretold, up):
    done = {change for change in up.changed if change.action in FORESEEABLE}
    surprises = sorted(done - foretold.changed)
    print(f"\n{len(done)} tasks changed packages, files and services; foretold: {len(done) - len(surprises)}")
    assert done
    assert not surprises, "\n".join(map(str, surprises))
