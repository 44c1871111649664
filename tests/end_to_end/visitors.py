# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Visitors of any application during a test: modest load without a retry, and what came of it."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

#: Visits in a second to each application, all its visitors together.
RATE = 5
VISITORS = 4
TIMEOUT = 15.0


@dataclass
class Seen:
    """What the visitors of a site saw.

    :param site: its name, which is the ``Host`` header.
    :param failed: how each failed request failed.
    :param kept: what was acknowledged, by its key.
    :param told: how often each value of ``tells`` was answered.
    :param tells: the header of an answer to count.
    """

    site: str
    tells: str = "Server-Name"
    asked: int = 0
    failed: list[str] = field(default_factory=list)
    kept: dict[Any, Any] = field(default_factory=dict)
    told: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def ask(
        self, address: str, method: str, path: str, document: object = None, expected: int = 200, **headers: str
    ) -> Any:
        """Send one request and count it; returns the document that was answered, or None when it failed."""
        answer, told = None, ""
        try:
            status, told, answer = ask(address, self.site, method, path, document, self.tells, **headers)
            problem = "" if status == expected else f"status {status}"
        except (OSError, http.client.HTTPException) as error:
            problem = type(error).__name__
        with self.lock:
            self.asked += 1
            if problem:
                self.failed.append(f"{method} at {address}: {problem}")
            else:
                self.told[told] += 1
        return None if problem else answer

    def keep(self, key: Any, value: Any) -> None:
        """Note what was acknowledged."""
        with self.lock:
            self.kept[key] = value

    def tell(self, title: str) -> None:
        """Print it."""
        failed = dict(Counter(self.failed)) or ""
        print(
            f"\n{title}: {self.site}: {self.asked} requests in {self.seconds:.0f} s, no retries; failed "
            f"{len(self.failed)} {failed}; {self.tells}: {dict(self.told)}",
            flush=True,
        )


def ask(
    address: str,
    site: str,
    method: str,
    path: str,
    document: object = None,
    tells: str = "Server-Name",
    **headers: str,
) -> tuple[int, str, Any]:
    """Send one request over a connection of its own; returns the status, a header, and the document if it is JSON."""
    connection = http.client.HTTPConnection(address, timeout=TIMEOUT)
    try:
        sent = {"Host": site, "Content-Type": "application/json", **headers}
        connection.request(method, path, None if document is None else json.dumps(document), sent)
        answer = connection.getresponse()
        text = answer.read()
        is_json = "json" in (answer.getheader("Content-Type") or "")
        return answer.status, answer.getheader(tells) or "", json.loads(text) if is_json and text else text.decode()
    finally:
        connection.close()


@contextlib.contextmanager
def visiting(*kinds: tuple[Seen, Callable[[Seen, int], None]]) -> Iterator[None]:
    """Visitors of each kind during the block; a visit is told the how manieth it is."""
    stop = threading.Event()

    def visitor(seen: Seen, visit: Callable[[Seen, int], None], number: int) -> None:
        while not stop.wait(VISITORS / RATE):
            visit(seen, number)
            number += VISITORS

    threads = [
        threading.Thread(target=visitor, args=(seen, visit, number))
        for seen, visit in kinds
        for number in range(VISITORS)
    ]
    begin = time.monotonic()
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        for seen, _visit in kinds:
            seen.seconds = time.monotonic() - begin
