# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Passes requests on to Consul, and plays its client's rival: changes a key after the client has read it."""

from __future__ import annotations

import argparse
import http.client
import http.server

CONSUL = 8500

parser = argparse.ArgumentParser()
parser.add_argument("port", type=int, help="to listen on")
parser.add_argument("requests", type=int, help="after how many it ends")
parser.add_argument("--address", default="", help="to listen on; without one, all of them")
parser.add_argument("--key", help="that the rival writes")
parser.add_argument("--times", type=int, default=0, help="how often the rival writes it")
parser.add_argument("--value", help="that the rival writes; without one, another text of the value that is there")
arguments = parser.parse_args()


class Relay(http.server.BaseHTTPRequestHandler):
    times = arguments.times

    def forward(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        token = {"X-Consul-Token": self.headers.get("X-Consul-Token") or ""}
        status, body = ask(self.command, self.path, sent, token)
        if self.command == "GET" and Relay.times and reads_key(self.path):
            Relay.times -= 1
            write_key(token)
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = forward  # noqa: N815 (the names that http.server calls)


def reads_key(path: str) -> bool:
    """Whether the key is read, alone or with all that begin with the same folder."""
    return f"/v1/kv/{arguments.key}".startswith(path.partition("?")[0])


def write_key(token: dict[str, str]) -> None:
    path = f"/v1/kv/{arguments.key}"
    # One more space at the end is another value and the same document.
    value = arguments.value.encode() if arguments.value else ask("GET", path + "?raw", b"", token)[1] + b" "
    ask("PUT", path, value, token)


def ask(method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
    consul = http.client.HTTPConnection("127.0.0.1", CONSUL, timeout=10)
    consul.request(method, path, body, headers)
    response = consul.getresponse()
    return response.status, response.read()


server = http.server.HTTPServer((arguments.address, arguments.port), Relay)
for _request in range(arguments.requests):
    server.handle_request()
