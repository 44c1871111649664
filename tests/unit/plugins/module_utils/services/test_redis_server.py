# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Redis' protocol against a server of a few lines; molecule/redis has the real one."""

from __future__ import annotations

import socketserver
import threading

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.services.drivers import redis_server
from ansible_collections.scaleout.platform.plugins.module_utils.services.drivers.redis_server import (
    Busy,
    Mark,
    NoAnswer,
    Server,
)

PASSWORD = 'p"a\\s é€🔑'


class Scripted(socketserver.ThreadingTCPServer):
    """Answers each command with the next of some bytes, and remembers what was asked."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, answers):
        super().__init__(("127.0.0.1", 0), Conversation)
        self.answers = list(answers)
        self.asked = []


class Conversation(socketserver.StreamRequestHandler):
    def handle(self):
        while True:
            line = self.rfile.readline()
            if not line:
                return
            words = []
            for _each in range(int(line[1:])):
                length = int(self.rfile.readline()[1:])
                words.append(self.rfile.read(length + 2)[:-2].decode())
            self.server.asked.append(words)
            if not self.server.answers:
                return
            self.wfile.write(self.server.answers.pop(0))


@pytest.fixture
def serve():
    """Start a server with its answers; returns it and a client for it."""
    servers = []

    def start(*answers, password=PASSWORD):
        server = Scripted(answers)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        escaped = password.replace("\\", "\\\\").replace('"', '\\"')
        text = f'bind -127.0.0.1\nport {server.server_address[1]}\nrequirepass "{escaped}"\n'
        return server, Server.of(text if password else text.replace('requirepass ""\n', ""))

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_it_logs_in_once_with_the_password_of_the_file(serve):
    server, client = serve(b"+OK\r\n", b"+PONG\r\n", b":12\r\n")
    assert client.serves()
    assert client.ask("DBSIZE") == 12
    assert server.asked == [["AUTH", PASSWORD], ["PING"], ["DBSIZE"]]


def test_without_a_password_it_does_not_log_in(serve):
    server, client = serve(b"+PONG\r\n", password="")
    assert client.serves()
    assert server.asked == [["PING"]]


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        (b"$-1\r\n", None),
        (b"$0\r\n\r\n", ""),
        ("$5\r\né€\r\n".encode(), "é€"),
        (b"$4\r\na\r\nb\r\n", "a\r\nb"),
        (b"*0\r\n", []),
        (b"*2\r\n$1\r\na\r\n*1\r\n:1\r\n", ["a", [1]]),
    ],
)
def test_answers(serve, answer, value):
    _server, client = serve(answer, password="")
    assert client.ask("GET", "x") == value


def test_settings_and_information(serve):
    _server, client = serve(
        b"*4\r\n$4\r\nsave\r\n$0\r\n\r\n$4\r\nport\r\n$4\r\n6379\r\n",
        b"$47\r\n# Persistence\r\nloading:0\r\naof_enabled:1\r\nx::y\r\n\r\n",
        password="",
    )
    assert client.settings() == {"save": "", "port": "6379"}
    assert client.information("persistence") == {"loading": "0", "aof_enabled": "1", "x": ":y"}


@pytest.mark.parametrize(
    ("answers", "kind", "words"),
    [
        ([b"-WRONGPASS invalid\r\n"], NoAnswer, "answers WRONGPASS invalid"),
        ([b"+OK\r\n", b"-LOADING Redis is loading\r\n"], Busy, "answers LOADING"),
        ([b"+OK\r\n", b"-BUSY a script runs\r\n"], Busy, "answers BUSY"),
        ([], NoAnswer, "gives no answer to AUTH"),
        ([b"+OK\r\n"], NoAnswer, "gives no answer to PING"),
        ([b"HTTP/1.1 400 Bad Request\r\n"], NoAnswer, "not Redis' protocol"),
    ],
)
def test_what_is_no_answer(serve, answers, kind, words):
    _server, client = serve(*answers)
    with pytest.raises(NoAnswer, match=words) as caught:
        client.ask("PING")
    assert caught.type is kind
    assert PASSWORD not in str(caught.value)


def test_nothing_listens(serve):
    server, client = serve()
    server.shutdown()
    server.server_close()
    assert not client.serves()
    with pytest.raises(NoAnswer, match="takes no connections"):
        client.ask("PING")


def test_data_move_once_and_nothing_is_replaced(tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "appendonlydir").mkdir(parents=True)
    target.mkdir()
    (source / "dump.rdb").write_text("new")
    (source / "other").write_text("stays")
    assert redis_server.has_data(str(source))
    redis_server.move_data(str(source), str(target))
    assert sorted(path.name for path in target.iterdir()) == ["appendonlydir", "dump.rdb"]
    assert not redis_server.has_data(str(source))
    (source / "dump.rdb").write_text("of a server that was started again")
    redis_server.move_data(str(source), str(target))
    assert (target / "dump.rdb").read_text() == "new"
    assert (source / "dump.rdb").exists()


def test_the_earlier_configuration_reads_the_append_only_file_once_it_has_the_data(tmp_path):
    path = tmp_path / "redis.conf"
    path.write_text("appendonly no\nport 1")
    for _twice in range(2):
        redis_server.append_only(str(path))
        assert path.read_text() == "appendonly no\nport 1\nappendonly yes\n"


def test_a_mark_outlives_its_process(tmp_path):
    path = str(tmp_path / "notes" / "mark")
    assert not Mark(path).there
    Mark(path).set()
    assert Mark(path).there
    Mark(path).clear()
    Mark(path).clear()
    assert not Mark(path).there
