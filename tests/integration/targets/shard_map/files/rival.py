# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Stands between a client and Consul, and writes the key itself each time that the client has read it alone.

Arguments: the port to listen on, Consul's port, and the number of requests after which it ends.
"""

from __future__ import annotations

import http.client
import http.server
import sys

LISTEN, CONSUL, REQUESTS = (int(argument) for argument in sys.argv[1:4])


class Rival(http.server.BaseHTTPRequestHandler):
    def forward(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        token = {"X-Consul-Token": self.headers.get("X-Consul-Token") or ""}
        status, body = ask(self.command, self.path, sent, token)
        if self.command == "GET" and "?" not in self.path:
            ask("PUT", self.path, b"the rival was here", token)
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = forward  # noqa: N815 (the names that http.server calls)


def ask(method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
    consul = http.client.HTTPConnection("127.0.0.1", CONSUL, timeout=10)
    consul.request(method, path, body, headers)
    response = consul.getresponse()
    return response.status, response.read()


server = http.server.HTTPServer(("127.0.0.1", LISTEN), Rival)
for _request in range(REQUESTS):
    server.handle_request()
