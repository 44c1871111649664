# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One connection to a PostgreSQL server, and its failures in our own words.

This is the only file of the collection that imports psycopg2, and it does so
when the first connection is made: documentation, argument checks and the pure
planners work without the driver.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import socket
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import (
    InvalidInput,
    MissingLibrary,
    Refused,
    ScaleoutError,
    Unreachable,
)
from ansible_collections.scaleout.platform.plugins.module_utils.postgres import versions

APPLICATION_NAME = "scaleout.platform"
"""What our sessions are called on the server, unless the caller's parameters or environment name them."""

CONNECT_TIMEOUT = 10
"""Seconds until an address that does not answer counts as unreachable; libpq itself waits forever."""

_PLACE = re.compile(r"^connection to server .*? failed: ")
"""How libpq begins when it cannot connect."""

_CODES = {"25006": "standby", "2BP01": "depended_on", "42501": "denied", "55006": "in_use", "57014": "timeout"}
"""What callers act on, by PostgreSQL's own codes: read_only_sql_transaction, dependent_objects_still_exist,
insufficient_privilege, object_in_use and query_canceled."""

_TIMES = (1082, 1083, 1114, 1115, 1182, 1183, 1184, 1185, 1186, 1187, 1266, 1270)
"""The types of dates, times and intervals, and of arrays of them, as ``pg_type`` numbers them."""

SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")

CLIENT_SPEC: dict[str, dict[str, t.Any]] = {
    "login_user": {"type": "str", "default": ""},
    "login_password": {"type": "str", "default": "", "no_log": True},
    "ssl_mode": {"type": "str", "default": "prefer", "choices": list(SSL_MODES)},
    "ca_cert": {"type": "path", "aliases": ["ssl_rootcert"]},
    "ssl_cert": {"type": "path"},
    "ssl_key": {"type": "path", "no_log": False},
    "connect_params": {"type": "dict", "default": {}},
}
"""Who we are to a server: the options of the ``scaleout.platform.postgres.client`` documentation fragment."""

ARGUMENT_SPEC: dict[str, dict[str, t.Any]] = {
    "login_host": {"type": "str", "default": ""},
    "login_port": {"type": "int", "default": 5432},
    "login_unix_socket": {"type": "path"},
    "login_db": {"type": "str", "default": "postgres"},
    **CLIENT_SPEC,
}
"""And where it is: those of ``scaleout.platform.postgres`` as well."""

_OWN_OPTION = {
    "host": "login_host",
    "port": "login_port",
    "user": "login_user",
    "password": "login_password",
    "dbname": "login_db",
    "sslmode": "ssl_mode",
    "sslrootcert": "ca_cert",
    "sslcert": "ssl_cert",
    "sslkey": "ssl_key",
}
"""What libpq calls our options."""

_ENCODING = "UTF8"
"""What the server is to send: without it, that of the database, which any setting or database may change."""

_UNCHECKED = "SQL_ASCII"
"""The encoding of databases whose texts are bytes of no known meaning; the server neither converts nor checks them."""

_SECRET_PARAMETERS = ("sslpassword", "oauth_client_secret")


def secrets_in(params: t.Mapping[str, t.Any]) -> set[str]:
    """The passwords among the ``connect_params``, which ``no_log`` cannot name."""
    given = params["connect_params"] or {}
    return {str(given[name]) for name in _SECRET_PARAMETERS if given.get(name)}


def check_client(params: t.Mapping[str, t.Any]) -> None:
    """Refuse options of :data:`CLIENT_SPEC` that contradict each other.

    :raises InvalidInput: naming the option.
    """
    if params["ssl_key"] and not params["ssl_cert"]:
        raise InvalidInput("ssl_key", params["ssl_key"], "does not go without its ssl_cert")
    for name in params["connect_params"] or {}:
        if name in _OWN_OPTION:
            raise InvalidInput("connect_params", name, f"has an option of its own, {_OWN_OPTION[name]}")
        if name == "client_encoding":
            raise InvalidInput("connect_params", name, f"is always {_ENCODING}")


@dataclasses.dataclass(frozen=True)
class Endpoint:
    """Where a server is and who we are to it.

    :param host: a host name or address, the directory of a unix socket, or
        ``""`` for the driver's default socket.
    :param user: ``""`` for the operating system's user, as ``peer`` wants it.
    :param parameters: others of libpq's, such as ``keepalives_idle``.
    """

    host: str = ""
    port: int = 5432
    user: str = ""
    password: str = dataclasses.field(default="", repr=False)
    database: str = "postgres"
    ssl_mode: str = "prefer"
    ca_cert: str = ""
    ssl_cert: str = ""
    ssl_key: str = ""
    parameters: t.Mapping[str, str] = dataclasses.field(default_factory=dict)

    @classmethod
    def of(cls, params: t.Mapping[str, t.Any]) -> Endpoint:
        """The endpoint that the ``login_*`` options describe.

        :raises InvalidInput: the options contradict each other.
        """
        socket = params.get("login_unix_socket") or ""
        if socket and params["login_host"]:
            raise InvalidInput("login_unix_socket", socket, "and login_host exclude each other")
        if not 0 < params["login_port"] < 65536:
            raise InvalidInput("login_port", params["login_port"], "is not a port")
        check_client(params)
        return cls(
            host=socket or params["login_host"],
            port=params["login_port"],
            user=params["login_user"],
            password=params["login_password"],
            database=params["login_db"],
            ssl_mode=params["ssl_mode"],
            ca_cert=params["ca_cert"] or "",
            ssl_cert=params["ssl_cert"] or "",
            ssl_key=params["ssl_key"] or "",
            parameters={name: str(value) for name, value in (params["connect_params"] or {}).items()},
        )

    def in_database(self, database: str) -> Endpoint:
        """The same server and user, another database."""
        return dataclasses.replace(self, database=database)

    def for_replication(self) -> Endpoint:
        """The same database over the replication protocol, which understands SQL as well."""
        return dataclasses.replace(self, parameters={**self.parameters, "replication": "database"})

    def for_writes(self) -> Endpoint:
        """The same, where several hosts are named with commas: the one among them that takes writes."""
        if "," not in self.host or "target_session_attrs" in self.parameters:
            return self
        return dataclasses.replace(self, parameters={**self.parameters, "target_session_attrs": "read-write"})

    @property
    def place(self) -> str:
        """The host or socket directory, for messages."""
        return self.host or "the default unix socket"

    def dsn(self) -> dict[str, t.Any]:
        """The driver's connection parameters; what is empty is left to libpq."""
        given = {
            "host": self.host,
            "port": self.port,
            "user": self.user,
            "password": self.password,
            "dbname": self.database,
            "sslmode": self.ssl_mode,
            "sslrootcert": self.ca_cert,
            "sslcert": self.ssl_cert,
            "sslkey": self.ssl_key,
            "connect_timeout": CONNECT_TIMEOUT,
            "fallback_application_name": APPLICATION_NAME,
            "client_encoding": _ENCODING,
            **self.parameters,
        }
        return {key: value for key, value in given.items() if value != ""}


class Session:
    """A connection in autocommit: each statement stands for itself.

    ALTER SYSTEM and the functions that create slots demand that anyway.

    What it reads means the same under every setting of the server: of the driver's conversions, only those of numbers
    and booleans are used, which no setting changes. Times are what the server prints, so a query asks for them as
    numbers. A byte that is not UTF-8 becomes half of a surrogate pair, as in the names of files.
    """

    #: What it speaks to, for messages.
    WHAT = "PostgreSQL"

    def __init__(self, endpoint: Endpoint, sees_all: bool = False) -> None:
        """Connect.

        :param sees_all: whether the server refuses to read a table of which row security would hide rows.
        :raises MissingLibrary: psycopg2 is not installed where the module runs.
        :raises Unreachable: no server there, or it does not let us in.
        :raises Refused: the server is older than what we support.
        """
        self.endpoint = endpoint
        self._sees_all = sees_all
        self._driver = _driver()
        try:
            self._connection = self._driver.connect(**endpoint.dsn())
        except (self._driver.Error, ValueError) as error:
            raise self._unreachable(error) from None
        self._connection.autocommit = True
        self._read_texts()
        self.version: int = self._connection.server_version
        """As PostgreSQL counts: 150004 is 15.4."""
        try:
            self._require()
        except ScaleoutError:
            self.close()
            raise

    @property
    def sql(self) -> t.Any:
        """The driver's composer, :mod:`psycopg2.sql`, through which every identifier goes."""
        from psycopg2 import sql

        return sql

    def rows(self, statement: t.Any, parameters: t.Any = None) -> list[dict[str, t.Any]]:
        """Run one statement and return its rows as dicts by column name.

        :param statement: text, or a :mod:`psycopg2.sql` composition.
        :raises Unreachable: the connection broke.
        :raises Refused: the server refused the statement.
        """
        with self._connection.cursor() as cursor:
            self._execute(cursor, statement, parameters)
            names = [column.name for column in cursor.description]
            return [dict(zip(names, map(_text, row))) for row in cursor]

    def run(self, statement: t.Any, parameters: t.Any = None, timeout: int | None = None, alone: bool = False) -> None:
        """Run one statement for its effect; errors as in :meth:`rows`.

        :param timeout: seconds that it may take, 0 for as long as it takes; None for what the server says. It counts
            for this statement alone: behind a pooler, the session is another client's afterwards.
        :param alone: whether it refuses to be in a transaction with others.
        """
        if timeout is not None:
            # Both are one message to the server, so one transaction, at whose end the limit goes.
            limit = f"SET LOCAL statement_timeout = '{timeout:d}s'; "
            statement = limit + statement if isinstance(statement, str) else self.sql.SQL(limit) + statement
        with self._connection.cursor() as cursor:
            self._execute(cursor, statement, parameters, alone)

    @contextlib.contextmanager
    def snapshot(self) -> t.Iterator[None]:
        """Statements that read see the database as the first of them found it, whatever others do meanwhile."""
        self.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        try:
            yield
        finally:
            self.run("ROLLBACK")

    def close(self) -> None:
        self._connection.close()

    def _require(self) -> None:
        """Refuse a version that we do not support."""
        versions.require(self.version)

    def _read_texts(self) -> None:
        """Take texts as bytes, and read them ourselves: the driver fails at the first byte that it does not know."""
        types = self._driver.extensions
        if self._connection.get_parameter_status("server_encoding") == _UNCHECKED:
            # To convert such a text, the server would have to understand it. What we send is UTF-8 all the same.
            types.encodings["SQLASCII"] = types.encodings["UTF8"]
            self._connection.set_client_encoding(_UNCHECKED)
        as_printed = types.new_type(_TIMES, "AS_PRINTED", lambda text, _cursor: text)
        for kind in (types.BYTES, types.BYTESARRAY, as_printed):
            types.register_type(kind, self._connection)

    def _execute(self, cursor: t.Any, statement: t.Any, parameters: t.Any, alone: bool = False) -> None:
        idle = self._driver.extensions.TRANSACTION_STATUS_IDLE
        if self._sees_all and not alone and self._connection.get_transaction_status() == idle:
            # For one transaction, since behind a pooler the session is another client's afterwards.
            whole = "SET LOCAL row_security = off; "
            statement = whole + statement if isinstance(statement, str) else self.sql.SQL(whole) + statement
        try:
            cursor.execute(statement, parameters)
        except ValueError as error:  # a zero byte, or half of a surrogate pair
            raise Refused(
                f"{self.WHAT} cannot take a text of this request: {_sentence(error)}.", code="invalid_input"
            ) from None
        except self._driver.Error as error:
            # A statement that the server refuses leaves the connection open.
            if self._connection.closed:
                raise self._unreachable(error) from None
            raise Refused(
                f"{self.WHAT} at {self.endpoint.place}:{self.endpoint.port} refused: {_sentence(error)}.",
                code=_CODES.get(error.pgcode),
                sqlstate=error.pgcode,
            ) from None

    def _unreachable(self, error: Exception) -> Unreachable:
        return Unreachable(self.WHAT, self.endpoint.place, self.endpoint.port, _sentence(error))


class Console(Session):
    """PgBouncer's own database, which takes its commands and no SQL."""

    WHAT = "PgBouncer"

    def close(self) -> None:
        """Close it, also while another thread waits for an answer: the driver would wait for that thread."""
        with contextlib.suppress(OSError, self._driver.Error), socket.socket(fileno=self._duplicate()) as wire:
            wire.shutdown(socket.SHUT_RDWR)
        super().close()

    def _require(self) -> None:
        """Its version is its own."""

    def _duplicate(self) -> int:
        return os.dup(self._connection.fileno())


def _text(value: t.Any) -> t.Any:
    """A value of a row, with every text in it as text."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    return [_text(element) for element in value] if isinstance(value, list) else value


def _driver() -> t.Any:
    try:
        import psycopg2
        import psycopg2.extensions  # as an attribute of the driver
    except ImportError:
        raise MissingLibrary("psycopg2") from None
    return psycopg2


def _sentence(error: t.Any) -> str:
    """The first thing that the server or libpq says, without what our own message says already."""
    diagnosis = getattr(error, "diag", None)
    if diagnosis and diagnosis.message_primary:
        more = [part.rstrip(".") for part in (diagnosis.message_detail, diagnosis.message_hint) if part]
        text = diagnosis.message_primary + (f" ({'; '.join(more)})" if more else "")
    else:
        text = _PLACE.sub("", str(error)).strip().split("\n")[0]
    return " ".join(text.split()).rstrip(".") or "no reason given"
