# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``python3 -m api_lab.serve`` serves the API, with caches, until its standard input ends; it prints the port."""

from __future__ import annotations

import pathlib
import shutil
import sys
import tempfile

from .cache import PASSWORD, Cache
from .lab import Lab
from .server import ApiServer


def main() -> None:
    # As in conftest.py: PostgreSQL may have to run as another user.
    directory = pathlib.Path(tempfile.mkdtemp(prefix="reference-api-"))
    directory.chmod(0o755)
    lab, cache = Lab(directory), Cache(directory)
    caches = ",".join(f"{kind}=127.0.0.1:{cache.port}" for kind in ("tasks", "habits", "goals", "users"))
    api = ApiServer(lab.consul.address, directory / "api.log", CACHES=caches, CACHE_PASSWORD=PASSWORD)
    try:
        cache.start()
        lab.start()
        api.start()
        print(api.port, flush=True)
        sys.stdin.read()
    finally:
        api.kill()
        lab.stop()
        cache.stop()
        print(api.log.read_text()[-20_000:], file=sys.stderr)
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
