# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Print what this host has of PgBouncer as one JSON object, and change nothing.

The arguments are the port, the address that clients use, the PostgreSQL port, and the databases. It runs as root, and
on a host that has neither PgBouncer nor PostgreSQL: one question serves a bare host, a dead pooler and a live one.
"""

from __future__ import annotations

import json
import os
import pwd
import socket
import subprocess
import sys
import time
import typing as t

USER = "pgbouncer"
SOCKETS = "/run/pgbouncer"
UNIT = "pgbouncer.service"
READ_ON_RELOAD = ("/etc/pgbouncer/pgbouncer.ini", "/etc/pgbouncer/hba.conf")
READ_ON_START = "/etc/systemd/system/pgbouncer.service.d/scaleout.conf"
#: What is between two fields: no name and no setting holds it.
SEPARATOR = "\x1f"

SERVER = """SELECT pg_is_in_recovery(), current_setting('max_connections'),
current_setting('superuser_reserved_connections'),
(SELECT NOT (rolsuper OR rolreplication OR rolcreaterole OR rolcreatedb OR rolbypassrls) AND rolcanlogin
  AND rolpassword IS NULL FROM pg_authid WHERE rolname = 'pgbouncer'),
(SELECT json_agg(datname) FROM pg_database)"""

FUNCTION = """SELECT json_build_object('body', prosrc, 'config', proconfig, 'definer', prosecdef,
'of_superuser', (SELECT rolsuper FROM pg_roles WHERE oid = proowner),
'may', (SELECT json_agg(DISTINCT a.grantee::regrole::text) FROM aclexplode(proacl) a
        WHERE a.grantee <> proowner OR a.grantee = 0),
'reached', has_schema_privilege('pgbouncer', pronamespace, 'USAGE'))
FROM pg_proc WHERE oid = to_regprocedure('pgbouncer.secret_of(text)')"""

PROBE = "SELECT count(*) FROM pgbouncer.secret_of('')"


def query(user: str, host: str, port: str, database: str, sql: str) -> tuple[list[list[str]], str]:
    """Ask over a unix socket, as the user of the operating system and of the database of that name.

    :returns: the rows, and the reason why there are none, empty when the query succeeded.
    """
    command = ["runuser", "-u", user, "--", "psql", "--no-psqlrc", "--no-password", "--no-align", "--tuples-only"]
    command += ["--field-separator", SEPARATOR, "--host", host, "--port", port, "--username", user]
    environment = {**os.environ, "PGDATABASE": database, "PGCONNECT_TIMEOUT": "5", "LC_ALL": "C"}
    try:
        answer = subprocess.run(
            [*command, "--command", sql],
            env=environment,
            cwd="/",
            timeout=10,
            capture_output=True,
            text=True,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return [], str(error)
    if answer.returncode:
        return [], " ".join(answer.stderr.split())
    return [line.split(SEPARATOR) for line in answer.stdout.splitlines()], ""


def modified(path: str) -> float:
    """Return a file's time in seconds since the epoch; 0 when there is none."""
    try:
        return os.stat(path).st_mtime
    except OSError:
        return 0.0


def unit() -> dict[str, t.Any]:
    """Return whether the unit runs, starts at boot, and has read the files that are on disk."""
    names = "ActiveState,UnitFileState,StateChangeTimestampMonotonic,ActiveEnterTimestampMonotonic,NeedDaemonReload"
    answer = subprocess.run(
        ["systemctl", "show", UNIT, "--property", names], capture_output=True, text=True, check=False
    ).stdout
    properties = dict(line.split("=", 1) for line in answer.splitlines() if "=" in line)
    boot = time.time() - time.monotonic()

    def since(name: str) -> float:
        return boot + int(properties.get(name) or 0) / 1e6

    return {
        "running": properties.get("ActiveState") == "active",
        "enabled": properties.get("UnitFileState") == "enabled",
        # The unit's state changes with each start and each reload.
        "unread": any(modified(path) > since("StateChangeTimestampMonotonic") for path in READ_ON_RELOAD),
        "outdated": properties.get("NeedDaemonReload") == "yes"
        or modified(READ_ON_START) > since("ActiveEnterTimestampMonotonic"),
    }


def listens(address: str, port: str) -> bool:
    """Return whether it is PgBouncer's user, not another service, that takes connections to the address."""
    try:
        owner = f"uid:{pwd.getpwnam(USER).pw_uid}"
        places = {info[4][0] for info in socket.getaddrinfo(address, int(port), type=socket.SOCK_STREAM)}
        command = ["ss", "--no-header", "--listening", "--tcp", "--numeric", "--extended", "sport", "=", f":{port}"]
        answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (KeyError, OSError, ValueError, subprocess.CalledProcessError):
        return False
    lines = [line.split() for line in answer.splitlines() if owner in line.split()]
    return any(line[3].rsplit(":", 1)[0].strip("[]") in places | {"*", "0.0.0.0", "::"} for line in lines)


def server(port: str, databases: list[str]) -> dict[str, t.Any] | None:
    """Return what PostgreSQL behind the pooler is and has; None when it does not answer."""
    rows, _reason = query("postgres", "/run/postgresql", port, "postgres", SERVER)
    if not rows:
        return None
    recovery, connections, reserved, role, names = rows[0]
    present = json.loads(names)
    functions = {}
    for database in set(databases).intersection(present) if role else ():
        found, _reason = query("postgres", "/run/postgresql", port, database, FUNCTION)
        functions[database] = json.loads(found[0][0]) if found else None
    return {
        "in_recovery": recovery == "t",
        "connections": int(connections) - int(reserved),
        "role": role == "t",
        "databases": present,
        "functions": functions,
    }


def main() -> None:
    """Print the state."""
    port, address, server_port, *databases = sys.argv[1:]
    try:
        pwd.getpwnam(USER)
        user = True
    except KeyError:
        user = False
    state = {"user": user, "unit": unit(), "server": server(server_port, databases)}
    settings, state["reason"] = query(USER, SOCKETS, port, "pgbouncer", "SHOW CONFIG")
    pools, _reason = query(USER, SOCKETS, port, "pgbouncer", "SHOW DATABASES") if settings else ([], "")
    state["settings"] = {row[0]: row[1] for row in settings}
    state["fixed"] = [row[0] for row in settings if row[-1] == "no"]
    state["pools"] = sorted(row[0] for row in pools if row[0] != "pgbouncer")
    state["listens"] = bool(settings) and listens(address, port)
    failures = {name: query(USER, SOCKETS, port, name, PROBE)[1] for name in databases if settings}
    state["failures"] = {name: reason for name, reason in failures.items() if reason}
    print(json.dumps(state))


main()
