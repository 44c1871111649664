# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A small application that counts what it answers, as Prometheus reads it, and ends once it has answered."""

from __future__ import annotations

import os
import signal
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ANSWERED = {"count": 0}
LOCK = threading.Lock()


class Answers(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/metrics":
            text = f'# TYPE http_requests_total counter\nhttp_requests_total{{code="200"}} {ANSWERED["count"]}\n'
        else:
            text = "{}"
            if self.path != "/healthz":
                with LOCK:
                    ANSWERED["count"] += 1
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json" if text == "{}" else "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Server-Name", socket.gethostname())
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments):
        """Say nothing."""


class Server(ThreadingHTTPServer):
    # Answers that are on their way are finished.
    daemon_threads = False
    request_queue_size = 256


server = Server(("0.0.0.0", int(os.environ["PORT"])), Answers)
signal.signal(signal.SIGTERM, lambda *_given: threading.Thread(target=server.shutdown).start())
server.serve_forever()
server.server_close()
