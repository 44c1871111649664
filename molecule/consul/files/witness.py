"""Writes a key again and again through the agent of this host, and keeps count in a file.

The file has the number of successes and the longest time without one, in seconds. The token comes by standard input;
the arguments say for how many seconds, and name the file.
"""

from __future__ import annotations

import http.client
import pathlib
import sys
import time

token, end, log = sys.stdin.read().strip(), time.monotonic() + float(sys.argv[1]), pathlib.Path(sys.argv[2])
last, longest, written = time.monotonic(), 0.0, 0
while time.monotonic() < end:
    connection = http.client.HTTPConnection("127.0.0.1", 8500, timeout=3)
    try:
        connection.request("PUT", "/v1/kv/scaleout/witness", b"1", {"X-Consul-Token": token})
        if connection.getresponse().status == 200:
            now = time.monotonic()
            longest, last, written = max(longest, now - last), now, written + 1
    except (OSError, http.client.HTTPException):
        pass
    finally:
        connection.close()
    log.write_text(f"{written} {max(longest, time.monotonic() - last):.1f}\n", encoding="ascii")
    time.sleep(0.1)
