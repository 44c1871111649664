# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A small application whose releases differ by the file `mode`: a sound one's is its name, a broken one's is how."""

from __future__ import annotations

import json
import os
import pathlib
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MODE = (pathlib.Path(__file__).parent / "mode").read_text().strip()
HOST = os.uname().nodename

if MODE == "does not start":
    sys.exit("this release does not start")
if MODE == "dies":
    threading.Timer(3, os._exit, [4]).start()
if MODE == "leaks":
    kept = []

    def leak() -> None:
        """Take 32 MB a second, so that it passes its limit of 128 MB."""
        while True:
            kept.append(b"x" * (8 << 20))
            time.sleep(0.25)

    threading.Thread(target=leak, daemon=True).start()


class Answer(BaseHTTPRequestHandler):
    """Says its release."""

    def do_GET(self) -> None:
        """Answer any path."""
        is_broken = MODE == "answers 500" or f"answers 500 on {HOST}" == MODE
        body = json.dumps({"edition": MODE}).encode()
        self.send_response(500 if is_broken else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Server-Name", HOST)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


ThreadingHTTPServer(("", int(os.environ["PORT"])), Answer).serve_forever()
