# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A small shop: it takes orders and shows them. Nothing in it knows the platform; libpq's variables name the database.

POST /orders with {"item": …} answers 201 and the order, GET /orders/<id> answers the order.
"""

from __future__ import annotations

import json
import os
import signal
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import psycopg2

#: An idle connection of the load balancer is kept longer than the load balancer keeps it (keepalive_timeout of nginx).
IDLE_SECONDS = 120
LONGEST_BODY = 10_000
INSERT = "INSERT INTO orders (item) VALUES (%s) RETURNING id, item, packed"
SELECT = "SELECT id, item, packed FROM orders WHERE id = %s"


def ask(statement: str, *values: object) -> dict[str, Any] | None:
    """Run one statement in a transaction of its own; the pooler makes connections cheap."""
    connection = psycopg2.connect("", connect_timeout=5)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(statement, values)
            row = cursor.fetchone()
            return dict(zip(("id", "item", "packed"), row)) if row else None
    finally:
        connection.close()


class Handler(BaseHTTPRequestHandler):
    """One connection of the load balancer."""

    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Answer the health check, or show an order."""
        _unused, *words = self.path.split("/")
        if words == ["healthz"]:
            self.answer(200, {"healthy": True})
        elif len(words) == 2 and words[0] == "orders" and words[1].isdecimal():
            self.answer_order(200, SELECT, int(words[1]))
        else:
            self.answer(404, {"error": "There is nothing here."})

    def do_POST(self) -> None:
        """Take an order."""
        length = int(self.headers.get("Content-Length") or 0)
        if length > LONGEST_BODY:
            self.close_connection = True
            self.answer(413, {"error": "An order is shorter."})
            return
        body = self.rfile.read(length)
        try:
            item = json.loads(body)["item"]
        except (ValueError, TypeError, KeyError):
            item = None
        if self.path != "/orders":
            self.answer(404, {"error": "There is nothing here."})
        elif not isinstance(item, str) or not item:
            self.answer(422, {"error": "item must be a text."})
        else:
            self.answer_order(201, INSERT, item)

    def answer_order(self, status: int, statement: str, value: object) -> None:
        """Answer with the order that a statement returns."""
        try:
            order = ask(statement, value)
        except psycopg2.Error as error:
            self.log_message("%s", error)
            self.answer(503, {"error": "The database does not answer."})
            return
        self.answer(status if order else 404, order or {"error": "There is no such order."})

    def answer(self, status: int, document: object) -> None:
        """Send a document."""
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Server-Name", os.uname().nodename)
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """The load balancers log requests."""


def main() -> None:
    """Serve until SIGTERM; the load balancers have stopped sending requests by then."""
    server = ThreadingHTTPServer(("", int(os.environ["PORT"])), Handler)
    server.daemon_threads = True
    signal.signal(signal.SIGTERM, lambda *_unused: threading.Thread(target=server.shutdown).start())
    server.serve_forever()


if __name__ == "__main__":
    main()
