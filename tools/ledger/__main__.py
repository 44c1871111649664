# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""`python3 -m tools.ledger --url http://172.29.84.11`: load with a memory; the report goes to standard output as JSON.

Ends with status 0 when every answer was right and every row could be verified, 1 when not, and 2 when the platform did
not even take the first users. An interrupt ends the load early; the verification and the report follow all the same.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys

from .load import CannotStart, Load, Options
from .report import is_right


def _options(arguments: list[str] | None = None) -> Options:
    defaults = Options(url="")
    parser = argparse.ArgumentParser(
        prog="tools.ledger", description="Load with a memory: finds failed requests and wrong answers."
    )
    parser.add_argument("--url", required=True, help="the load balancer's, http only")
    parser.add_argument("--rate", type=float, default=defaults.rate, help="requests per second (%(default)s)")
    parser.add_argument("--seconds", type=float, default=defaults.seconds, help="of load (%(default)s)")
    parser.add_argument("--writes", type=float, default=defaults.writes, help="share of writes, 0 to 1 (%(default)s)")
    parser.add_argument("--users", type=int, default=defaults.users, help="made before the load (%(default)s)")
    parser.add_argument("--timeout", type=float, default=defaults.timeout, help="of a request, seconds (%(default)s)")
    parser.add_argument("--seed", type=int, default=defaults.seed, help="of the client's choices (%(default)s)")
    parser.add_argument("--no-token", dest="token", action="store_false", help="do not hand session tokens back")
    return Options(**vars(parser.parse_args(arguments)))


async def _run(options: Options) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    told = await Load(options).run(stop, lambda line: print(line, file=sys.stderr, flush=True))
    json.dump(told, sys.stdout, indent=1)
    print()
    return 0 if is_right(told) else 1


def main() -> int:
    """Run; a person's problem is one sentence and status 2."""
    try:
        return asyncio.run(_run(_options()))
    except (CannotStart, ValueError) as problem:
        print(f"ledger: {problem}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
