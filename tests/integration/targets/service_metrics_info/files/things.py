# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is to be measured: `things.py serve PORT`, `visit PORT GOOD BROKEN`, `hold PORT SECONDS`, `burn SECONDS`."""

from __future__ import annotations

import http.server
import socket
import sys
import time
import urllib.request

COUNTS = {"200": 0, "500": 0}
METRICS = """\
# TYPE http_requests_total counter
http_requests_total{{status="200"}} {0}
http_requests_total{{status="500"}} {1}
# TYPE http_request_duration_seconds histogram
http_request_duration_seconds_bucket{{le="0.01"}} {0}
http_request_duration_seconds_bucket{{le="+Inf"}} {2}
"""


class Application(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        metrics = self.path == "/metrics"
        if not metrics:
            COUNTS["500" if self.path == "/broken" else "200"] += 1
        self.send_response(200)
        self.end_headers()
        if metrics:
            self.wfile.write(METRICS.format(*COUNTS.values(), sum(COUNTS.values())).encode())


def serve(port):
    http.server.ThreadingHTTPServer(("127.0.0.1", port), Application).serve_forever()


def visit(port, good, broken):
    for path in ["/"] * good + ["/broken"] * broken:
        urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5).close()


def hold(port, seconds):
    """Five connections and 200 MB of memory."""
    memory = bytearray(b"x") * (200 * 1024**2)
    connections = [socket.create_connection(("127.0.0.1", port)) for _number in range(5)]
    time.sleep(seconds)
    del memory, connections


def burn(seconds):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        sum(range(1000))


if __name__ == "__main__":
    {"serve": serve, "visit": visit, "hold": hold, "burn": burn}[sys.argv[1]](*map(int, sys.argv[2:]))
