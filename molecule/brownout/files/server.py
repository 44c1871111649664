# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A server that says which one it is. It is ill, or slow, while a file of its port says so."""

from __future__ import annotations

import http.server
import os
import sys
import time

ADDRESS, PORT = sys.argv[1], sys.argv[2]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/healthz":
            self._answer(503 if os.path.exists(f"/run/{PORT}.ill") else 200)
            return
        if os.path.exists(f"/run/{PORT}.slow"):
            time.sleep(3)
        self._answer(200)

    def _answer(self, status: int) -> None:
        body = PORT.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_words: object) -> None:
        """The journal has nothing to learn from it."""


http.server.ThreadingHTTPServer.request_queue_size = 128
http.server.ThreadingHTTPServer((ADDRESS, int(PORT)), Handler).serve_forever()
