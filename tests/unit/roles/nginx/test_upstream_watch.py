# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The watch on Consul that owns nginx's upstreams: what it writes, what it refuses, what it puts back."""

from __future__ import annotations

import importlib.util
import io
import json
import pathlib
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

ROLE = pathlib.Path(__file__).parents[4] / "roles" / "nginx"


def _load():
    spec = importlib.util.spec_from_file_location("upstream_watch", ROLE / "files" / "upstream_watch.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


watch = _load()
Server = watch.Server


def entry(node_address="10.0.0.1", address="", port=8000):
    return {"Node": {"Node": "n", "Address": node_address}, "Service": {"ID": "api", "Address": address, "Port": port}}


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


def render(*servers, options=None):
    return watch.render("api", servers, options or watch.Options())


def test_an_upstream_has_the_numbers_of_its_options():
    text = render(Server("10.0.0.1", 8000), options=watch.Options(5, "10s", 16, "3s"))
    assert "upstream api {" in text
    assert "zone api " in text
    assert "least_conn;" in text
    assert "server 10.0.0.1:8000 max_fails=5 fail_timeout=10s;" in text
    assert "keepalive 16;" in text
    assert "keepalive_timeout 3s;" in text


def test_an_upstream_without_servers_has_one_that_is_down():
    text = render()
    assert watch.PLACEHOLDER in text
    assert watch.listed(text) == set()


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
    assert str(watch.server(host, 80)) == expected


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
    with pytest.raises(watch.Refused):
        watch.server(host, 80)


@pytest.mark.parametrize("port", [0, -1, 65536, "80", None, True, 80.0])
def test_what_is_no_port_is_refused(port):
    with pytest.raises(watch.Refused):
        watch.server("10.0.0.1", port)


@pytest.mark.parametrize("text", ["api1", "api1:", ":80", "fd00::1:80", "api1:80;", "api1:0", "api1:99999", "api1:٨٠"])
def test_what_is_no_seed_is_refused(text):
    with pytest.raises(watch.Refused):
        watch.parse(text)


def test_an_instance_serves_at_its_own_address_or_its_node_s():
    servers, reasons = watch.instances([entry("10.0.0.1"), entry("10.0.0.1", "10.9.9.9", 81)])
    assert servers == [Server("10.0.0.1", 8000), Server("10.9.9.9", 81)]
    assert reasons == []


@pytest.mark.parametrize("odd", [None, {}, "x", {"Node": None, "Service": {}}, {"Node": {}, "Service": {"Port": 1}}])
def test_an_odd_instance_does_not_stop_the_others(odd):
    servers, reasons = watch.instances([odd, entry()])
    assert servers == [Server("10.0.0.1", 8000)]
    assert len(reasons) == 1


def test_no_instances_may_be_an_empty_list_or_nothing():
    assert watch.instances([]) == watch.instances(None) == ([], [])


@pytest.mark.parametrize("answer", [{}, "[]", 1])
def test_an_answer_that_is_no_list_is_refused(answer):
    with pytest.raises(watch.Refused):
        watch.instances(answer)


_HOSTS = st.one_of(st.ip_addresses().map(str), st.text(), st.from_regex(r"[a-z0-9.:\[\]{};$ \n-]{0,40}"))


@given(st.lists(st.tuples(_HOSTS, st.one_of(st.integers(-9, 70000), st.text()))))
def test_whatever_consul_says_the_file_has_no_other_lines_than_ours(places):
    servers, reasons = watch.instances([entry(host, port=port) for host, port in places])
    assert len(servers) + len(reasons) == len(places)
    text = render(*servers)
    assert text.count("\n") == render().count("\n") - 1 + max(1, len(set(servers)))
    assert text.count(";") == 4 + max(1, len(set(servers)))
    assert text.count("{") == text.count("}") == 1
    assert watch.listed(text) == {str(each) for each in servers}
    assert {watch.parse(each) for each in watch.listed(text)} == set(servers)


@given(st.permutations([Server("10.0.0.1", 1), Server("10.0.0.1", 2), Server("fd00::1", 1), Server("a.lan", 1)]))
def test_the_order_of_the_answer_does_not_matter(servers):
    assert render(*servers) == render(*sorted(servers))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "api.conf"


def follow(path, servers, nginx, options=None):
    return watch.follow(path, servers, options or watch.Options(), nginx)


def test_a_change_is_tested_and_then_taken_up(path):
    path.write_text(render(Server("10.0.0.1", 1)))
    nginx = FakeNginx()
    line = follow(path, [Server("10.0.0.2", 1)], nginx)
    assert path.read_text() == render(Server("10.0.0.2", 1))
    assert nginx.calls == ["test", "reload"]
    assert line == "joined 10.0.0.2:1; left 10.0.0.1:1 (1 in all)"


def test_no_change_disturbs_nobody(path):
    path.write_text(render(Server("10.0.0.1", 1)))
    nginx = FakeNginx()
    assert follow(path, [Server("10.0.0.1", 1)], nginx) == ""
    assert nginx.calls == []


def test_no_instances_keep_the_last_servers(path):
    path.write_text(render(Server("10.0.0.1", 1), Server("fd00::1", 1)))
    before, nginx = path.read_text(), FakeNginx()
    assert "the last servers stay" in follow(path, [], nginx)
    assert path.read_text() == before
    assert nginx.calls == []


def test_new_options_reach_the_last_servers_too(path):
    path.write_text(render(Server("10.0.0.1", 1)))
    options = watch.Options(keepalive=64)
    assert follow(path, [], FakeNginx(), options) == "settings changed (1 in all)"
    assert path.read_text() == render(Server("10.0.0.1", 1), options=options)


def test_an_edit_by_hand_is_undone(path):
    path.write_text(render(Server("10.0.0.1", 1)).replace("least_conn", "ip_hash"))
    follow(path, [Server("10.0.0.1", 1)], FakeNginx())
    assert path.read_text() == render(Server("10.0.0.1", 1))


@pytest.mark.parametrize("trouble", [{"test": "host not found"}, {"reload": "job failed"}])
def test_a_file_that_nginx_does_not_take_is_taken_back(path, trouble):
    old = render(Server("10.0.0.1", 1))
    path.write_text(old)
    with pytest.raises(watch.Refused, match=r"host not found|job failed"):
        follow(path, [Server("gone.lan", 1)], FakeNginx(**trouble))
    assert path.read_text() == old
    assert [each.name for each in path.parent.iterdir()] == ["api.conf"]


def test_a_first_file_that_nginx_does_not_take_is_removed(path):
    with pytest.raises(watch.Refused):
        follow(path, [Server("gone.lan", 1)], FakeNginx(test="host not found"))
    assert list(path.parent.iterdir()) == []


def test_a_seed_is_written_once_and_reads_like_the_watch_s(path):
    watch.seed(path, [Server("10.0.0.1", 1)], watch.Options())
    assert path.read_text() == render(Server("10.0.0.1", 1))
    assert path.stat().st_mode & 0o777 == 0o644
    watch.seed(path, [Server("10.0.0.2", 1)], watch.Options())
    assert path.read_text() == render(Server("10.0.0.1", 1))


@pytest.mark.parametrize("name", ["", "../api", "a b", "api;", "-api", "a" * 64, "api\n", "äpi"])
def test_a_service_that_could_leave_its_file_is_refused(name):
    with pytest.raises(watch.argparse.ArgumentTypeError):
        watch.service_name(name)


@pytest.fixture
def run(monkeypatch, path):
    """Run the script as ``consul watch`` does; returns its exit status."""

    def _run(stdin, *arguments):
        monkeypatch.setattr(watch, "UPSTREAMS", path.parent)
        monkeypatch.setattr(watch, "PAUSE_SECONDS", 0)
        monkeypatch.setattr(watch, "Nginx", FakeNginx)
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        monkeypatch.setattr(sys, "argv", ["nginx-upstream-watch", "api", *arguments])
        try:
            watch.main()
        except SystemExit as done:
            return done.code
        return 0

    return _run


def test_an_answer_of_consul_becomes_the_upstream(run, path, capsys):
    assert run(json.dumps([entry(), entry("0.0.0.0")]), "--keepalive", "8") == 0
    assert path.read_text() == render(Server("10.0.0.1", 8000), options=watch.Options(keepalive=8))
    assert capsys.readouterr().out.splitlines() == [
        "api: '0.0.0.0' is no address that another host can connect to",
        "api: joined 10.0.0.1:8000 (1 in all)",
    ]


@pytest.mark.parametrize("stdin", ["", "{", "{}"])
def test_what_cannot_be_read_changes_nothing(run, path, stdin, capsys):
    path.write_text(render(Server("10.0.0.1", 1)))
    assert run(stdin) == 1
    assert path.read_text() == render(Server("10.0.0.1", 1))
    assert capsys.readouterr().err.startswith("api: ")


def test_seeds_come_from_the_command_line(run, path):
    assert run("", "--seed", "10.0.0.1:1", "[fd00::1]:1") == 0
    assert path.read_text() == render(Server("10.0.0.1", 1), Server("fd00::1", 1))


def test_a_bad_seed_writes_nothing(run, path, capsys):
    assert run("", "--seed", "10.0.0.1:1", "x;y:1") == 1
    assert not path.exists()
    assert "'x;y'" in capsys.readouterr().err
