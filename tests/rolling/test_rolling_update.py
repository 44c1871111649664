# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Rolling updates under load on a trio: a sound release, and each way in which one can be broken, for a folder and for
an image; a failure on the second host; a run that is killed; and the way back. The tests follow each other."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator

import pytest

from tests.end_to_end import lab, visitors
from tests.rolling import platform

NAMES = ("shop", "till")


@pytest.fixture(scope="module")
def trio(tmp_path_factory):
    """The trio with the reference API and both applications."""
    made = platform.Trio(tmp_path_factory.mktemp("rolling"))
    with platform.VMS.for_a_while():
        made.run("fleet.yml", log="vms").succeeded()
        made.fetch_busybox()
        for name in NAMES:
            made.declare(name, "first")
        made.run("site.yml", log="site").succeeded()
        yield made


@contextlib.contextmanager
def visited(trio: platform.Trio, title: str, *names: str) -> Iterator[None]:
    """Visitors during the block; what they saw is printed, and none of their requests may have failed."""
    seen = [visitors.Seen(f"{name}.example") for name in names]

    def visit(one: visitors.Seen, number: int) -> None:
        one.ask(trio.balancers[number % len(trio.balancers)], "GET", "/")

    with visitors.visiting(*((one, visit) for one in seen)):
        yield
    for one in seen:
        one.tell(title)
        assert one.asked
        assert not one.failed


def editions(trio: platform.Trio, name: str) -> set[str]:
    """What the servers of an application say they are, each asked through each load balancer several times."""
    found = set()
    for number in range(12):
        _status, _told, answer = visitors.ask(trio.balancers[number % 3], f"{name}.example", "GET", "/")
        found.add(answer if isinstance(answer, str) else answer["edition"])
    return {text.split('"')[3] if text.startswith("{") else text for text in found}


def update(trio: platform.Trio, name: str, log: str, *more: str, as_json: bool = True):
    return trio.run(
        "rolling_update.yml", "-e", f"application={name}", *platform.TIMES, *more, log=f"{name}-{log}", as_json=as_json
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_sound_release_replaces_all(trio, name):
    trio.declare(name, "second")
    before = trio.current(name)
    shown = update(trio, name, "check", "--check", as_json=False).succeeded()
    told = " ".join(shown.text.split())
    for number, host in enumerate(platform.HOSTS, 1):
        assert f"{number}. {host} {before[0]} -> " in told, told
    assert trio.current(name) == before
    assert editions(trio, name) == {"first"}
    with visited(trio, f"{name}: a rolling update", *NAMES):
        update(trio, name, "second").succeeded()
    assert editions(trio, name) == {"second"}
    assert len({*trio.current(name)} - {*before}) == 1
    assert trio.unconfirmed(name) == []


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mode", platform.BROKEN)
def test_a_broken_release_is_stopped_at_the_first_server(trio, name, mode):
    trio.declare(name, mode)
    before = trio.current(name)
    with visited(trio, f"{name}, which {mode}", name):
        broken = update(trio, name, mode.replace(" ", "-"))
    assert broken.status != 0
    assert f"{name} on vm1: release" in broken.summary
    assert not [line for line in broken.failures if "on vm2" in line or "on vm3" in line]
    assert trio.current(name) == before
    assert trio.unconfirmed(name) == []
    assert editions(trio, name) == {"second"}
    trio.declare(name, "second")


@pytest.mark.parametrize("name", NAMES)
def test_site_yml_stops_at_the_first_server_too(trio, name):
    trio.declare(name, "leaks")
    before = trio.current(name)
    with visited(trio, f"{name}, which leaks, by site.yml", name):
        broken = trio.run("site.yml", "--tags", "app", log=f"{name}-leaks-by-site")
    assert broken.status != 0
    assert [line for line in broken.failures if f"{name} on vm1: release" in line]
    assert trio.current(name) == before
    assert editions(trio, name) == {"second"}
    trio.declare(name, "second")


def test_a_failure_on_the_second_server_takes_both_back(trio):
    trio.declare("shop", "answers 500 on vm2")
    before = trio.current("shop")
    with visited(trio, "shop, which fails on the second server", "shop"):
        broken = update(trio, "shop", "second-host")
    assert broken.status != 0
    assert "vm2 failed: shop on vm2: release" in broken.summary
    done = [
        change for change in broken.changes if change.task.endswith("Put back what was in force before, and run it")
    ]
    assert [change.host for change in done] == ["vm2", "vm1"]
    assert trio.current("shop") == before
    assert trio.unconfirmed("shop") == []
    assert editions(trio, "shop") == {"second"}


@pytest.mark.parametrize("finished_by", ["rolling_update.yml", "site.yml"])
def test_a_run_that_was_killed_is_finished_by_the_next(trio, finished_by):
    edition = f"after a kill, by {finished_by}"
    trio.declare("shop", edition)
    with visited(trio, edition, "shop"):
        killed = trio.start("rolling_update.yml", "-e", "application=shop", *platform.TIMES)
        assert lab.wait_for(lambda: bool(trio.unconfirmed("shop")), 120) is not None
        os.killpg(killed.pid, signal.SIGKILL)
        killed.wait(30)
        assert len(trio.unconfirmed("shop")) < 3, "it was killed too late: nothing was tried"
        if finished_by == "site.yml":
            trio.run("site.yml", "--tags", "app", log="shop-after-the-kill").succeeded()
        else:
            update(trio, "shop", "after-the-kill").succeeded()
    assert editions(trio, "shop") == {edition}
    assert trio.unconfirmed("shop") == []


@pytest.mark.parametrize("name", NAMES)
def test_the_way_back_and_a_release_that_is_not_there(trio, name):
    (now,) = {*trio.current(name)}
    (before,) = {trio.ssh(host, f"basename $(readlink /srv/{name}/previous)") for host in platform.HOSTS}
    with visited(trio, f"{name}: a rollback", name):
        trio.run("rollback.yml", "-e", f"application={name}", *platform.TIMES, log=f"{name}-rollback").succeeded()
    assert {*trio.current(name)} == {before}
    refused = trio.run("rollback.yml", "-e", f"application={name}", "-e", "version=gone", log=f"{name}-gone")
    assert refused.status != 0
    assert "Release gone is not on vm1, vm2, vm3; on all hosts there is" in refused.summary
    named = ("-e", f"version={now}", "-e", "parallelism=100%")
    trio.run("rollback.yml", "-e", f"application={name}", *named, *platform.TIMES, log=f"{name}-forth").succeeded()
    assert {*trio.current(name)} == {now}


def test_no_release_goes_below_what_the_schema_serves(trio):
    trio.declare("shop", "of the old schema", version="1.0")
    update(trio, "shop", "1.0").succeeded()
    trio.declare("shop", "of the next schema", version="2.0", schema_serves="1.5")
    refused = update(trio, "shop", "refused")
    assert refused.status != 0
    assert "Release 2.0 cannot be rolled back once it is deployed: its schema serves 1.5 and later" in refused.summary
    assert {*trio.current("shop")} == {"1.0"}
    with visited(trio, "an update that was accepted", "shop"):
        update(trio, "shop", "2.0", "-e", "accept_no_rollback=2.0").succeeded()
    below = trio.run("rollback.yml", "-e", "application=shop", log="shop-below")
    assert "The schema of the database serves 1.5 and later" in below.summary
    assert {*trio.current("shop")} == {"2.0"}


def test_the_reference_api_by_its_own_role(trio):
    options = ("-e", "application=reference_api", "-e", "reference_api_cache_ttl=47", *platform.TIMES)
    seen = visitors.Seen("api.productivityapp.com", tells="X-Served-By")

    def visit(one: visitors.Seen, number: int) -> None:
        one.ask(trio.balancers[number % 3], "GET", "/users?limit=1")

    with visitors.visiting((seen, visit)):
        trio.run("rolling_update.yml", *options, log="reference-api").succeeded()
    seen.tell("the reference API")
    assert not seen.failed
    for host in platform.HOSTS:
        assert "CACHE_TTL" in trio.ssh(host, "grep 47 /etc/reference-api/environment")


def test_a_reference_api_that_fails_is_taken_back(trio):
    seen = visitors.Seen("api.productivityapp.com", tells="X-Served-By")

    def visit(one: visitors.Seen, number: int) -> None:
        one.ask(trio.balancers[number % 3], "GET", "/users?limit=1")

    options = ("-e", "application=reference_api", "-e", "reference_api_health_path=/nowhere", *platform.TIMES)
    with visitors.visiting((seen, visit)):
        broken = trio.run("rolling_update.yml", *options, log="reference-api-broken")
    seen.tell("the reference API, which fails")
    assert not seen.failed
    assert broken.status != 0
    assert "vm1 failed: reference-api on vm1: release" in broken.summary
    assert not [line for line in broken.failures if "on vm2" in line or "on vm3" in line]
    assert trio.unconfirmed("reference-api") == []


def test_site_yml_finds_nothing_to_do(trio):
    trio.run("site.yml", "--tags", "app", log="put-back").succeeded()
    again = trio.run("site.yml", "--tags", "app", log="again").succeeded()
    assert not again.changes, "\n".join(map(str, again.changes))
