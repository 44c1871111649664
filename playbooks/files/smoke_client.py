# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Makes users and tasks through the load balancer and says, as JSON, what was answered.

    smoke_client.py --users=200 http://lb      writes; prints users, tasks_per_user, requests, failed, errors,
                                               served_by, and cache: what X-Cache said of a task's second read
    smoke_client.py --delete http://lb         deletes the users whose ids stand on standard input

A request that fails is counted and named, never tried again.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import http.client
import json
import sys
import threading
import urllib.parse
from collections import Counter

TASKS_PER_USER = 2
CONCURRENCY = 8
TIMEOUT_SECONDS = 15


class Client:
    """One client of the API: a connection for each thread, counts for all of them."""

    def __init__(self, url: str) -> None:
        self._address = urllib.parse.urlsplit(url).netloc
        self._local = threading.local()
        self._lock = threading.Lock()
        self.served_by: Counter[str] = Counter()
        self.cache: Counter[str] = Counter()
        self.errors: list[str] = []
        self.requests = 0

    def call(self, method: str, path: str, body: dict | None = None, expect: int = 200) -> dict | None:
        """One request; returns its JSON answer, or None when it failed."""
        try:
            if not hasattr(self._local, "connection"):
                self._local.connection = http.client.HTTPConnection(self._address, timeout=TIMEOUT_SECONDS)
            headers = {"Content-Type": "application/json"}
            self._local.connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            answer = self._local.connection.getresponse()
            text = answer.read()
            self._local.cache = answer.headers.get("X-Cache", "none")
        except (OSError, http.client.HTTPException) as problem:
            self._count(None, f"{method} {path}: {problem!r}")
            del self._local.connection
            return None
        wrong = None if answer.status == expect else f"{method} {path}: {answer.status} {text[:200]!r}"
        self._count(answer.headers.get("X-Served-By"), wrong)
        if wrong is not None:
            return None
        return json.loads(text) if text else {}

    def note_cache(self) -> None:
        """Count what the last answer to this thread said of the cache."""
        with self._lock:
            self.cache[self._local.cache] += 1

    def note(self, problem: str) -> None:
        """Count an answer that came and was wrong."""
        with self._lock:
            self.errors.append(problem)

    def _count(self, server: str | None, error: str | None) -> None:
        with self._lock:
            self.requests += 1
            if server:
                self.served_by[server] += 1
            if error:
                self.errors.append(error)


def make_user(client: Client, number: int) -> str | None:
    """A user with its tasks, read back as a caller would; returns the user's id."""
    user = client.call("POST", "/users", {"name": f"Smoke {number}", "email": f"smoke{number}@example.org"}, 201)
    if user is None:
        return None
    path = f"/users/{user['id']}"
    tasks = [client.call("POST", f"{path}/tasks", {"title": f"Task {task}"}, 201) for task in range(TASKS_PER_USER)]
    if tasks[0] is not None:
        client.call("PATCH", f"{path}/tasks/{tasks[0]['id']}", {"status": "completed"})
    if tasks[1] is not None:
        for _unused in range(2):
            client.call("GET", f"{path}/tasks/{tasks[1]['id']}")
        client.note_cache()
    seen = client.call("GET", path)
    if seen is not None and seen["name"] != user["name"]:
        client.note(f"GET {path}: another name than was written")
    return user["id"]


def main() -> int:
    """Run one of the two verbs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=200)
    parser.add_argument("--delete", action="store_true")
    parser.add_argument("url")
    options = parser.parse_args()
    client = Client(options.url)
    with concurrent.futures.ThreadPoolExecutor(CONCURRENCY) as pool:
        if options.delete:
            list(pool.map(lambda user: client.call("DELETE", f"/users/{user}", None, 204), json.load(sys.stdin)))
            users = []
        else:
            users = [user for user in pool.map(lambda n: make_user(client, n), range(options.users)) if user]
    json.dump(
        {
            "users": users,
            "wanted": options.users,
            "tasks_per_user": TASKS_PER_USER,
            "requests": client.requests,
            "failed": len(client.errors),
            "errors": client.errors[:10],
            "served_by": client.served_by,
            "cache": client.cache,
        },
        sys.stdout,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
