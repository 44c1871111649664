# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Passes requests on to Consul, which listens on its own host alone.

Arguments: the port to listen on, Consul's port, and the number of requests after which it ends; an address to
listen on, without one all of them.
"""

from __future__ import annotations

import http.client
import http.server
import sys

LISTEN, CONSUL, REQUESTS = (int(argument) for argument in sys.argv[1:4])


class Relay(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        consul = http.client.HTTPConnection("127.0.0.1", CONSUL, timeout=10)
        consul.request("GET", self.path, headers={"X-Consul-Token": self.headers.get("X-Consul-Token") or ""})
        response = consul.getresponse()
        body = response.read()
        self.send_response(response.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


server = http.server.HTTPServer((sys.argv[4] if len(sys.argv) > 4 else "", LISTEN), Relay)
for _request in range(REQUESTS):
    server.handle_request()
