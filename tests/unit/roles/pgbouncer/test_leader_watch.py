# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The watch that sends a pooler to the leader: what it writes, when it cuts connections off, and what it lets be."""

from __future__ import annotations

import base64
import http.server
import importlib.util
import json
import pathlib
import sys
import threading

import pytest

ROLE = pathlib.Path(__file__).parents[4] / "roles" / "pgbouncer"


def _load(name):
    spec = importlib.util.spec_from_file_location(name, ROLE / "files" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


watch = _load("leader_watch")
ONE, TWO = watch.Leader("vm1", "192.0.2.1", 5432), watch.Leader("vm2", "192.0.2.2", 5432)
NAMES = ["shard_0", "shop"]


class Pooler:
    """Has connections in use to servers, each for so many looks."""

    def __init__(self, hanging=None, refuses=False):
        self.in_use = dict(hanging or {})
        self.refuses = refuses
        self.done = []

    def reload(self):
        self.done.append("reload")
        if self.refuses:
            raise OSError("PgBouncer does not take RELOAD")

    def hanging(self, address):
        left = self.in_use.get(address, {})
        self.in_use[address] = {name: looks - 1 for name, looks in left.items() if looks > 1}
        return sorted(left)

    def cut(self, database):
        self.done.append(f"cut {database}")


class Clock:
    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


@pytest.mark.parametrize(
    ("member", "found"),
    [
        (b'{"conn_url": "postgres://192.0.2.1:5432/postgres"}', ONE),
        (b'{"conn_url": "postgres://[2001:db8::1]:5433/postgres"}', watch.Leader("vm1", "2001:db8::1", 5433)),
        (b'{"conn_url": "postgres://192.0.2.1/postgres"}', ONE),
    ],
)
def test_where_a_member_is(member, found):
    assert watch.leader("vm1", member) == found


@pytest.mark.parametrize(
    "member",
    [
        b"",
        b"no JSON",
        b"[]",
        b"{}",
        b'{"conn_url": "postgres://vm1:5432/postgres"}',
        b'{"conn_url": "postgres://192.0.2.1:x/postgres"}',
        b'{"conn_url": null}',
    ],
)
def test_what_is_no_address_never_reaches_the_pooler(member):
    with pytest.raises(watch.Refused, match="Patroni does not say where the leader vm1 is"):
        watch.leader("vm1", member)


def test_the_first_leader_is_written_and_taken_up(tmp_path):
    path, pooler = tmp_path / "leader.ini", Pooler()
    assert watch.follow(path, NAMES, ONE, pooler, Clock()) == "the leader is vm1 (192.0.2.1:5432)"
    assert path.read_text().splitlines()[1:] == [
        "shard_0 = host=192.0.2.1 port=5432",
        "shop = host=192.0.2.1 port=5432",
    ]
    assert pooler.done == ["reload"]
    assert watch.follow(path, NAMES, ONE, pooler, Clock()) == ""
    assert pooler.done == ["reload"]


def test_connections_to_the_former_leader_may_end_by_themselves(tmp_path):
    path, clock = tmp_path / "leader.ini", Clock()
    watch.follow(path, NAMES, ONE, Pooler(), clock)
    pooler = Pooler({"192.0.2.1": {"shop": 5}})
    assert watch.follow(path, NAMES, TWO, pooler, clock) == "the leader is vm2 (192.0.2.2:5432)"
    assert pooler.done == ["reload"]
    assert clock.now < watch.GRACE_SECONDS


def test_what_hangs_on_the_former_leader_is_cut_off(tmp_path):
    path, clock = tmp_path / "leader.ini", Clock()
    watch.follow(path, NAMES, ONE, Pooler(), clock)
    pooler = Pooler({"192.0.2.1": {"shop": 1000, "shard_0": 3}})
    assert watch.follow(path, NAMES, TWO, pooler, clock).endswith("; cut off from 192.0.2.1: shop")
    assert pooler.done == ["reload", "cut shop"]
    assert clock.now == pytest.approx(watch.GRACE_SECONDS, abs=2 * watch.BREATH_SECONDS)


def test_a_pooler_that_does_not_take_it_is_told_again(tmp_path):
    path, clock = tmp_path / "leader.ini", Clock()
    watch.follow(path, NAMES, ONE, Pooler(), clock)
    before = path.read_text()
    with pytest.raises(OSError, match="RELOAD"):
        watch.follow(path, NAMES, TWO, Pooler(refuses=True), clock)
    assert path.read_text() == before
    pooler = Pooler()
    assert watch.follow(path, NAMES, TWO, pooler, clock)
    assert pooler.done == ["reload"]


def test_a_pooler_that_does_not_run_takes_the_file_up_when_it_starts(tmp_path):
    watch.PgBouncer(6432, str(tmp_path)).reload()


class Console(watch.PgBouncer):
    """Keeps what it is told, and answers by a table."""

    def __init__(self, **answers):
        super().__init__(6432)
        self.answers, self.told = answers, []

    def _rows(self, *commands):
        self.told.append(commands)
        return self.answers.get(commands[-1].split()[-1].lower(), [])


def paused(**databases):
    return [{"name": name, "paused": value} for name, value in databases.items()]


def test_a_reload_keeps_what_a_pause_has_changed():
    config = [{"key": "query_wait_timeout", "value": "13"}, {"key": "client_login_timeout", "value": "13"}]
    config += [{"key": "min_pool_size", "value": "0"}, {"key": "max_client_conn", "value": "1000"}]
    console = Console(databases=paused(pgbouncer=0, shop=1), config=config)
    console.take_up()
    # One right after the other, so that no client's wait is measured by the files between them.
    assert console.told[-1] == (
        "RELOAD",
        "SET min_pool_size = 0",
        "SET query_wait_timeout = 13",
        "SET client_login_timeout = 13",
    )
    console = Console(databases=paused(shop=0), config=config)
    console.take_up()
    assert console.told[-1] == ("RELOAD",)


def test_a_pause_ends_once_it_is_forgotten():
    console, since = Console(databases=paused(shop=1, shop_local=1, shard_0=0)), {}
    last = float(watch.FORGOTTEN_SECONDS)
    assert watch.let_go(["shop", "shard_0"], console, since, 0.0) == ""
    assert watch.let_go(["shop", "shard_0"], console, since, last - 1) == ""
    assert watch.let_go(["shop", "shard_0"], console, since, last).endswith("for more than 20 s: shop")
    # A replica's own is no business of the watch.
    assert console.told[-1] == ('RESUME "shop"', "RELOAD")


def test_a_pause_that_ends_by_itself_is_no_part_of_the_next_one():
    console, since = Console(databases=paused(shop=1)), {}
    watch.let_go(["shop"], console, since, 0.0)
    console.answers["databases"] = paused(shop=0)
    watch.let_go(["shop"], console, since, 10.0)
    console.answers["databases"] = paused(shop=1)
    assert watch.let_go(["shop"], console, since, 25.0) == ""
    assert since == {"shop": 25.0}


def test_a_pooler_that_does_not_answer_is_asked_again(capsys):
    class Away:
        def paused(self):
            raise OSError("Connection refused")

    class Twice(Clock):
        def sleep(self, seconds):
            super().sleep(seconds)
            if self.now > 3:
                raise Ended

    with pytest.raises(Ended):
        watch.look_for_pauses(["shop"], Away(), Twice())
    assert capsys.readouterr().out == ""


class Ended(Exception):
    """The script of a test has come to its end."""


class Consul:
    """Answers by a script: a leader's name, or an error to raise."""

    def __init__(self, *script):
        self.script = list(script)
        self.asked = []

    def ask(self, index, wait):
        self.asked.append((index, wait))
        if not self.script:
            raise Ended
        answer = self.script.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def member(self, name):
        return {"vm1": b'{"conn_url": "postgres://192.0.2.1:5432/x"}', "vm2": b"{}"}[name]


def run(tmp_path, *script):
    path, consul, pooler = tmp_path / "leader.ini", Consul(*script), Pooler()
    with pytest.raises(Ended):
        watch.watch(path, NAMES, consul, pooler, tmp_path / "state", Clock())
    return path, consul, pooler, (tmp_path / "state").read_text()


def test_an_answer_without_a_leader_keeps_the_last(tmp_path, capsys):
    path, _consul, pooler, state = run(tmp_path, (5, "vm1"), (6, ""), (7, ""))
    assert "192.0.2.1" in path.read_text()
    assert (pooler.done, state) == (["reload"], "")
    assert capsys.readouterr().out.splitlines() == [
        "the leader is vm1 (192.0.2.1:5432)",
        "the cluster has no leader, the last one stays",
    ]


def test_a_consul_that_does_not_answer_keeps_the_last_and_is_said_once(tmp_path, capsys):
    lost = OSError("Connection refused")
    path, consul, _pooler, state = run(tmp_path, (5, "vm1"), lost, lost)
    assert "192.0.2.1" in path.read_text()
    assert state == "Connection refused"
    assert capsys.readouterr().out.splitlines()[1:] == ["Connection refused"]
    # After a failure it asks from the beginning, and does not wait for a change.
    assert consul.asked[1:] == [(5, float(watch.WAIT_SECONDS)), (0, 0.0), (0, 0.0)]


def test_a_leader_without_an_address_is_asked_for_again(tmp_path):
    path, _consul, _pooler, state = run(tmp_path, (5, "vm1"), (6, "vm2"))
    assert "192.0.2.1" in path.read_text()
    assert state == "Patroni does not say where the leader vm2 is"


def test_after_a_restore_consul_begins_to_count_again(tmp_path):
    _path, consul, _pooler, _state = run(tmp_path, (9, "vm1"), (3, "vm1"), (4, "vm1"))
    assert [index for index, _wait in consul.asked] == [0, 9, 0, 4]


@pytest.mark.parametrize(
    ("status", "body", "answer"),
    [
        (200, json.dumps([{"Value": base64.b64encode(b"vm1").decode()}]), (7, "vm1")),
        (200, json.dumps([{"Value": None}]), (7, "")),
        (404, "", (7, "")),
        (403, "Permission denied", None),
        (500, "No cluster leader", None),
        (200, "<html>", None),
        (200, "[]", None),
    ],
)
def test_what_consul_answers(tmp_path, status, body, answer):
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.path, self.headers["X-Consul-Token"]))
            self.send_response(status)
            self.send_header("X-Consul-Index", "7")
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_words):
            pass

    (tmp_path / "token").write_text("secret\n")
    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        consul = watch.Consul(f"127.0.0.1:{server.server_address[1]}", tmp_path / "token", "main")
        if answer is None:
            with pytest.raises(OSError, match="Consul") as caught:
                consul.ask(3, 60.0)
            assert "secret" not in str(caught.value)
        else:
            assert consul.ask(3, 60.0) == answer
        assert asked == [("/v1/kv/service/main/leader?stale=&index=3&wait=60000ms", "secret")]
    finally:
        server.shutdown()
        server.server_close()
