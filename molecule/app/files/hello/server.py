# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A small application: it greets, and is as healthy as HEALTH says; 0 never answers."""

from __future__ import annotations

import os
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status = int(os.environ.get("HEALTH", "200")) if self.path == "/healthz" else 200
        while status == 0:
            time.sleep(1)
        self.send_response(status)
        self.end_headers()
        self.wfile.write(f"{os.environ['GREETING']}, {len(os.environ['KEY'])}\n".encode())


ThreadingHTTPServer(("", int(os.environ["PORT"])), Handler).serve_forever()
