# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The watch on Consul that owns nginx's upstreams: what it writes, what it refuses, what it puts back."""

from __future__ import annotations

import base64
import http.server
import importlib.util
import json
import pathlib
import sys
import threading
import urllib.parse

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

ROLE = pathlib.Path(__file__).parents[4] / "roles" / "nginx"


def _load(name):
    spec = importlib.util.spec_from_file_location(name, ROLE / "files" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


upstream = _load("nginx_upstream")
watch = _load("upstream_watch")
Server = upstream.Server


def entry(node_address="10.0.0.1", address="", port=8000, node="n", **statuses):
    return {
        "Node": {"Node": node, "Address": node_address},
        "Service": {"ID": "api", "Address": address, "Port": port},
        "Checks": [{"CheckID": name, "Status": status} for name, status in statuses.items()],
    }


class FakeNginx:
    def __init__(self, test="", reload=""):
        self.answers = {"test": test, "reload": reload}
        self.calls = []

    def test(self):
        self.calls.append("test")
        return self.answers["test"]

    def reload(self):
        self.calls.append("reload")
        return self.answers["reload"]


def render(*servers, options=None, last=()):
    return upstream.render("api", servers, options or upstream.Options(), last)


def test_an_upstream_has_the_numbers_of_its_options():
    text = render(Server("10.0.0.1", 8000), options=upstream.Options(5, "10s", 16, "3s"))
    assert "upstream api {" in text
    assert "zone api " in text
    assert "least_conn;" in text
    assert "server 10.0.0.1:8000 max_fails=5 fail_timeout=10s;" in text
    assert "keepalive 16;" in text
    assert "keepalive_timeout 3s;" in text


def test_an_upstream_without_servers_has_one_that_is_down():
    text = render()
    assert upstream.PLACEHOLDER in text
    assert upstream.listed(text) == set()


def test_servers_are_in_the_order_of_their_numbers_and_once():
    shuffled = [Server("b.lan", 1), Server("10.0.0.10", 1), Server("fd00::1", 1), Server("10.0.0.9", 2)]
    lines = [line.split()[1] for line in render(*shuffled, *shuffled).splitlines() if "max_fails" in line]
    assert lines == ["10.0.0.9:2", "10.0.0.10:1", "[fd00::1]:1", "b.lan:1"]


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("10.0.0.1", "10.0.0.1:80"),
        ("FD00:0::1", "[fd00::1]:80"),
        ("api1.internal", "api1.internal:80"),
        ("API1", "api1:80"),
        ("127.0.0.1", "127.0.0.1:80"),
    ],
)
def test_addresses_and_names_are_taken(host, expected):
    assert str(upstream.server(host, 80)) == expected


@pytest.mark.parametrize(
    "host",
    [
        "",
        "10.0.0.1; } http { ",
        "10.0.0.1 backup",
        "10.0.0.1\nserver evil",
        "10.0.0.1\n",
        "unix:/tmp/socket",
        "$host",
        "{{ x }}",
        "-api",
        "api-",
        "a" * 64,
        "a." * 127 + "aa",
        "10.0.0.256",
        "10.1",
        "0.0.0.0",
        "::",
        "ff02::1",
        "224.0.0.1",
        "fe80::1",
        "fe80::1%eth0",
        "[fd00::1]",
        "ⅷ.example",
        "\u017f.example",  # a long s, which is an s to a regular expression that ignores case
        None,
        7,
        ["10.0.0.1"],
    ],
)
def test_what_is_no_address_of_a_server_is_refused(host):
    with pytest.raises(upstream.Refused):
        upstream.server(host, 80)


@pytest.mark.parametrize("port", [0, -1, 65536, "80", None, True, 80.0])
def test_what_is_no_port_is_refused(port):
    with pytest.raises(upstream.Refused):
        upstream.server("10.0.0.1", port)


@pytest.mark.parametrize("text", ["api1", "api1:", ":80", "fd00::1:80", "api1:80;", "api1:0", "api1:99999", "api1:٨٠"])
def test_what_is_no_seed_is_refused(text):
    with pytest.raises(upstream.Refused):
        upstream.parse(text)


def test_an_instance_serves_at_its_own_address_or_its_node_s():
    found, reasons = upstream.members([entry("10.0.0.1"), entry("10.0.0.1", "10.9.9.9", 81)])
    assert [each.server for each in found] == [Server("10.0.0.1", 8000), Server("10.9.9.9", 81)]
    assert reasons == []


@pytest.mark.parametrize("odd", [None, {}, "x", {"Node": None, "Service": {}}, {"Node": {}, "Service": {"Port": 1}}])
def test_an_odd_instance_does_not_stop_the_others(odd):
    found, reasons = upstream.members([odd, entry()])
    assert found == [upstream.Member(Server("10.0.0.1", 8000))]
    assert len(reasons) == 1


def test_no_instances_may_be_an_empty_list_or_nothing():
    assert upstream.members([]) == upstream.members(None) == ([], [])


@pytest.mark.parametrize(
    ("checks", "alive", "passing", "withdrawn"),
    [
        ({"serfHealth": "passing", "service:api": "passing"}, True, True, False),
        ({"serfHealth": "passing", "service:api": "critical"}, True, False, False),
        ({"serfHealth": "passing", "service:api": "warning"}, True, False, False),
        ({"serfHealth": "critical", "service:api": "passing"}, False, False, False),
        ({"serfHealth": "passing", "_service_maintenance:api": "critical"}, True, False, True),
        ({"serfHealth": "passing", "_node_maintenance": "critical"}, True, False, True),
        # A host that no agent watches.
        ({}, True, True, False),
    ],
)
def test_what_checks_say_of_an_instance(checks, alive, passing, withdrawn):
    found, reasons = upstream.members([entry(**checks)])
    assert (found, reasons) == ([upstream.Member(Server("10.0.0.1", 8000), alive, passing, withdrawn)], [])


def test_a_host_that_was_replaced_counts_as_it_is_now():
    old, new = entry(serfHealth="critical"), entry(serfHealth="passing")
    assert (
        upstream.members([old, new])[0]
        == upstream.members([new, old])[0]
        == [upstream.Member(Server("10.0.0.1", 8000))]
    )


@pytest.mark.parametrize("odd", [{"CheckID": 1}, "x", None])
def test_odd_checks_do_not_stop_the_others(odd):
    found, reasons = upstream.members([{**entry("10.0.0.2"), "Checks": [odd]}, entry()])
    assert [each.server.host for each in found] == ["10.0.0.1"]
    assert len(reasons) == 1


# Each step: seconds on the clock, how the servers a, b, c … are, and who gets requests then. A server is P when it
# passes, f when it fails and its host lives, d when its host is lost, m in maintenance, and - when Consul has none.
HISTORIES = {
    "those that pass": ("abc", [(0, "PPP", "abc")]),
    "one of three fails, and comes back when it has passed for a while": (
        "abc",
        [(0, "PPP", "abc"), (10, "PPf", "ab"), (30, "PPP", "ab"), (34, "PPP", "ab"), (35, "PPP", "abc")],
    ),
    "one that passes and fails again waits again": (
        "abc",
        [(0, "PPf", "ab"), (10, "PPP", "ab"), (12, "PPf", "ab"), (20, "PPP", "ab"), (25, "PPP", "abc")],
    ),
    "l5: the checks of two of three fail while they still answer": (
        "abc",
        [
            (0, "PPP", "abc"),
            (5, "PPf", "ab"),
            (8, "Pff", "abc"),
            (40, "PPf", "abc"),
            (45, "PPf", "abc"),  # half of them pass again, and the third may be late
            (54, "PPf", "abc"),
            (55, "PPf", "ab"),
        ],
    ),
    "their database comes back, and one of them fails a check once more": (
        "abc",
        [
            (0, "PPP", "abc"),
            (10, "PPf", "ab"),
            (12, "Pff", "abc"),
            (14, "fff", "abc"),
            (20, "Pff", "abc"),
            (22, "PPf", "abc"),
            (25, "PPf", "abc"),
            (27, "PPf", "abc"),  # two are steady
            (34, "PPP", "abc"),
            (60, "PPP", "abc"),
        ],
    ),
    "one that fails by itself after that leaves as ever": (
        "abc",
        [(0, "fff", "abc"), (5, "PPP", "abc"), (10, "PPP", "abc"), (60, "PPf", "ab")],
    ),
    "after a common failure, whose host is lost, who is drained and who is removed leaves at once": (
        "abcdef",
        [(0, "ffffff", "abcdef"), (5, "PPPPPP", "abcdef"), (11, "PPPdm-", "abc"), (12, "PPPdff", "abc")],
    ),
    "l5: five of six fail, one after the other": (
        "abcdef",
        [
            (0, "PPPPPP", "abcdef"),
            (1, "PPPPPf", "abcde"),
            (2, "PPPPff", "abcd"),
            (3, "PPPfff", "abc"),
            (4, "PPffff", "abcdef"),
            (5, "Pfffff", "abcdef"),
            (30, "PPPPPP", "abcdef"),
        ],
    ),
    "l5: a lost host does not count": ("abc", [(0, "PPP", "abc"), (5, "PPd", "ab"), (6, "Pdd", "a")]),
    "l5: all hosts are lost, and two come back with the checks of yesterday": (
        "abc",
        [
            (0, "ddd", "abc"),
            (60, "Pdd", "abc"),  # what Consul still has; its agent has not spoken
            (61, "PPd", "abc"),
            (62, "ffd", "abc"),
            (72, "Pfd", "abc"),
            (74, "PPd", "abc"),
            (77, "PPd", "ab"),  # the first of them is steady, the other lives and has not left
            (79, "PPd", "ab"),
        ],
    ),
    "h13: a host that was lost comes back with the check of yesterday": (
        "abc",
        [(0, "PPP", "abc"), (5, "PPd", "ab"), (60, "PPP", "ab"), (62, "PPf", "ab"), (72, "PPP", "ab")],
    ),
    "no server passes": ("abc", [(0, "fff", "abc"), (9, "ddd", "abc"), (10, "---", "abc")]),
    "two of two fail, one after the other": ("ab", [(0, "PP", "ab"), (5, "Pf", "a"), (9, "ff", "ab")]),
    "a new one joins at once": ("ab", [(0, "PP-", "ab"), (5, "PPf", "ab"), (20, "PPP", "abc")]),
    "many new ones that do not pass yet are no reason to doubt the checks": ("ab", [(0, "PPffff", "ab")]),
    "a deploy: one leaves by maintenance and comes back at once": (
        "abc",
        [(0, "PPP", "abc"), (5, "PPm", "ab"), (20, "PPf", "ab"), (30, "PPP", "abc")],
    ),
    "the last one in maintenance": ("a", [(0, "m", "a"), (9, "P", "a")]),
    "one that is removed": ("abc", [(0, "PPP", "abc"), (5, "PP-", "ab")]),
    "most are removed": ("abc", [(0, "PPP", "abc"), (5, "P--", "a")]),
    "most are in maintenance": ("abc", [(0, "PPP", "abc"), (5, "Pmm", "a")]),
}


@pytest.mark.parametrize("history", HISTORIES)
def test_l5_who_gets_requests(history):
    start, steps = HISTORIES[history]
    place = {letter: Server(f"10.0.0.{number}", 1) for number, letter in enumerate("abcdef")}
    memory, now_in = upstream.Memory(), [place[letter] for letter in start]
    for now, states, expected in steps:
        found = [
            upstream.Member(place[letter], state not in "d", state == "P", state == "m")
            for letter, state in zip("abcdef", states, strict=False)
            if state != "-"
        ]
        choice = upstream.choose(found, now_in, memory, float(now))
        assert "".join(letter for letter in place if place[letter] in choice.servers) == expected, now
        assert choice.last <= choice.servers
        assert {each.server for each in found if not each.alive}.isdisjoint(choice.last)
        memory, now_in = choice.memory, list(choice.servers)


# A sum that ends a wait is rounded: the clock at its end must not ask for a wait of nothing.
@example(["PPPP", "PPPf", "PPPP", "PPPP"], [0.0, 0.0, 11.541731589798639, 5.0])
@given(
    st.lists(st.lists(st.sampled_from("Pfdm-"), min_size=4, max_size=4), min_size=1, max_size=12),
    st.lists(st.floats(0, 20), min_size=12, max_size=12),
)
def test_l5_whatever_happens_there_are_servers_and_too_few_never_bear_all(history, pauses):
    place = [Server(f"10.0.0.{number}", 1) for number in range(4)]
    memory, now_in, now = upstream.Memory(), frozenset(place), 0.0
    for states, pause in zip(history, pauses, strict=False):
        now += pause
        found = [
            upstream.Member(server, state != "d", state == "P", state == "m")
            for server, state in zip(place, states, strict=True)
            if state != "-"
        ]
        choice = upstream.choose(found, now_in, memory, now)
        live = {each.server for each in found if each.alive and not each.withdrawn}
        assert choice.servers
        assert 2 * len(choice.servers) >= len(now_in & live)
        assert 0 < choice.wait <= upstream.WAIT_SECONDS
        memory, now_in = choice.memory, choice.servers


def test_l5_a_choice_says_when_to_choose_again():
    a, b = Server("10.0.0.1", 1), Server("10.0.0.2", 1)
    memory = upstream.Memory(frozenset([a, b]), {b: 7.0})
    choice = upstream.choose([upstream.Member(a), upstream.Member(b)], [a], memory, 10.0)
    assert (choice.servers, choice.wait) == ({a}, 2.0)


def test_l5_those_that_live_are_asked_when_nginx_has_ruled_out_all():
    a, b, c = (Server(f"10.0.0.{number}", 1) for number in (1, 2, 3))
    lines = [line.strip() for line in render(a, b, c, last=[a, c]).splitlines() if " server " in line]
    assert lines == [
        "server 10.0.0.1:1 max_fails=3 fail_timeout=30s;",
        "server 10.0.0.2:1 max_fails=3 fail_timeout=30s;",
        "server 10.0.0.3:1 max_fails=3 fail_timeout=30s;",
        "server 10.0.0.1:1 max_fails=0 backup;",
        "server 10.0.0.3:1 max_fails=0 backup;",
    ]
    assert "backup" not in render(a, last=[a]), "nginx never rules out the only one"


@pytest.mark.parametrize("answer", [{}, "[]", 1])
def test_an_answer_that_is_no_list_is_refused(answer):
    with pytest.raises(upstream.Refused):
        upstream.members(answer)


_HOSTS = st.one_of(st.ip_addresses().map(str), st.text(), st.from_regex(r"[a-z0-9.:\[\]{};$ \n-]{0,40}"))


@given(st.lists(st.tuples(_HOSTS, st.one_of(st.integers(-9, 70000), st.text()))))
def test_whatever_consul_says_the_file_has_no_other_lines_than_ours(places):
    found, reasons = upstream.members([entry(host, port=port) for host, port in places])
    servers = [each.server for each in found]
    assert len(servers) <= len(places) - len(reasons)
    text = render(*servers)
    assert text.count("\n") == render().count("\n") - 1 + max(1, len(set(servers)))
    assert text.count(";") == 4 + max(1, len(set(servers)))
    assert text.count("{") == text.count("}") == 1
    assert upstream.listed(text) == {str(each) for each in servers}
    assert {upstream.parse(each) for each in upstream.listed(text)} == set(servers)


@given(st.permutations([Server("10.0.0.1", 1), Server("10.0.0.1", 2), Server("fd00::1", 1), Server("a.lan", 1)]))
def test_the_order_of_the_answer_does_not_matter(servers):
    assert render(*servers) == render(*sorted(servers))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "api.conf"


def follow(path, servers, nginx, options=None):
    return watch.follow(path, servers, options or upstream.Options(), nginx)


def test_a_change_is_tested_and_then_taken_up(path):
    path.write_text(render(Server("10.0.0.1", 1)))
    nginx = FakeNginx()
    line = follow(path, [Server("10.0.0.2", 1)], nginx)
    assert path.read_text() == render(Server("10.0.0.2", 1))
    assert nginx.calls == ["test", "reload"]
    assert line == "joined 10.0.0.2:1; left 10.0.0.1:1 (1 in all)"


def test_no_change_disturbs_nothing(path):
    path.write_text(render(Server("10.0.0.1", 1)))
    nginx = FakeNginx()
    assert follow(path, [Server("10.0.0.1", 1)], nginx) == ""
    assert nginx.calls == []


def test_an_edit_by_hand_is_undone(path):
    path.write_text(render(Server("10.0.0.1", 1)).replace("least_conn", "ip_hash"))
    follow(path, [Server("10.0.0.1", 1)], FakeNginx())
    assert path.read_text() == render(Server("10.0.0.1", 1))


@pytest.mark.parametrize("trouble", [{"test": "host not found"}, {"reload": "job failed"}])
def test_a_file_that_nginx_does_not_take_is_taken_back(path, trouble):
    old = render(Server("10.0.0.1", 1))
    path.write_text(old)
    with pytest.raises(upstream.Refused, match=r"host not found|job failed"):
        follow(path, [Server("gone.lan", 1)], FakeNginx(**trouble))
    assert path.read_text() == old
    assert [each.name for each in path.parent.iterdir()] == ["api.conf"]


def test_a_first_file_that_nginx_does_not_take_is_removed(path):
    with pytest.raises(upstream.Refused):
        follow(path, [Server("gone.lan", 1)], FakeNginx(test="host not found"))
    assert list(path.parent.iterdir()) == []


def test_a_seed_is_written_once_and_reads_like_the_watch_s(path):
    watch.seed(path, [Server("10.0.0.1", 1)], upstream.Options())
    assert path.read_text() == render(Server("10.0.0.1", 1))
    assert path.stat().st_mode & 0o777 == 0o644
    watch.seed(path, [Server("10.0.0.2", 1)], upstream.Options())
    assert path.read_text() == render(Server("10.0.0.1", 1))


@pytest.mark.parametrize("name", ["", "../api", "a b", "api;", "-api", "a" * 64, "api\n", "äpi"])
def test_a_service_that_could_leave_its_file_is_refused(name):
    with pytest.raises(watch.argparse.ArgumentTypeError):
        watch.service_name(name)


class Stop(Exception):
    pass


class FakeConsul:
    """Gives one answer after the other; an exception is raised."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []
        self.records = [upstream.Record()]

    def record(self, _service):
        answer = self.records.pop(0) if len(self.records) > 1 else self.records[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def ask(self, service, index, wait):
        self.asked.append((service, index, wait))
        if not self.answers:
            raise Stop
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class FakeClock:
    def __init__(self):
        self.now = 0.0
        self.slept = []

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds
        self.slept.append(seconds)


@pytest.fixture
def run(path):
    """Run the watch until Consul has given all its answers."""

    def _run(*answers, nginx=None, options=None, records=()):
        consul, clock = FakeConsul(*answers), FakeClock()
        consul.records = list(records) or consul.records
        with pytest.raises(Stop):
            watch.watch(
                path, options or upstream.Options(), consul, nginx or FakeNginx(), path.with_name("state"), clock
            )
        return consul, clock

    return _run


def test_answers_of_consul_become_the_upstream(run, path, capsys):
    consul, clock = run((7, [entry(), entry("0.0.0.0")]), (9, [entry(), entry("10.0.0.2")]), (9, [entry()]))
    assert path.read_text() == render(Server("10.0.0.1", 8000))
    assert capsys.readouterr().out.splitlines() == [
        "api: '0.0.0.0' is no address that another host can connect to",
        "api: joined 10.0.0.1:8000 (1 in all)",
        "api: joined 10.0.0.2:8000 (2 in all)",
        "api: left 10.0.0.2:8000 (1 in all)",
    ]
    assert [(index, wait) for _service, index, wait in consul.asked] == [(0, 0), (7, 60), (9, 60), (9, 60)]
    assert clock.slept == [watch.BREATH_SECONDS] * 3
    assert path.with_name("state").read_text() == ""


def test_two_servers_that_live_are_asked_when_nginx_has_ruled_out_both(run, path):
    one, two = Server("10.0.0.1", 8000), Server("10.0.0.2", 8000)
    run((1, [entry(), entry("10.0.0.2")]))
    assert path.read_text() == render(one, two, last=[one, two])


def test_no_instances_keep_the_last_servers_and_say_so_once(run, path, capsys):
    path.write_text(render(Server("10.0.0.1", 1), Server("fd00::1", 1)))
    before, nginx = path.read_text(), FakeNginx()
    run((1, []), (2, None), nginx=nginx)
    assert path.read_text() == before
    assert nginx.calls == []
    assert capsys.readouterr().out.splitlines() == ["api: no instance passes its checks, the last servers stay"]


def test_new_options_reach_the_last_servers_too(run, path):
    path.write_text(render(Server("10.0.0.1", 1)))
    options = upstream.Options(keepalive=64)
    run((1, []), options=options)
    assert path.read_text() == render(Server("10.0.0.1", 1), options=options)


@pytest.mark.parametrize(
    "trouble",
    [OSError("Consul answers 403: Permission denied"), ValueError("no JSON"), (1, {})],
)
def test_what_cannot_be_read_changes_nothing_and_is_told(run, path, trouble, capsys):
    path.write_text(render(Server("10.0.0.1", 1)))
    consul, clock = run((5, [entry("10.0.0.1", port=1)]), trouble, trouble)
    assert path.read_text() == render(Server("10.0.0.1", 1))
    assert len(capsys.readouterr().out.splitlines()) == 1
    assert path.with_name("state").read_text() != ""
    assert clock.slept == [watch.BREATH_SECONDS, watch.PAUSE_SECONDS, watch.PAUSE_SECONDS]
    assert consul.asked[-1] == ("api", 0, 0.0), "it asks from the beginning"


def test_h9_what_nginx_does_not_take_is_told_until_it_does(run, path, capsys):
    path.write_text(render(Server("10.0.0.9", 1)))
    nginx = FakeNginx(test='open() "/data/logs/access.log" failed (30: Read-only file system)')
    run((5, [entry()]), (5, [entry()]), nginx=nginx)
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 1
    assert path.with_name("state").read_text() in said[0]
    assert "Read-only file system" in said[0]
    run((5, [entry()]))
    assert path.with_name("state").read_text() == ""


def test_consul_that_begins_to_count_again_is_asked_from_the_beginning(run):
    consul, _clock = run((900, [entry()]), (3, [entry()]), (3, [entry()]))
    assert [index for _service, index, _wait in consul.asked] == [0, 900, 0, 3]


def record(**states):
    """A record of hosts at 10.0.0.1, 10.0.0.2 and so on."""
    members = [
        {"name": name, "address": f"10.0.0.{number}", "state": state}
        for number, (name, state) in enumerate(states.items(), 1)
    ]
    return upstream.Record(json.dumps({"version": 1, "group": "pool", "members": members}).encode())


@pytest.mark.parametrize(
    ("kept", "node", "address", "admitted"),
    [
        (upstream.Record(), "any", "10.0.0.9", True),
        (record(), "any", "10.0.0.9", False),
        (record(a="member"), "a", "10.0.0.9", True),
        # Consul may know a host by another name.
        (record(a="member"), "other", "10.0.0.1", True),
        (record(a="joining"), "a", "10.0.0.1", True),
        (record(a="leaving"), "a", "10.0.0.1", True),
        (record(a="lost"), "a", "10.0.0.1", False),
        (record(a="member", b="lost"), "b", "10.0.0.2", False),
        (record(a="member", b="lost"), "b", "10.0.0.1", False),
        (record(a="member"), "b", "10.0.0.2", False),
    ],
)
def test_l3_who_is_in_the_pool(kept, node, address, admitted):
    answer = [entry(address, node=node)]
    assert kept.divide(answer) == ((answer, []) if admitted else ([], [node]))


def test_l3_an_address_that_was_given_to_another_host_is_in_the_pool():
    text = {
        "members": [
            {"name": name, "address": "10.0.0.1", "state": state} for name, state in (("a", "lost"), ("b", "member"))
        ]
    }
    kept = upstream.Record(json.dumps(text).encode())
    assert (kept.admits("b", "10.0.0.1"), kept.admits("a", "10.0.0.1")) == (True, False)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"{}", b'{"members": [{"name": "a"}]}', b'{"members": 3}'])
def test_what_is_no_record_is_refused(text):
    with pytest.raises(upstream.Refused, match="record"):
        upstream.Record(text)


def test_l3_a_host_that_was_written_off_and_comes_back_gets_no_requests(run, path, capsys):
    both = [entry("10.0.0.1", node="a"), entry("10.0.0.2", node="b")]
    consul, _clock = run(
        (3, both), (4, both[:1]), (5, both), records=[record(a="member", b="member"), record(a="member", b="lost")]
    )
    assert path.read_text() == render(Server("10.0.0.1", 8000))
    assert "api: b is registered, and no member of the pool's record" in capsys.readouterr().out
    # It may be taken into the pool again, so the record is soon read again.
    assert [wait for _service, _index, wait in consul.asked] == [0, 60, 60, watch.RECORD_SECONDS]


@pytest.mark.parametrize("trouble", [OSError("no right to read"), upstream.Refused("the record cannot be read")])
def test_l3_a_record_that_cannot_be_read_leaves_the_last_one_and_the_health(run, path, trouble):
    all_three = [entry(f"10.0.0.{number}", node=node) for number, node in enumerate("abc", 1)]
    run((3, all_three), (4, all_three[1:]), records=[record(a="member", b="member", c="lost"), trouble])
    assert path.read_text() == render(Server("10.0.0.2", 8000))
    assert path.with_name("state").read_text() == str(trouble)


@pytest.fixture
def agent():
    """An agent that answers as it is told, and notes what it was asked."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.asked.append((self.path, self.headers["X-Consul-Token"]))
            status, text = self.server.answer
            self.send_response(status)
            self.send_header("X-Consul-Index", "17")
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked, server.answer = [], (200, b"[]")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def consul(agent, tmp_path):
    token = tmp_path / "token"
    token.write_text("secret\n")
    return watch.Consul(f"127.0.0.1:{agent.server_port}", token, {"api": "pool"})


def test_any_server_of_consul_may_answer(agent, consul):
    assert consul.ask("api", 3, 2.5) == (17, [])
    ((path, token),) = agent.asked
    query = urllib.parse.urlsplit(path)
    assert (query.path, token) == ("/v1/health/service/api", "secret")
    assert urllib.parse.parse_qs(query.query, keep_blank_values=True) == {
        "stale": [""],
        "index": ["3"],
        "wait": ["2500ms"],
    }


def test_the_record_is_that_of_the_service_s_pool(agent, consul):
    text = base64.b64encode(b'{"members": [{"name": "a", "address": "10.0.0.1", "state": "member"}]}').decode()
    agent.answer = (200, json.dumps([{"Value": text}]).encode())
    assert [consul.record("api").admits(name) for name in "ab"] == [True, False]
    assert agent.asked == [("/v1/kv/scaleout/members/pool?stale=", "secret")] * 2
    assert consul.record("other").admits("b")
    assert len(agent.asked) == 2
    agent.answer = (404, b"")
    assert consul.record("api").admits("b")
    agent.answer = (403, b"Permission denied")
    with pytest.raises(OSError, match="Consul answers 403: Permission denied"):
        consul.record("api")


def test_consul_s_own_words_are_told(agent, consul):
    agent.answer = (403, b"Permission denied")
    with pytest.raises(OSError, match="Consul answers 403: Permission denied"):
        consul.ask("api", 0, 0)


@pytest.fixture
def seed(monkeypatch, path):
    """Run the script as the role does; returns its exit status."""

    def _seed(*arguments):
        monkeypatch.setattr(watch, "UPSTREAMS", path.parent)
        monkeypatch.setattr(sys, "argv", ["nginx-upstream-watch", "api", "--seed", *arguments])
        try:
            watch.main()
        except SystemExit as done:
            return done.code
        return 0

    return _seed


def test_seeds_come_from_the_command_line(seed, path):
    assert seed("10.0.0.1:1", "[fd00::1]:1") == 0
    assert path.read_text() == render(Server("10.0.0.1", 1), Server("fd00::1", 1))


def test_a_bad_seed_writes_nothing(seed, path, capsys):
    assert seed("10.0.0.1:1", "x;y:1") == 1
    assert capsys.readouterr().err.startswith("api: ")
    assert not path.exists()
