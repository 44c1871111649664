# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PgBouncer and the PostgreSQL behind it: reads what they have, and knows whether the pooler runs with its files."""

from __future__ import annotations

import json
import pwd
import re
import socket
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.process import run
from ansible_collections.scaleout.platform.plugins.module_utils.services import pgbouncer
from ansible_collections.scaleout.platform.plugins.module_utils.services.drivers import files
from ansible_collections.scaleout.platform.plugins.module_utils.services.drivers.unit import Driver
from ansible_collections.scaleout.platform.plugins.module_utils.transaction import NONE, RELOAD, RESTART

USER = "pgbouncer"
CONFIGURATION = "/etc/pgbouncer/pgbouncer.ini"
SOCKETS = "/run/pgbouncer"
#: What is between two fields: no name and no setting holds it.
SEPARATOR = "\x1f"

_INCLUDE = "%include "
_INCLUDED = re.compile(r"^%include .*$", re.MULTILINE)

SERVER = """SELECT json_build_object('in_recovery', pg_is_in_recovery(),
'connections', current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,
'role', coalesce((SELECT NOT (rolsuper OR rolreplication OR rolcreaterole OR rolcreatedb OR rolbypassrls)
  AND rolcanlogin FROM pg_authid WHERE rolname = 'pgbouncer'), false),
'databases', (SELECT json_agg(datname) FROM pg_database))"""

FUNCTION = """SELECT json_build_object('body', prosrc, 'config', proconfig, 'definer', prosecdef,
'of_superuser', (SELECT rolsuper FROM pg_roles WHERE oid = proowner),
'may', (SELECT json_agg(DISTINCT a.grantee::regrole::text) FROM aclexplode(proacl) a
        WHERE a.grantee <> proowner OR a.grantee = 0),
'reached', has_schema_privilege('pgbouncer', pronamespace, 'USAGE'))
FROM pg_proc WHERE oid = to_regprocedure('pgbouncer.secret_of(text)')"""

PROBE = "SELECT count(*) FROM pgbouncer.secret_of('')"


class Rows(t.NamedTuple):
    """An answer; ``reason`` says why there is none, and is empty when there is one."""

    rows: list[list[str]]
    reason: str


def query(user: str, host: str, port: int, database: str, sql: str, header: bool = False) -> Rows:
    """Ask over a unix socket, as the user of the operating system and of the database of that name.

    :param header: whether the names of the columns come first.
    """
    psql = ["psql", "--no-psqlrc", "--no-password", "--no-align", "--field-separator", SEPARATOR]
    psql += ["--pset", "footer=off"] if header else ["--tuples-only"]
    command = [*psql, f"--host={host}", f"--port={port}", f"--username={user}", "--command", sql]
    environment = {"PGDATABASE": database, "PGCONNECT_TIMEOUT": "5"}
    done = run(["runuser", f"--user={user}", "--", *command], 10, "", environment)
    if done.status:
        return Rows([], done.said)
    return Rows([line.split(SEPARATOR) for line in done.output.splitlines()], "")


def read(databases: t.Sequence[str], server_port: int, port: int | None = None) -> dict[str, t.Any]:
    """Return what the host has of PgBouncer and of its server, on a bare host too.

    :param port: of the pooler; None for the one that its configuration on the disk has.
    """
    config = console(port if port is not None else ini_of(files.text(CONFIGURATION)).port, "SHOW CONFIG")
    return {
        "user": has_user(),
        "server": server(server_port, databases),
        "settings": settings_of(config.rows),
        "fixed": fixed_of(config.rows),
        "reason": config.reason,
    }


def console(port: int, command: str, header: bool = False) -> Rows:
    """Ask PgBouncer itself."""
    return query(USER, SOCKETS, port, "pgbouncer", command, header)


def settings_of(rows: t.Iterable[t.Sequence[str]]) -> dict[str, str]:
    """Return the settings of ``SHOW CONFIG``, by name."""
    return {row[0]: row[1] for row in rows if len(row) > 1}


def fixed_of(rows: t.Iterable[t.Sequence[str]]) -> list[str]:
    """Return those of them that PgBouncer reads when it starts only."""
    return [row[0] for row in rows if row[-1] == "no"]


def pools_of(rows: t.Iterable[t.Sequence[str]]) -> list[str]:
    """Return the pools of ``SHOW DATABASES``; its own console is none."""
    return sorted(row[0] for row in rows if row[0] != "pgbouncer")


class Ini(t.NamedTuple):
    """What a ``pgbouncer.ini`` says: its settings, and the names of its databases."""

    settings: dict[str, str]
    databases: list[str]

    @property
    def port(self) -> int:
        """The port; PgBouncer's own where the file names none."""
        given = self.settings.get("listen_port", "")
        return int(given) if given.isdigit() else 6432

    @property
    def addresses(self) -> list[str]:
        """Where it listens."""
        return [part.strip() for part in self.settings.get("listen_addr", "").split(",") if part.strip()]


def ini_of(text: str) -> Ini:
    """Read a ``pgbouncer.ini``, with what it includes."""
    included = (files.text(line[len(_INCLUDE) :].strip()) for line in text.splitlines() if line.startswith(_INCLUDE))
    text = _INCLUDED.sub(lambda _line: next(included), text)
    found: dict[str, dict[str, str]] = {"pgbouncer": {}, "databases": {}}
    section = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
        elif line and line[0] not in ";#" and "=" in line:
            name, _equals, value = line.partition("=")
            found.setdefault(section, {})[name.strip()] = value.strip()
    return Ini(found["pgbouncer"], sorted(found["databases"]))


def listens(addresses: t.Collection[str], owner: str, output: str) -> bool:
    """Whether a user's process takes connections to one of the addresses.

    :param output: of ``ss --listening --tcp --numeric --extended`` for the port.
    """
    lines = [line.split() for line in output.splitlines() if owner in line.split()]
    wanted = {*addresses, "*", "0.0.0.0", "::"}
    return any(line[3].rsplit(":", 1)[0].strip("[]") in wanted for line in lines if len(line) > 3)


def has_user() -> bool:
    """Whether the user that PgBouncer runs as is there."""
    try:
        pwd.getpwnam(USER)
    except KeyError:
        return False
    return True


def server(port: int, databases: t.Sequence[str]) -> dict[str, t.Any] | None:
    """Return what PostgreSQL behind the pooler is and has; None when it does not answer."""
    rows = query("postgres", "/run/postgresql", port, "postgres", SERVER).rows
    if not rows:
        return None
    found: dict[str, t.Any] = json.loads(rows[0][0])
    functions = {}
    for database in set(databases).intersection(found["databases"]) if found["role"] else ():
        answer = query("postgres", "/run/postgresql", port, database, FUNCTION).rows
        functions[database] = json.loads(answer[0][0]) if answer else None
    return {**found, "functions": functions}


class PgBouncer(Driver):
    """The pooler. It has no test for its configuration, so it is asked whether it runs with the one on the disk.

    There settings have to be written as ``SHOW CONFIG`` shows them.
    """

    #: A reload that broke off half-way leaves a mixture: the earlier files are taken up by a restart.
    _torn = False

    def drift(self) -> str:
        """Say what the pooler has to do to run with the settings and the pools of its file."""
        ini = ini_of(files.text(CONFIGURATION))
        config = console(ini.port, "SHOW CONFIG").rows
        in_force = settings_of(config)
        if pgbouncer.needs_restart(ini.settings, in_force, fixed_of(config)):
            return RESTART
        same = not pgbouncer.drift(ini.settings, in_force) and self._pools(ini) == ini.databases
        return NONE if same else RELOAD

    def ailments(self) -> list[str]:
        """Say what keeps clients from their databases."""
        ini = ini_of(files.text(CONFIGURATION))
        config = console(ini.port, "SHOW CONFIG")
        if not config.rows:
            return super().ailments() or [f"PgBouncer does not answer ({config.reason})"]
        found = [
            f"it does not listen on {address}:{ini.port}"
            for address in ini.addresses
            if not self._listens(address, ini.port)
        ]
        missing = pgbouncer.drift(ini.settings, settings_of(config.rows))
        if missing:
            found.append(f"it does not run with {', '.join(missing)}")
        pools = self._pools(ini)
        if pools != ini.databases:
            found.append(f"its pools are {', '.join(pools)}")
        failures = [query(USER, SOCKETS, ini.port, name, PROBE).reason for name in ini.databases]
        if any(failures):
            found.append(f"a query through it fails: {'; '.join(dict.fromkeys(filter(None, failures)))}")
        return found

    def activate(self, level: str) -> str:
        """Take the files up; a restart where the earlier ones are back."""
        return super().activate(RESTART if self._torn else level)

    def restored(self) -> None:
        """Remember that the earlier files are back."""
        self._torn = True

    def _pools(self, ini: Ini) -> list[str]:
        return pools_of(console(ini.port, "SHOW DATABASES").rows)

    def _listens(self, address: str, port: int) -> bool:
        """Whether it is PgBouncer's user, not another service, that takes connections to the address."""
        try:
            owner = f"uid:{pwd.getpwnam(USER).pw_uid}"
            places = {address} if address == "*" else {str(info[4][0]) for info in socket.getaddrinfo(address, port)}
        except (KeyError, OSError):
            return False
        words = ["ss", "--no-header", "--listening", "--tcp", "--numeric", "--extended"]
        return listens(places, owner, run([*words, "sport", "=", f":{port}"]).output)
