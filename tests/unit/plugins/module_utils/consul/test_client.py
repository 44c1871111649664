# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The client against a server that answers what a test tells it to, or does not answer."""

from __future__ import annotations

import http.server
import json
import socket
import threading

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.consul.client import (
    ARGUMENTS,
    Consul,
    Delete,
    Entry,
    Write,
)
from ansible_collections.scaleout.platform.plugins.module_utils.errors import (
    InvalidInput,
    Refused,
    TooLarge,
    Unreachable,
)

TOKEN = "f4c54a26-2b0c-4c8e-9f0e-2c1d9a3e7b11"


class FakeConsul:
    """Notes each request, with its connection, and answers with ``status`` and ``body``."""

    def __init__(self) -> None:
        self.status, self.body, self.requests = 200, b"", []
        fake = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                fake.requests.append(
                    (self.command, self.path, self.headers.get("X-Consul-Token"), sent, self.client_address)
                )
                self.send_response(fake.status)
                self.send_header("Content-Length", str(len(fake.body)))
                self.end_headers()
                self.wfile.write(fake.body)

            do_GET = do_PUT = answer  # noqa: N815 (the names that http.server calls)

            def log_message(self, *arguments) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()


@pytest.fixture(name="fake")
def _fake():
    fake = FakeConsul()
    yield fake
    fake.server.shutdown()
    fake.server.server_close()


@pytest.fixture(name="consul")
def _consul(fake):
    consul = Consul("127.0.0.1", fake.port, TOKEN, timeout=5)
    yield consul
    consul.close()


def options(**given):
    return {name: given.get(name, spec.get("default")) for name, spec in ARGUMENTS.items()}


def test_a_key_is_read_with_its_index(fake, consul):
    fake.body = json.dumps([{"Key": "a/b", "Value": "w6k=", "ModifyIndex": 42, "Flags": 0}]).encode()
    assert consul.get("a/b c?d") == Entry("é".encode(), 42)
    assert fake.requests[0][:3] == ("GET", "/v1/kv/a/b%20c%3Fd", TOKEN)


def test_an_empty_value_is_read(fake, consul):
    fake.body = b'[{"Value": null, "ModifyIndex": 1}]'
    assert consul.get("key") == Entry(b"", 1)


def test_a_key_that_is_not_there_is_none(fake, consul):
    fake.status = 404
    assert consul.get("key") is None


def test_a_folder_is_read_in_one_request(fake, consul):
    fake.body = json.dumps(
        [{"Key": "a/b", "Value": "w6k=", "ModifyIndex": 42}, {"Key": "a/c/d", "Value": None, "ModifyIndex": 7}]
    ).encode()
    assert consul.entries("a") == {"a/b": Entry("é".encode(), 42), "a/c/d": Entry(b"", 7)}
    assert [request[:3] for request in fake.requests] == [("GET", "/v1/kv/a/?recurse=", TOKEN)]
    fake.status, fake.body = 404, b""
    assert consul.entries("a/") == {}


@pytest.mark.parametrize("body", [b"<html>hello</html>", b"{}x", b"[1]", b'[{"Key": "a", "Value": "!"}]'])
def test_a_folder_that_is_none_of_consuls_is_an_error(fake, consul, body):
    fake.body = body
    with pytest.raises(Unreachable, match="what answers there is not Consul"):
        consul.entries("a")


def test_one_connection_serves_all_requests(fake, consul):
    fake.status = 404
    consul.get("key")
    consul.get("key")
    assert fake.requests[0][4] == fake.requests[1][4]


def test_without_a_token_no_header_is_sent_and_no_proxy_is_asked(fake, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    fake.status = 404
    assert Consul.from_options(options(consul_port=fake.port)).get("key") is None
    assert fake.requests[0][2] is None


@pytest.mark.parametrize(
    ("status", "body", "code", "reason"),
    [
        (403, b"Permission denied", "denied", "it answered 403 (Permission denied)"),
        (403, f"ACL not found: {TOKEN}".encode(), "denied", "it answered 403 (ACL not found: ********)"),
        (401, b"", "denied", "it answered 401 (Unauthorized)"),
        (500, b"No cluster leader\n", "no_leader", "it answered 500 (No cluster leader)"),
        (500, b"No known Consul servers", "unreachable", "it answered 500 (No known Consul servers)"),
        (
            500,
            b"rpc error making call: No cluster leader",
            "no_leader",
            "it answered 500 (rpc error making call: No cluster leader)",
        ),
        (404, b"<html>no such page</html>", "unexpected_answer", "it answered 404 (<html>no such page</html>)"),
        (301, b"", "unexpected_answer", "it answered 301 (Moved Permanently)"),
        (502, b"x" * 1000, "unexpected_answer", f"it answered 502 ({'x' * 200})"),
        (200, b"<html>hello</html>", "stranger", "what answers there is not Consul"),
        (200, b"[]", "stranger", "what answers there is not Consul"),
        (200, b'[{"Value": "!"}]', "stranger", "what answers there is not Consul"),
        (200, b"\xff", "stranger", "what answers there is not Consul"),
    ],
)
def test_any_other_answer_is_an_error_with_host_and_port(fake, consul, status, body, code, reason):
    fake.status, fake.body = status, body
    for request in (lambda: consul.get("key"), lambda: consul.commit([Write("key", b"", 0)])):
        with pytest.raises(Unreachable) as raised:
            request()
        assert raised.value.message == f"Cannot reach Consul at 127.0.0.1:{fake.port}: {reason}."
        assert raised.value.result() == {
            "msg": raised.value.message,
            "code": code,
            "host": "127.0.0.1",
            "port": fake.port,
        }


@pytest.fixture(name="listener")
def _listener():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener


def test_a_closed_port_is_an_error(listener):
    port = listener.getsockname()[1]
    listener.close()
    for request in (lambda consul: consul.get("key"), lambda consul: consul.commit([Write("key", b"", 0)])):
        with pytest.raises(Unreachable, match=rf"^Cannot reach Consul at 127\.0\.0\.1:{port}: Connection refused\.$"):
            request(Consul("127.0.0.1", port))


def test_silence_is_an_error_and_leaves_a_write_in_doubt(listener):
    consul = Consul("127.0.0.1", listener.getsockname()[1], timeout=0.05)
    with pytest.raises(Unreachable, match=r"no answer within 0\.05 s\.$"):
        consul.get("key")
    with pytest.raises(Unreachable, match=r"no answer within 0\.05 s; whether it was carried out is not known\.$"):
        consul.commit([Write("key", b"", 0)])


@pytest.mark.parametrize(
    ("answer", "reason"),
    [(b"", "it closed the connection without an answer"), (b"SSH-2.0-OpenSSH\r\n", "does not speak HTTP")],
)
def test_what_does_not_speak_http_is_an_error(listener, answer, reason):
    def serve():
        connection, _address = listener.accept()
        connection.recv(4096)
        connection.sendall(answer)
        connection.close()

    consul = Consul("127.0.0.1", listener.getsockname()[1], timeout=5)
    threading.Thread(target=serve, daemon=True).start()
    with pytest.raises(Unreachable, match=rf"{reason}\.$"):
        consul.get("key")
    threading.Thread(target=serve, daemon=True).start()
    with pytest.raises(Unreachable, match=rf"{reason}; whether it was carried out is not known\.$"):
        consul.commit([Write("key", b"", 0)])


def test_tls_to_a_plain_port_is_an_error(fake):
    consul = Consul.from_options(options(consul_port=fake.port, consul_scheme="https", consul_validate_certs=False))
    with pytest.raises(Unreachable, match=f"Cannot reach Consul at 127.0.0.1:{fake.port}: "):
        consul.get("key")


@pytest.mark.parametrize("host", ["no such host", "a\nb", "ü" * 80, "host:8500"])
def test_what_is_no_host_is_an_error(host):
    with pytest.raises((InvalidInput, Unreachable)):
        Consul.from_options(options(consul_host=host)).get("key")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"consul_port": 0}, "consul_port: 0 is not a port."),
        ({"consul_port": 65536}, "consul_port: 65536 is not a port."),
        ({"consul_timeout": 0.0}, "consul_timeout: 0.0 is not a number of seconds between 0 and 86400."),
        ({"consul_timeout": 1e300}, "consul_timeout: 1e+300 is not a number of seconds between 0 and 86400."),
        ({"consul_timeout": float("nan")}, "consul_timeout: nan is not a number of seconds between 0 and 86400."),
        (
            {"consul_scheme": "https", "consul_ca_file": "/nowhere/ca.pem"},
            "consul_ca_file: '/nowhere/ca.pem' cannot be used: [Errno 2] No such file or directory.",
        ),
    ],
)
def test_what_can_never_work_is_refused_before_anything_is_sent(given, message):
    with pytest.raises(InvalidInput) as raised:
        Consul.from_options(options(**given))
    assert raised.value.message == message


@pytest.mark.parametrize("token", ["two words", "line\nX-Other: header", "tökén", "tab\t"])
def test_a_token_that_no_header_can_hold_is_refused_without_being_told(token):
    with pytest.raises(Refused) as raised:
        Consul("127.0.0.1", 8500, token)
    assert token not in raised.value.message


# Transactions

OPERATIONS = [
    Write("a", b"\xc3\xa9", 7),
    Write("a.history/2", b"x", flags=1764000000),
    Delete("a.history/1"),
    Delete("b", 9),
]


def test_a_transaction_is_one_request(fake, consul):
    fake.body = b'{"Results": [{"KV": {"Key": "a", "Value": null, "ModifyIndex": 8}}], "Errors": null}'
    assert consul.commit(OPERATIONS) == {"a": 8}
    ((method, path, token, sent, _client),) = fake.requests
    assert (method, path, token) == ("PUT", "/v1/txn", TOKEN)
    assert json.loads(sent) == [
        {"KV": {"Verb": "cas", "Key": "a", "Value": "w6k=", "Flags": 0, "Index": 7}},
        {"KV": {"Verb": "set", "Key": "a.history/2", "Value": "eA==", "Flags": 1764000000}},
        {"KV": {"Verb": "delete", "Key": "a.history/1"}},
        {"KV": {"Verb": "delete-cas", "Key": "b", "Index": 9}},
    ]


@pytest.mark.parametrize(
    "what",
    [
        'failed to set key "a", index is stale',
        'failed index check for key "a", current modify index 7 != 6',
        'key "a" doesn\'t exist',
    ],
)
def test_a_stale_index_ends_a_transaction(fake, consul, what):
    fake.status = 409
    fake.body = json.dumps({"Results": None, "Errors": [{"OpIndex": 0, "What": what}]}).encode()
    assert consul.commit(OPERATIONS) is None


@pytest.mark.parametrize(
    ("status", "body", "code", "says"),
    [
        (
            409,
            b'{"Results": null, "Errors": [{"OpIndex": 1, "What": "Permission denied"}]}',
            "denied",
            r"it answered 409 \(Permission denied\)",
        ),
        (403, b"Permission denied", "denied", r"it answered 403 \(Permission denied\)"),
        (500, b"No cluster leader", "no_leader", r"it answered 500 \(No cluster leader\)"),
        (200, b"true", "stranger", "what answers there is not Consul"),
        (409, b"<html>", "stranger", "what answers there is not Consul"),
    ],
)
def test_a_transaction_that_is_refused(fake, consul, status, body, code, says):
    fake.status, fake.body = status, body
    with pytest.raises(Unreachable, match=says) as raised:
        consul.commit(OPERATIONS)
    assert raised.value.code == code


def test_what_consul_would_not_take_is_not_sent(fake, consul):
    with pytest.raises(TooLarge, match="under a, b is too large for Consul, which takes 524288 bytes") as raised:
        consul.commit([Write("b", b"x" * 393216), Write("a", b"")])
    assert raised.value.code == "too_large"
    assert not fake.requests


def test_a_key_is_read_with_its_flags(fake, consul):
    fake.body = json.dumps([{"Key": "a", "Value": "eA==", "ModifyIndex": 42, "Flags": 9}]).encode()
    assert consul.get("a") == Entry(b"x", 42, 9)
