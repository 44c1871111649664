# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The client of Patroni's REST API, against a real cluster of two; and what is no Patroni."""

from __future__ import annotations

import http.server
import threading
import time

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.errors import (
    Conflict,
    Denied,
    InvalidInput,
    Refused,
    Stranger,
    UnexpectedAnswer,
    Unreachable,
)
from ansible_collections.scaleout.platform.plugins.module_utils.patroni import Cluster, Member, Patroni
from tests.unit import patroni_cluster


@pytest.fixture(scope="module")
def cluster():
    with patroni_cluster.running() as running:
        yield running


def _client(cluster, name, **more):
    # A restart and a switchover are answered when they are done, which takes long on a busy machine.
    return Patroni.from_options(cluster.options(name, **{"patroni_timeout": 90.0, **more}))


def test_every_member_says_who_leads(cluster):
    leader, replica = cluster.leader(), cluster.replica()
    for asked in cluster.names:
        found = _client(cluster, asked).cluster()
        assert (found.scope, found.leader.name, found.paused) == (patroni_cluster.SCOPE, leader, False)
        assert found.member(replica).role == "replica"
        assert found.member(replica).port == cluster.ports[replica]["postgres"]
        assert found.member("no_one") is None


def test_a_member_says_what_it_is(cluster):
    assert _client(cluster, cluster.leader()).itself()["patroni"]["name"] == cluster.leader()


def test_settings_are_changed_and_removed(cluster):
    client = _client(cluster, "one")
    client.change_settings({"postgresql": {"parameters": {"work_mem": "5MB"}}})
    cluster.wait_for_parameters("two", work_mem="5MB")
    assert client.settings()["postgresql"]["parameters"]["work_mem"] == "5MB"
    changed = client.change_settings({"postgresql": {"parameters": {"work_mem": None}}})
    assert "work_mem" not in changed["postgresql"]["parameters"]
    cluster.wait_for_parameters("two", work_mem=None)


def test_a_pending_restart_is_seen_and_carried_out(cluster):
    client, replica = _client(cluster, "one"), cluster.replica()
    before = cluster.ask(replica, "/patroni")["postmaster_start_time"]
    client.change_settings({"postgresql": {"parameters": {"max_worker_processes": 9}}})
    cluster.wait(lambda seen: seen[replica].get("pending_restart"))
    assert client.cluster().member(replica).pending_restart
    _client(cluster, replica).restart()
    cluster.wait(lambda seen: not seen[replica].get("pending_restart") and seen[replica]["state"] == "streaming")
    assert cluster.ask(replica, "/patroni")["postmaster_start_time"] != before


def test_the_lead_is_handed_over(cluster):
    leader, replica = cluster.leader(), cluster.replica()
    cluster.wait(lambda seen: seen[replica].get("lag") == 0)
    _client(cluster, leader).switch_over(leader, replica)
    cluster.wait(lambda seen: seen[replica]["role"] == "leader" and seen[leader]["state"] == "streaming")
    with cluster.connect(replica) as sql:
        assert sql.one("SELECT pg_is_in_recovery()") is False


def test_a_member_looks_at_its_cluster_when_it_is_woken(cluster):
    replica = cluster.replica()
    client = _client(cluster, replica)
    client.change_settings({"loop_wait": 10})

    def looked():
        return cluster.ask(replica, "/patroni")["dcs_last_seen"]

    try:
        first = looked()
        assert lasts(lambda: looked() == first, 30), "it looks all the time"
        before, first = cluster.ask(replica, "/config"), looked()
        client.wake()
        assert within(lambda: looked() != first, 3)
        assert cluster.ask(replica, "/config") == before
    finally:
        client.change_settings({"loop_wait": 1})


def lasts(condition, seconds):
    """Whether a condition holds for two seconds on end at some time within so many."""
    return within(lambda: condition() and not within(lambda: not condition(), 2), seconds)


def within(condition, seconds):
    """Whether a condition comes true in time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.1)
    return False


def test_what_patroni_refuses(cluster):
    with pytest.raises(Refused, match=r"^Patroni on 127\.0\.0\.1 refused: leader name does not match\.$"):
        _client(cluster, "one").switch_over("no_one")


@pytest.mark.parametrize("login", [{"patroni_password": "wrong"}, {"patroni_user": None}])
def test_a_change_without_its_login(cluster, login):
    before = cluster.ask("one", "/config")
    with pytest.raises(Denied, match="patroni_user") as caught:
        _client(cluster, "one", **login).change_settings({"ttl": 30})
    assert caught.value.code == "denied"
    assert "wrong" not in str(caught.value)
    assert cluster.ask("one", "/config") == before


def test_a_member_that_is_down():
    (port,) = patroni_cluster.free_ports(1)
    with pytest.raises(Unreachable, match=rf"Cannot reach Patroni at 127\.0\.0\.1:{port}: Connection refused"):
        Patroni("127.0.0.1", port).cluster()


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (409, b"<!DOCTYPE HTML>\n<title>Error</title>", r"refused, as another change was made: Conflict\.$"),
        (409, b"busy", r"refused, as another change was made: busy\.$"),
    ],
)
def test_two_who_change_at_the_same_moment(status, body, says):
    client = Patroni("127.0.0.1")
    with pytest.raises(Conflict, match=says):
        raise client._answered(status, body, "Conflict")


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (200, b"<html>", Stranger),
        (200, b"[1]", Stranger),
        (200, b'{"members": [{"name": "a"}]}', Stranger),
        (200, b'{"members": 1}', Stranger),
        (500, b"oops", UnexpectedAnswer),
        (404, b"", UnexpectedAnswer),
    ],
)
def test_what_is_no_patroni(status, body, error):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_words):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with pytest.raises(error) as caught:
            Patroni("127.0.0.1", server.server_address[1]).cluster()
        assert caught.value.code == error.CODE
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"patroni_port": 0}, "patroni_port: 0 is not a port."),
        ({"patroni_timeout": 0}, "patroni_timeout: 0 is not a number of seconds"),
        ({"patroni_host": "a b:c"}, "patroni_host: 'a b:c' is not the name or address of a host."),
        ({"patroni_scheme": "https", "patroni_ca_file": "/nowhere"}, "patroni_ca_file: '/nowhere' cannot be used"),
    ],
)
def test_options_that_cannot_be(options, named):
    with pytest.raises(InvalidInput) as caught:
        Patroni.from_options(patroni_cluster.options(**options))
    assert str(caught.value).startswith(named)


def test_no_host_is_no_patroni():
    assert Patroni.from_options(patroni_cluster.options(patroni_host=None)) is None


def test_a_member_of_any_age_leads():
    members = tuple(Member(name, "", 0, role, "running") for name, role in (("a", "replica"), ("b", "master")))
    assert Cluster("x", members).leader == members[1]
    assert Cluster("x", members[:1]).leader is None
