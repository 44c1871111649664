# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``python3 -m reference_api`` serves until SIGTERM, then finishes the requests that it has."""

from __future__ import annotations

import logging
import os
import socket
import sys

import uvicorn

from .app import create_app
from .settings import Settings, SettingsError

#: Longer than nginx keeps an idle connection to an upstream (60 s): else nginx would send a request into a connection
#: that is just being closed here, and a POST that meets this is answered with a 502.
KEEP_ALIVE = 75

#: Connections that wait to be accepted, uvicorn's own number.
_BACKLOG = 2048
#: Exit statuses (sysexits.h): a wrong configuration, and a port or an address that is not to be had, perhaps not yet.
_EX_CONFIG, _EX_UNAVAILABLE = 78, 69


def main() -> int:
    try:
        settings = Settings.from_environment(os.environ)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return _EX_CONFIG
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    # The pool reports each lost connection at length; the watch says the same once.
    logging.getLogger("psycopg").setLevel(logging.ERROR)
    try:
        sockets = [listen(address, settings.port) for address in settings.listen_addresses]
    except OSError as error:
        print(error, file=sys.stderr)
        return _EX_UNAVAILABLE
    config = uvicorn.Config(
        create_app(settings),
        timeout_keep_alive=KEEP_ALIVE,
        access_log=False,
        server_header=False,
        log_config=None,
        backlog=_BACKLOG,
    )
    server = uvicorn.Server(config)
    server.run(sockets=sockets)
    return 0 if server.started else 1


def listen(address: str, port: int) -> socket.socket:
    """
    :raises OSError: it is no address of this host, or the port is taken; the message is a sentence.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        return socket.create_server((address, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise OSError(f"Cannot listen on {address} port {port}: {os.strerror(error.errno or 0)}.") from error


if __name__ == "__main__":
    sys.exit(main())
