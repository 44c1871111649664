# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A platform of release 0.1.0 that serves is taken over by this release's site.yml, as docs/upgrading.md says."""

from __future__ import annotations

import itertools
import json
from collections import Counter

import pytest

from tests.end_to_end import lab, load
from tests.upgrade import releases
from tools.lab import secrets

URL = "http://" + releases.VMS.prefix + "11"
RATE = 20
#: Where the database servers are.
PG1, PG1R, ANALYTICS = (releases.VMS.prefix + number for number in ("31", "32", "22"))


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """The two releases, on a platform that the earlier one made."""
    folder = tmp_path_factory.mktemp("upgrade")
    # The secrets of a lab have the same names in both.
    made = secrets.make()
    earlier, ours = releases.earlier(folder / "earlier", made), releases.ours(folder / "ours", made)
    with releases.VMS.for_a_while():
        earlier.run("fleet.yml", log="vms").succeeded()
        earlier.run("site.yml", log="earlier").succeeded()
        yield earlier, ours


def seen_at(address: str) -> dict[str, tuple[str, str]]:
    """The members of a server's cluster as its Patroni sees them: of each the role and the state."""
    place = f"http://{address}:8008/cluster"
    ask = f"import urllib.request as r; print(r.urlopen('{place}', timeout=5).read().decode())"
    told = json.loads(releases.VMS.ssh(address, f'python3 -c "{ask}"'))
    return {one["name"]: (one["role"], one["state"]) for one in told["members"]}


def leader(address: str) -> str:
    return next((name for name, (role, _state) in seen_at(address).items() if role == "leader"), "")


def identity(address: str) -> str:
    """What tells a server's data from any other's."""
    query = "SELECT system_identifier FROM pg_control_system()"
    return releases.VMS.ssh(address, f'cd / && sudo -u postgres psql -XAtc "{query}"')


def test_an_inventory_of_0_1_0_is_refused_and_told_what_replaces_its_variables(both):
    earlier, ours = both
    old = releases.Release(ours.folder, earlier.inventory, "hosts-0.1.0.yml")
    refused = old.run("preflight.yml", log="old-inventory")
    assert refused.status != 0
    (told,) = refused.failures
    print(told)
    assert "postgres_clusters" in told
    assert not refused.changes


def test_it_is_taken_over_under_load(both):
    _earlier, ours = both
    before = [identity(address) for address in (PG1, PG1R, ANALYTICS)]
    with load.ledger("upgrade", longest=1800, url=URL, rate=RATE) as ledger:
        taken = ours.run("site.yml", log="ours")
        told = ledger.report()
    load.tell("release 0.1.0 taken over", told)
    counted = Counter(change.task.split(" : ")[0] for change in taken.changed)
    print(f"changes by role: {dict(counted)}")
    for host, changes in itertools.groupby(sorted(taken.changed), lambda change: change.host):
        print(f"  {host}: " + "; ".join(change.task for change in changes))
    taken.succeeded()
    load.assert_right(told)
    assert [identity(address) for address in (PG1, PG1R, ANALYTICS)] == before, "other data"


def test_patroni_runs_the_databases_from_then_on(both):
    states = {"running", "streaming"}
    assert lab.wait_for(lambda: {state for _role, state in seen_at(PG1).values()} == states, 30) is not None
    assert leader(PG1) == "pg1"
    assert seen_at(PG1).keys() == {"pg1", "pg1r"}
    assert seen_at(ANALYTICS) == {"api2": ("leader", "running")}
    for address in (PG1, PG1R, ANALYTICS):
        shown = releases.VMS.ssh(address, "systemctl is-active patroni; systemctl is-enabled patroni")
        assert shown.split() == ["active", "enabled"]
        # Else the next boot would have two that start the server.
        started = releases.VMS.ssh(address, "cat /etc/postgresql/*/main/start.conf")
        assert started == "disabled"


def test_a_second_run_changes_nothing(both):
    _earlier, ours = both
    again = ours.run("site.yml", log="again").succeeded()
    assert not again.changes, "\n".join(map(str, again.changes))


def test_its_databases_fail_over(both):
    releases.VMS.ssh(PG1, "systemctl stop patroni")
    try:
        took = lab.wait_for(lambda: leader(PG1R) == "pg1r", 30)
    finally:
        releases.VMS.ssh(PG1, "systemctl start patroni")
    assert took is not None, "the former standby does not lead"
    follows = {"pg1r": ("leader", "running"), "pg1": ("sync_standby", "streaming")}
    assert lab.wait_for(lambda: seen_at(PG1R) == follows, 60) is not None, seen_at(PG1R)
