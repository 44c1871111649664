# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Stands between a client and Consul, and changes a key after the client has read it, so often and no more.

Arguments: the port to listen on, Consul's port, the number of requests after which it ends, the key, how often, and the
value that it writes; without one, another text of the value that is there.
"""

from __future__ import annotations

import http.client
import http.server
import sys

LISTEN, CONSUL, REQUESTS = (int(argument) for argument in sys.argv[1:4])
KEY = "/v1/kv/" + sys.argv[4]


class Rival(http.server.BaseHTTPRequestHandler):
    times = int(sys.argv[5])
    value = sys.argv[6].encode() if len(sys.argv) > 6 else None

    def forward(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        token = {"X-Consul-Token": self.headers.get("X-Consul-Token") or ""}
        status, body = ask(self.command, self.path, sent, token)
        # The key is read alone, or with all that begin with the same folder.
        if self.command == "GET" and KEY.startswith(self.path.partition("?")[0]) and Rival.times:
            Rival.times -= 1
            # One more space at the end is another value and the same document.
            ask("PUT", KEY, self.value or ask("GET", KEY + "?raw", b"", token)[1] + b" ", token)
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


server = http.server.HTTPServer(("", LISTEN), Rival)
for _request in range(REQUESTS):
    server.handle_request()
