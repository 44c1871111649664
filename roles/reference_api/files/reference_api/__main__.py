# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``python3 -m reference_api`` serves until SIGTERM, then finishes the requests that it has."""

from __future__ import annotations

import logging
import os
import sys

import uvicorn

from .app import create_app
from .settings import Settings, SettingsError

#: Longer than nginx keeps an idle connection to an upstream (60 s): else nginx would send a request into a connection
#: that is just being closed here, and a POST that meets this is answered with a 502.
KEEP_ALIVE = 75

#: The exit status for a wrong configuration (sysexits.h).
_EX_CONFIG = 78


def main() -> int:
    try:
        settings = Settings.from_environment(os.environ)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return _EX_CONFIG
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    # The pool reports each lost connection at length; the watch says the same once.
    logging.getLogger("psycopg").setLevel(logging.ERROR)
    uvicorn.run(
        create_app(settings),
        host="0.0.0.0",
        port=settings.port,
        timeout_keep_alive=KEEP_ALIVE,
        access_log=False,
        server_header=False,
        log_config=None,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
