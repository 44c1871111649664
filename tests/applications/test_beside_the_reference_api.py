# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Applications of others beside the reference API on one trio, by the commands of the pages: Kinto from PyPI
with a database, and one of Node without. Deployed, updated, a broken version rolled back, scaled by one and back,
removed, all under load and behind firewalls, over a reboot. The tests follow each other."""

from __future__ import annotations

import contextlib
import socket
import uuid
from collections.abc import Iterator

import pytest
import yaml

from tests.applications import platform
from tests.end_to_end import lab, visitors

OWNER = {"Authorization": platform.basic("ada", "lovelace")}
#: A collection for each visitor: Kinto refuses (409) two writes to one collection in the same millisecond.
COLLECTIONS = [f"/v1/buckets/shop/collections/things{number}" for number in range(visitors.VISITORS)]

#: What hosts of the platform get to: PostgreSQL, PgBouncer, Patroni, a cache or the queue, and the two applications.
USED = {"vm2": {5432, 6432, 8008, 6379, 9100, 9200}, "vm3": {5432, 6432, 8008, 5672, 9200}}
#: What answers to the controller: sites, and the databases, which the trio opens to its whole network.
OPEN = {80, 5432, 6432}


@pytest.fixture(scope="module")
def trio(tmp_path_factory):
    """The trio with the reference API alone."""
    made = platform.Trio(tmp_path_factory.mktemp("applications"))
    made.fetch_kinto()
    made.declare(None, None)
    with platform.VMS.for_a_while():
        made.run("fleet.yml", log="vms").succeeded()
        made.run("site.yml", log="site").succeeded()
        yield made


class Visited:
    """What visitors of the three applications see."""

    def __init__(self, trio: platform.Trio) -> None:
        self._balancers = trio.balancers
        self.kinto = visitors.Seen("kinto.example")
        self.notes = visitors.Seen("notes.example")
        self.api = visitors.Seen("api.productivityapp.com", tells="X-Served-By")
        self.all = (self.kinto, self.notes, self.api)

    def _balancer(self, number: int) -> str:
        return self._balancers[number % len(self._balancers)]

    def _record(self, seen: visitors.Seen, number: int) -> None:
        key = str(uuid.uuid4())
        path = f"{COLLECTIONS[number % len(COLLECTIONS)]}/records/{key}"
        written = seen.ask(self._balancer(number), "PUT", path, {"data": {"number": number}}, 201, **OWNER)
        if written:
            seen.keep(path, number)
            seen.ask(self._balancer(number + 1), "GET", path, **OWNER)

    def _note(self, seen: visitors.Seen, number: int) -> None:
        seen.ask(self._balancer(number), "GET", "/")

    def _user(self, seen: visitors.Seen, number: int) -> None:
        seen.ask(self._balancer(number), "GET", "/users?limit=1")

    @contextlib.contextmanager
    def by(self, *names: str) -> Iterator[None]:
        """Visitors of these applications during the block; then it is told, and none failed."""
        visits = {"kinto": self._record, "notes": self._note, "api": self._user}
        with visitors.visiting(*((getattr(self, name), visits[name]) for name in names)):
            yield

    def assert_well(self, title: str) -> None:
        """Tell what they saw: nothing failed, and what was acknowledged is there."""
        seen = [one for one in self.all if one.asked]
        for one in seen:
            one.tell(title)
        assert not [problem for one in seen for problem in one.failed]
        for path, number in self.kinto.kept.items():
            status, _told, answer = visitors.ask(self._balancers[0], "kinto.example", "GET", path, **OWNER)
            assert (status, answer["data"]["number"]) == (200, number)


@pytest.fixture
def visited(trio):
    return Visited(trio)


def reached(trio: platform.Trio, host: str) -> set[int]:
    """The ports of a host that a stranger gets to."""
    found = set()
    for port in {*USED[host], 80}:
        with contextlib.suppress(OSError), socket.create_connection((trio.address(host), port), timeout=2):
            found.add(port)
    return found


def reached_within(trio: platform.Trio, host: str) -> set[int]:
    """The ports of a host that the first one of the platform gets to."""
    tried = (f"timeout 2 bash -c ': </dev/tcp/{trio.address(host)}/{port}' && echo {port}" for port in USED[host])
    return {int(port) for port in trio.ssh("vm1", f"({'; '.join(tried)}) 2>/dev/null; true").split()}


def editions(trio: platform.Trio) -> set[tuple[str, str]]:
    """What each load balancer answers: the editions of Kinto and of Node."""
    found = set()
    for address in trio.balancers:
        _status, _told, kinto = visitors.ask(address, "kinto.example", "GET", "/v1/")
        _status, _told, notes = visitors.ask(address, "notes.example", "GET", "/")
        found.add((kinto["project_name"], notes["edition"]))
    return found


def with_edition(edition: str) -> dict[str, object]:
    return {**platform.NOTES, "environment": {"EDITION": edition}}


def test_both_are_deployed_while_the_reference_api_serves(trio, visited):
    trio.configure_kinto("first")
    trio.declare(platform.KINTO, with_edition("first"))
    with visited.by("api"):
        trio.run("preflight.yml", log="preflight").succeeded()
        trio.run("site.yml", log="deployed").succeeded()
    visited.assert_well("two applications deployed")
    assert editions(trio) == {("first", "first")}
    for path in ("/v1/buckets/shop", *COLLECTIONS):
        status, _told, _answer = visitors.ask(trio.balancers[0], "kinto.example", "PUT", path, {}, **OWNER)
        assert status == 201
    owner = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'kinto'"
    assert trio.ssh("vm1", f'cd / && sudo -u postgres psql -XAtc "{owner}"') == "kinto"


def test_both_are_updated(trio, visited):
    trio.configure_kinto("second")
    trio.declare(platform.KINTO, with_edition("second"))
    with visited.by("kinto", "notes", "api"):
        trio.run("site.yml", "--tags", "app", log="updated").succeeded()
    visited.assert_well("updated")
    assert editions(trio) == {("second", "second")}


def test_broken_versions_are_rolled_back_and_named(trio, visited):
    trio.configure_kinto("broken", storage="no.such.storage")
    # A migration that fails keeps the release from being switched to anywhere; this one starts, and fails its gate.
    trio.declare(
        {**platform.KINTO, "prepare_command": [], "health": {**platform.KINTO["health"], "timeout": 20}},
        with_edition("broken"),
    )
    with visited.by("kinto", "notes", "api"):
        broken = trio.run("site.yml", "--tags", "app", log="broken")
    visited.assert_well("broken versions")
    assert broken.status != 0
    print("\n".join(broken.failures))
    told = "\n".join(broken.failures)
    assert "kinto" in told
    assert "notes" in told
    assert editions(trio) == {("second", "second")}
    # The hosts that were held have the broken one lying ready, until they are told what to run instead.
    trio.configure_kinto("second")
    trio.declare(platform.KINTO, with_edition("second"))
    trio.run("site.yml", "--tags", "app", log="put-back").succeeded()


def test_each_is_scaled_by_one_and_back(trio, visited):
    with visited.by("kinto", "notes", "api"):
        trio.run("scale.yml", "-e", "application=kinto", "-e", "count=3", log="kinto-up").succeeded()
        trio.run("scale.yml", "-e", "application=kinto", "-e", "count=2", log="kinto-down").succeeded()
        trio.run("scale.yml", "-e", "notes=3", log="notes-up").succeeded()
        trio.run("scale.yml", "-e", "notes=2", log="notes-down").succeeded()
    visited.assert_well("each from 2 to 3 and back")
    assert len(visited.notes.told) == 3, "the third server of the notes did not serve"


def test_ports_answer_to_those_who_use_them_and_to_no_one_else(trio):
    for host, used in USED.items():
        assert reached_within(trio, host) == used
        assert reached(trio, host) == OPEN


def test_a_host_that_was_rebooted_serves_again_behind_its_firewall(trio):
    booted = "systemctl show -p UserspaceTimestamp --value"
    rules = "nft --stateless list table inet scaleout"
    before = {command: trio.ssh("vm3", command) for command in (booted, rules)}
    lab.engine("restart", f"{platform.VMS.fleet}-vm3")

    def serves() -> bool:
        with contextlib.suppress(OSError, AssertionError):
            visits = (("kinto.example", "/v1/"), ("notes.example", "/"), ("api.productivityapp.com", "/users?limit=1"))
            answers = [visitors.ask(trio.address("vm3"), site, "GET", path)[0] for site, path in visits]
            followed = not trio.ssh("vm3", "cat /run/nginx-upstream/*/state /run/pgbouncer-leader/state")
            return answers == [200, 200, 200] and followed and reached_within(trio, "vm3") == USED["vm3"]
        return False

    took = lab.wait_for(serves, 120)
    assert took is not None, "vm3 does not serve after its reboot"
    print(f"served again {took:.0f} s after the reboot", flush=True)
    after = {command: trio.ssh("vm3", command) for command in (booted, rules)}
    assert after[booted] != before[booted], "it was not rebooted"
    assert after[rules] == before[rules]
    assert reached(trio, "vm3") == OPEN


def test_a_run_of_everything_changes_nothing(trio):
    again = trio.run("site.yml", log="again").succeeded()
    assert not again.changes, "\n".join(map(str, again.changes))


def test_both_are_removed_as_the_page_says(trio, visited, tmp_path):
    without_site = {name: value for name, value in platform.KINTO.items() if name != "site"}
    trio.declare(without_site, {name: value for name, value in platform.NOTES.items() if name != "site"})
    plays = [
        {
            "hosts": name,
            "become": True,
            "gather_facts": False,
            "roles": [
                {
                    "role": "scaleout.platform.app",
                    "app_name": name,
                    "app_port": entry["port"],
                    "app_state": "absent",
                    "app_keep_state": False,
                }
            ],
        }
        for name, entry in (("kinto", platform.KINTO), ("notes", platform.NOTES))
    ]
    (tmp_path / "take-away.yml").write_text(yaml.safe_dump(plays))
    with visited.by("api"):
        trio.run("site.yml", "--tags", "nginx", log="no-sites").succeeded()
        trio.run(str(tmp_path / "take-away.yml"), log="taken-away").succeeded()
        trio.declare(None, None)
        trio.run("site.yml", log="without").succeeded()
    visited.assert_well("both removed")
    assert lab.wait_for(lambda: not {"kinto", "notes"} & set(trio.services()), 10) is not None
    for host in platform.HOSTS:
        assert not trio.ssh(host, "ls -d /srv/kinto /srv/notes /etc/kinto /etc/notes /var/lib/kinto 2>/dev/null; true")
        assert not trio.ssh(host, "ss -Hltn 'sport = :9100 or sport = :9200'; getent passwd kinto notes; true")
