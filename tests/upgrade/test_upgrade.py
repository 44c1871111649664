# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A platform of release 0.1.0 that serves is taken over by this release's site.yml, as docs/upgrading.md says."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest

from tests.end_to_end import load
from tests.upgrade import releases
from tools.lab import secrets

URL = "http://" + releases.VMS.prefix + "11"
RATE = 20


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


def test_a_second_run_changes_nothing(both):
    _earlier, ours = both
    again = ours.run("site.yml", log="again").succeeded()
    assert not again.changes, "\n".join(map(str, again.changes))
