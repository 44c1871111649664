# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What dpkg and apt say of a host's packages, and since when its servers run."""

from __future__ import annotations

import os

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.process import Done
from ansible_collections.scaleout.platform.plugins.module_utils.services.drivers import updates
from ansible_collections.scaleout.platform.plugins.module_utils.services.drivers.unit import UnitState

STATUS = """Package: postgresql-15
Status: install ok installed
Priority: optional
Version: 15.18-0+deb12u1
Description: The World's Most Advanced Open Source Relational Database
 It has a paragraph of its own.
 Version: none

Package: patroni
Status: hold ok installed
Version: 3.0.2-1

Package: pgbouncer
Status: deinstall ok config-files
Version: 1.18.0-1+deb12u1
"""

POLICY = """postgresql-15:
  Installed: 15.18-0+deb12u1
  Candidate: 15.20-0+deb12u1
  Version table:
     15.20-0+deb12u1 500
        500 http://deb.debian.org/debian-security bookworm-security/main amd64 Packages
 *** 15.18-0+deb12u1 500
        500 http://deb.debian.org/debian bookworm/main amd64 Packages
        100 /var/lib/dpkg/status
patroni:
  Installed: 3.0.2-1
  Candidate: 3.0.2-2
  Version table:
     4.1.3-1 -10
        -10 http://deb.debian.org/debian-security bookworm-security/main amd64 Packages
     3.0.2-2 500
        500 http://192.0.2.1/debian bookworm/main amd64 Packages
 *** 3.0.2-1 100
        100 /var/lib/dpkg/status
gone:
  Installed: (none)
  Candidate: (none)
  Version table:
"""


def test_packages_with_which_dpkg_has_not_finished():
    broken = STATUS.replace("hold ok installed", "install ok half-configured")
    assert updates.unfinished(broken) == ["patroni"]
    assert updates.unfinished(STATUS.replace("install ok installed", "install ok triggers-pending")) == []


def test_what_is_installed():
    assert updates.installed(STATUS) == {
        "postgresql-15": updates.Installed("15.18-0+deb12u1", False),
        "patroni": updates.Installed("3.0.2-1", True),
    }


def test_what_is_offered():
    assert updates.offered(POLICY) == {
        "postgresql-15": updates.Offered("15.20-0+deb12u1", True),
        "patroni": updates.Offered("3.0.2-2", False),
    }


@pytest.fixture(name="root")
def _root(tmp_path):
    (tmp_path / "var/lib/dpkg/info").mkdir(parents=True)
    (tmp_path / "var/lib/dpkg/status").write_text(STATUS, encoding="utf-8")
    for name, moment in (("postgresql-15:amd64.list", 200), ("patroni.list", 100)):
        path = tmp_path / "var/lib/dpkg/info" / name
        path.write_text("", encoding="utf-8")
        os.utime(path, (moment, moment))
    for version, pid in (("15", os.getpid()), ("13", 2**22 + 1)):
        folder = tmp_path / "var/lib/postgresql" / version / "main"
        folder.mkdir(parents=True)
        lines = [pid, folder, 1700000000, 5432, "/run/postgresql", "127.0.0.1"]
        (folder / "postmaster.pid").write_text("\n".join(map(str, lines)), encoding="utf-8")
    return tmp_path


def test_a_host(root, monkeypatch):
    asked = []

    def run(argv, *_more):
        asked.append(argv[:2])
        return Done(0, POLICY, "") if argv[0] == "apt-cache" else Done(1 if argv[2] == "3.0.2-2" else 0, "", "")

    monkeypatch.setattr(updates, "run", run)
    monkeypatch.setattr(updates.unit, "states", lambda units: [UnitState(name, since=7.0) for name in units])
    assert updates.read(["postgresql", "patroni"], ["patroni.service"], str(root)) == {
        "packages": [
            # A candidate that is not above what is there, as one that is pinned, is none.
            {
                "name": "patroni",
                "installed": "3.0.2-1",
                "candidate": "3.0.2-1",
                "security": False,
                "held": True,
                "since": 100.0,
            },
            {
                "name": "postgresql-15",
                "installed": "15.18-0+deb12u1",
                "candidate": "15.20-0+deb12u1",
                "security": True,
                "held": False,
                "since": 200.0,
            },
        ],
        "units": {"patroni.service": 7.0},
        # The other one's file was left behind.
        "servers": {"15": 1700000000.0},
    }
    assert asked == [["apt-cache", "policy"], *[["dpkg", "--compare-versions"]] * 2]


def test_a_host_without_any(tmp_path, monkeypatch):
    monkeypatch.setattr(updates, "run", pytest.fail)
    assert updates.read(["postgresql"], [], str(tmp_path)) == {"packages": [], "units": {}, "servers": {}}


def test_an_index_that_apt_cannot_read(root, monkeypatch):
    monkeypatch.setattr(updates, "run", lambda *_args: Done(100, "", "E: The package lists are broken."))
    with pytest.raises(ScaleoutError, match="which packages there are: E: The package lists are broken") as caught:
        updates.read(["patroni"], [], str(root))
    assert caught.value.code == "no_package_index"
