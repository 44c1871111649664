# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ask a site without a pause between two requests, mark its servers for a while, and tell what came of it as JSON.

``drive.py SITE MARK SECONDS AFTER TOKEN_FILE PORT…``: each port is marked as MARK (``ill`` or ``slow``) for SECONDS,
and asking goes on for AFTER seconds more. A request that fails is not sent again.
"""

from __future__ import annotations

import collections
import http.client
import json
import os
import pathlib
import sys
import threading
import time

SITE, MARK = sys.argv[1:3]
SECONDS, AFTER = (float(word) for word in sys.argv[3:5])
TOKEN = pathlib.Path(sys.argv[5]).read_text(encoding="utf-8").strip()
PORTS = sys.argv[6:]
#: Seconds of asking before the servers are marked.
BEFORE = 3.0
THREADS = 6
PAUSE = 0.03

begin = time.monotonic()
answers: list[tuple[float, int, str]] = []


def ask(host: str, port: int, path: str, headers: dict[str, str]) -> tuple[int, str]:
    connection = http.client.HTTPConnection(host, port, timeout=20)
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except OSError as error:
        return 0, str(error)
    finally:
        connection.close()


def load() -> None:
    while (at := time.monotonic() - begin) < BEFORE + SECONDS + AFTER:
        status, text = ask("127.0.0.1", 80, "/", {"Host": f"{SITE}.example.com"})
        # A request counts for the second in which it was sent.
        answers.append((at, status, text))
        time.sleep(PAUSE)


def failing() -> int:
    """How many instances do not pass their checks, as Consul has it."""
    _status, text = ask("127.0.0.1", 8500, f"/v1/health/service/{SITE}", {"X-Consul-Token": TOKEN})
    return sum(any(check["Status"] == "critical" for check in each["Checks"]) for each in json.loads(text))


def main() -> None:
    threads = [threading.Thread(target=load) for _number in range(THREADS)]
    for thread in threads:
        thread.start()
    time.sleep(BEFORE)
    most = 0
    for port in PORTS:
        pathlib.Path(f"/run/{port}.{MARK}").touch()
    try:
        ends = time.monotonic() + SECONDS
        while time.monotonic() < ends:
            most = max(most, failing())
            time.sleep(0.5)
    finally:
        for port in PORTS:
            os.unlink(f"/run/{port}.{MARK}")
    for thread in threads:
        thread.join()

    healed = BEFORE + SECONDS
    servers: dict[int, set[str]] = collections.defaultdict(set)
    for at, status, text in answers:
        if status == 200:
            servers[int(at)].add(text)
    told = {
        "requests": len(answers),
        "failing": most,
        "statuses": collections.Counter(str(status) for _at, status, _text in answers),
        "by_server": collections.Counter(text for _at, status, text in answers if status == 200),
        # The last second is cut off.
        "fewest_servers_in_a_second": min((len(who) for second, who in sorted(servers.items())[:-1]), default=0),
        "last_failure_after": max((at - healed for at, status, _text in answers if status != 200), default=-healed),
        "seconds_without_an_answer": [s for s in range(int(healed + AFTER)) if not servers.get(s)],
    }
    print(json.dumps(told))


main()
