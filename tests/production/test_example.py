# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""inventories/production as it stands, with an application of one's own: from bare hosts until nothing is left.

The tests follow each other: each finds the platform as the one before left it. No variable of the lab's hides what
the example lacks; s2 and s8 are about the access rules of hosts that join.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import pytest

from tests.end_to_end import lab, visitors
from tests.production import fleet

SITE = "shop.example.com"
#: The VM that waits for use.
SPARE = "app3.example.com"
#: What a run does to take a host's right to connect to the databases.
ACCESS = {
    "postgres : Run Patroni with its configuration",
    "pgbouncer : Run PgBouncer with its configuration",
}


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    """VMs without anything, and the inventory."""
    folder = tmp_path_factory.mktemp("operator")
    made = fleet.Example(folder)
    with fleet.VMS.for_a_while():
        made.make_vms(folder)
        yield made


@pytest.fixture
def balancers(example):
    return [example.address(host) for host in example.hosts("loadbalancer")]


def upstream(example) -> set[str]:
    """The addresses that a load balancer sends orders to; each line has all of one, while the two differ."""
    files = {
        example.ssh(host, "grep -o 'server [0-9.]*' /etc/nginx/upstreams/shop.conf | sort -u")
        for host in example.hosts("loadbalancer")
    }
    return {line.split()[1] for text in files for line in text.splitlines()} if len(files) == 1 else files


def members(example) -> set[str]:
    return {example.address(host) for host in example.hosts("shop")}


@contextlib.contextmanager
def customers(balancers: list[str]) -> Iterator[visitors.Seen]:
    """Who orders, and looks at it through the other load balancer."""

    def order(seen: visitors.Seen, number: int) -> None:
        item = f"item {number}"
        answer = seen.ask(balancers[number % 2], "POST", "/orders", {"item": item}, 201)
        if answer:
            seen.keep(answer["id"], item)
            seen.ask(balancers[1 - number % 2], "GET", f"/orders/{answer['id']}")

    seen = visitors.Seen(SITE)
    with visitors.visiting((seen, order)):
        yield seen


def assert_kept(seen: visitors.Seen, balancers: list[str]) -> None:
    """Every acknowledged order is there."""
    for number, item in seen.kept.items():
        status, _server, answer = visitors.ask(balancers[0], SITE, "GET", f"/orders/{number}")
        assert (status, answer["item"]) == (200, item)


def test_a_check_on_bare_hosts_succeeds(example):
    first = {"SCALEOUT_WHEN_UNREACHABLE": "static"}
    example.run("preflight.yml", log="preflight", **first).succeeded()
    example.run("site.yml", "--check", "--diff", log="check", **first).succeeded()
    assert example.ssh("db1.example.com", "ls /etc/postgresql 2>/dev/null || echo none") == "none"


def test_it_is_deployed_and_takes_orders(example, balancers):
    example.run("site.yml", log="site", SCALEOUT_WHEN_UNREACHABLE="static").succeeded()
    assert upstream(example) == members(example)
    with customers(balancers) as seen:
        time.sleep(10)
    seen.tell("ten seconds")
    assert not seen.failed
    assert len(seen.told) == len(members(example))
    assert_kept(seen, balancers)

    def all_packed() -> bool:
        return visitors.ask(balancers[0], SITE, "GET", f"/orders/{max(seen.kept)}")[2]["packed"]

    assert lab.wait_for(all_packed, 30) is not None, "the worker packs nothing"


def test_a_second_run_changes_nothing(example):
    again = example.run("site.yml", log="again").succeeded()
    assert not again.changes, "\n".join(map(str, again.changes))


def test_s2_s8_the_pool_grows_and_shrinks_under_load(example, balancers):
    with customers(balancers) as seen:
        up = example.run("scale.yml", "-e", "application=shop", "-e", "count=3", log="up").succeeded()
        assert upstream(example) == members(example) | {example.address(SPARE)}
        time.sleep(5)
        down = example.run("scale.yml", "-e", "shop=2", log="down").succeeded()
        time.sleep(3)
    seen.tell("from 2 to 3 and back")
    print(f"tasks by host: {up.tasks}, {down.tasks}")
    assert not seen.failed
    assert SPARE.split(".", maxsplit=1)[0] in {name.split(".")[0] for name in seen.told}, "the new one did not serve"
    assert upstream(example) == members(example)
    assert_kept(seen, balancers)


def test_a_vm_that_is_lost_is_written_off(example, balancers):
    example.run("scale.yml", "-e", "shop=3", log="up-again").succeeded()
    with customers(balancers) as seen:
        time.sleep(3)
        lab.engine("kill", f"{fleet.VMS.fleet}-{SPARE}")
        gone = lab.wait_for(lambda: upstream(example) == members(example), 90)
        assert gone is not None, "the load balancers still send requests to it"
        time.sleep(5)
        failed = len(seen.failed)
        example.run("forget.yml", "-e", f"host={SPARE}", log="forget").succeeded()
        assert len(seen.failed) == failed
    seen.tell(f"a VM is lost, and out of the load balancers after {gone:.0f} s")
    assert_kept(seen, balancers)


def test_l3_a_vm_that_was_written_off_and_comes_back_registers_nothing_and_is_cleaned(example, balancers):
    with customers(balancers) as seen:
        lab.engine("start", f"{fleet.VMS.fleet}-{SPARE}")
        assert lab.wait_for(lambda: SPARE in example.known(), 60) is not None, "it did not come back"
        for _second in range(20):
            assert SPARE not in example.registered()
            assert upstream(example) == members(example)
            time.sleep(1)
        # Its token is revoked; it is taken off all the same.
        example.run("scale.yml", "-e", "shop=2", log="clean").succeeded()
        assert example.ssh(SPARE, "ls -d /etc/consul.d /srv/shop 2>/dev/null || echo nothing") == "nothing"
        assert lab.wait_for(lambda: SPARE not in example.known(), 60) is not None, "Consul still knows it"
        lab.engine("kill", f"{fleet.VMS.fleet}-{SPARE}")
    seen.tell("a VM that was written off comes back")
    assert not seen.failed
    assert SPARE.split(".", maxsplit=1)[0] not in {name.split(".")[0] for name in seen.told}


def test_nothing_of_a_lost_vm_is_left(example):
    def is_forgotten() -> bool:
        return example.run("forget.yml", "-e", f"host={SPARE}", log="forget-again").status == 0

    # Consul takes a while to see that it has gone again.
    assert lab.wait_for(is_forgotten, 60) is not None
    address = example.address(SPARE)
    example.without(SPARE)
    scaled = example.run("scale.yml", "-e", "shop=2", log="without-it").succeeded()
    assert not scaled.changes
    kept = example.run("site.yml", log="site-without-it").succeeded()
    # A host that is no more in the inventory may not connect to the databases any more, and that is all.
    assert {change.task for change in kept.changed} <= ACCESS, "\n".join(map(str, kept.changes))
    for host in example.hosts("postgres"):
        places = "/etc/patroni /etc/pgbouncer /var/lib/postgresql/*/main/pg_hba.conf"
        left = example.ssh(host, f"grep -rlF {address}/ {places} || true")
        assert not left, f"{host} still admits {SPARE}: {left}"


def test_it_is_removed(example, balancers):
    unnamed = example.run("remove.yml", log="remove-unnamed")
    assert unnamed.status != 0
    assert visitors.ask(balancers[0], SITE, "GET", "/healthz")[0] == 200
    example.run("remove.yml", "-e", "confirm=production", "-e", "data=remove", log="remove").succeeded()
    for host in {*example.hosts("loadbalancer"), *example.hosts("postgres")}:
        left = example.ssh(
            host,
            """
            ss -Hltn | grep -Ev ':22 |127.0.0.11:' || true
            ls -d /srv/shop /etc/shop /var/lib/shop /etc/consul.d /var/lib/postgresql 2>/dev/null || true
            find /etc/patroni/scaleout -type f 2>/dev/null || true
            systemctl --plain --no-legend list-units 'shop*' 'consul*' 'patroni*' 'pgbouncer*' 'nginx*' || true
            pgrep -l -u postgres || true
            """,
        )
        assert not left, f"{host}: {left}"
