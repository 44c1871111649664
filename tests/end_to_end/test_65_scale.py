# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The pool made bigger and smaller under load, by containers and by VMs that wait; and what stands in the way of it."""

from __future__ import annotations

import ipaddress
import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.end_to_end import lab, load, playbooks
from tools.lab.paths import LAB

#: What a server of the pool leaves on a VM: nothing is printed where there is nothing.
TRACES = f"""
    systemctl list-unit-files --no-legend '{lab.APP}*' consul.service
    ls -d /srv/{lab.APP} /etc/{lab.APP} /var/lib/{lab.APP} /etc/consul.d /var/lib/consul /opt/consul 2>/dev/null
    getent passwd {lab.APP} consul
    ss -Hltn 'sport = :{lab.PORT} or sport = :8500 or sport = :8301'
    grep -rl {lab.APP} /etc/systemd /etc/passwd /etc/group
    pgrep -a 'consul|uvicorn'
    true
"""
#: The only server that holds a pool's record, or the first of them.
CONSUL = lab.hosts("consul_server")[0]
SPARES = {f"spare{n}": str(ipaddress.ip_network(lab.CHOSEN.subnet)[200 + n]) for n in (1, 2)}
#: Who joins a pool of three: the lowest number that is free.
NEXT = next(f"api{n}" for n in range(1, 9) if f"api{n}" not in lab.hosts("api"))


def scale(count: object, *arguments: str, log: str) -> playbooks.Run:
    run = playbooks.playbook("scale.yml", "-e", f"api={count}", *arguments, log=f"65-{log}")
    print(f"\nscale to {count}: {run.seconds:.0f} s; tasks by host: {run.tasks}")
    return run


def consul(path: str) -> Any:
    """Ask Consul's server."""
    token = lab.variables(CONSUL)["consul_management_token"]
    answer = lab.get(f"/v1/{path}", f"http://{lab.address(CONSUL)}:8500", X_Consul_Token=token)
    assert answer.status == 200, f"{path}: {answer.status} {answer.error}"
    return json.loads(answer.body)


def assert_no_trace(host: str, address: str) -> None:
    """Nothing in Consul, in the load balancers' lists and in the known hosts tells that there was such a server."""
    record = json.dumps(consul("kv/scaleout/members/api?raw"))
    assert lab.hosts("api")[0] in record
    assert f'"{host}"' not in record
    assert host not in [node["Node"] for node in consul("catalog/nodes")]
    assert host not in [member["Name"] for member in consul("agent/members")]
    assert address not in json.dumps(consul("health/service/api"))
    assert address not in lab.listed()


def assert_no_container(host: str, address: str) -> None:
    assert lab.container(host) not in lab.engine("ps", "-a", "--format", "{{.Names}}").split()
    assert address not in (LAB / "known_hosts").read_text()


def recorded() -> dict[str, str]:
    """The addresses of the pool's members."""
    return {member["name"]: member["address"] for member in consul("kv/scaleout/members/api?raw")["members"]}


def settled() -> set[str]:
    """Who gets requests, once that is each server of the pool: the test before may have disturbed one."""
    assert lab.wait_for(lambda: len(lab.upstream()) == len(lab.hosts("api")), 60) is not None
    return lab.upstream()


@pytest.mark.parametrize(
    ("more", "keeps"),
    [pytest.param(1, False, id="one more"), pytest.param(2, True, id="two more, and site.yml", marks=lab.long_tier)],
)
def test_more_and_three_again_under_load(platform, more, keeps):
    """site.yml counts those that a pool has got among its hosts, and leaves them as they are."""
    before = settled()
    with load.ledger("scale", longest=900) as ledger:
        scale(3 + more, log="up").succeeded()
        grown = lab.upstream()
        added = {name: address for name, address in recorded().items() if address not in before}
        assert len(added) == more
        assert grown == before | set(added.values())
        if keeps:
            kept = playbooks.playbook("site.yml", log="65-site").succeeded()
            assert set(added) <= kept.stats.keys()
            assert not kept.changes, "\n".join(map(str, kept.changes))
            assert lab.upstream() == grown
        scale(3, log="down").succeeded()
        assert lab.upstream() == before
        time.sleep(3)
        told = ledger.report()

    load.tell(f"from 3 to {3 + more} and back{', site.yml in between' if keeps else ''}", told)
    load.assert_right(told)
    assert told["failed"]["total"] == 0
    assert set(added) <= told["by_server"].keys(), "the new servers did not serve"
    for host, address in added.items():
        assert_no_trace(host, address)
        assert_no_container(host, address)


def test_asked_for_what_there_is_nothing_happens(platform):
    run = scale(3, log="again").succeeded()
    assert not run.changes


def test_a_check_tells_who_would_come_and_makes_no_host(platform):
    before = recorded()
    run = scale(4, "--check", "--diff", log="check").succeeded()
    (joins,) = re.search(r"to join: ([^\s;]+)", run.text).groups()
    assert joins == NEXT
    assert recorded() == before
    assert lab.container(NEXT) not in lab.engine("ps", "-a", "--format", "{{.Names}}").split()


@pytest.mark.parametrize(
    ("count", "named"),
    [("0", "0"), ("-1", "-1"), ("many", "many"), ("9", "9")],
    ids=["none", "negative", "no number", "more than the maximum"],
)
def test_what_is_no_size_is_refused(platform, count, named):
    before = settled()
    run = scale(count, log=f"refused-{count}")
    assert run.status != 0
    (sentence,) = run.failures
    print(sentence)
    assert named in sentence
    assert not run.changes
    assert lab.upstream() == before


@lab.long_tier
def test_a_server_that_is_never_healthy_joins_with_the_next_run(platform):
    before = settled()
    broken = scale(4, "-e", "reference_api_health_path=/no-such-path", "-e", "app_health_timeout=8", log="sick")
    assert broken.status != 0
    print("\n".join(broken.failures))
    assert NEXT in broken.failures[-1]
    assert lab.upstream() == before
    assert lab.get("/users?limit=1").status == 200
    scale(4, log="repaired").succeeded()
    assert lab.upstream() == before | {recorded()[NEXT]}


@lab.long_tier
def test_a_server_that_cannot_be_reached_is_taken_away_all_the_same(platform):
    if NEXT not in recorded():
        scale(4, log="one-more").succeeded()
    address = recorded()[NEXT]
    lab.engine("pause", lab.container(NEXT))
    scale(3, log="unreachable").succeeded()
    assert_no_trace(NEXT, address)
    assert_no_container(NEXT, address)
    assert lab.get("/users?limit=1").status == 200


@pytest.fixture(scope="module")
def spares(platform, tmp_path_factory):
    """Two VMs that wait for work, and the inventories that know them."""
    folder = tmp_path_factory.mktemp("spares")
    hosts = {name: {"ansible_host": address, "fleet_provider": "static"} for name, address in SPARES.items()}
    (folder / "spares.yml").write_text(yaml.safe_dump({"all": {"children": {"fleet_spare": {"hosts": hosts}}}}))

    def fleet(state: str) -> str:
        # As large as the pool's, which have room for the application's limits.
        size = {"provider": "docker", "memory": "2g"}
        wanted = [{"name": name, "address": address, **size} for name, address in SPARES.items()]
        role = {"role": "scaleout.platform.fleet", "fleet_state": state, "fleet_hosts": wanted}
        interpreter = {"ansible_python_interpreter": "{{ ansible_playbook_python }}"}
        play = {"hosts": "localhost", "connection": "local", "vars": interpreter, "roles": [role]}
        path: Path = folder / f"{state}.yml"
        path.write_text(yaml.safe_dump([play]))
        return str(path)

    playbooks.playbook(fleet("present"), log="65-spares").succeeded()
    known = lab.CHOSEN.inventory
    yield ["-i", f"{known}/hosts.yml", "-i", str(folder / "spares.yml"), "-i", f"{known}/members.yml"]
    playbooks.playbook(fleet("absent"), log="65-spares-gone").succeeded()


def traces(address: str) -> str:
    options = ["-i", str(LAB / "id_ed25519"), "-o", f"UserKnownHostsFile={LAB / 'known_hosts'}", "-o", "BatchMode=yes"]
    return lab.local("ssh", *options, f"ops@{address}", f"sudo sh -c '{TRACES.replace(chr(39), chr(34))}'")


@lab.long_tier
def test_vms_that_wait_join_and_are_handed_back_clean(spares):
    before = settled()
    static = [*spares, "-e", "scale_provider=static"]
    with load.ledger("scale-static", longest=900) as ledger:
        scale(5, *static, log="static-up").succeeded()
        assert lab.upstream() == before | set(SPARES.values())
        assert all(traces(address).strip() for address in SPARES.values()), "there is nothing to look for"
        too_many = scale(6, *static, log="static-empty")
        assert too_many.status != 0
        print(too_many.failures)
        assert "6" in too_many.failures[0]
        assert lab.upstream() == before | set(SPARES.values())
        scale(3, *static, log="static-down").succeeded()
        time.sleep(3)
        told = ledger.report()

    load.tell("two VMs of the static pool come and go", told)
    load.assert_right(told)
    assert told["failed"]["total"] == 0
    assert set(SPARES) <= told["by_server"].keys()
    assert lab.upstream() == before
    for host, address in SPARES.items():
        assert_no_trace(host, address)
        assert traces(address).strip() == ""
