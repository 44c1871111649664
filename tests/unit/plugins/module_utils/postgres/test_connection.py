# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where a server is, and in what words we say that it cannot be reached."""

from __future__ import annotations

import sys

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.errors import (
    InvalidInput,
    MissingLibrary,
    Refused,
    Unreachable,
)
from ansible_collections.scaleout.platform.plugins.module_utils.postgres import connection, versions
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.connection import Endpoint, Session

OPTIONS = {name: option.get("default") for name, option in connection.ARGUMENT_SPEC.items()}


@pytest.mark.parametrize(
    ("options", "host", "place"),
    [
        ({}, "", "the default unix socket"),
        ({"login_host": "pg1"}, "pg1", "pg1"),
        ({"login_unix_socket": "/run/pg"}, "/run/pg", "/run/pg"),
    ],
)
def test_endpoint(options, host, place):
    endpoint = Endpoint.of({**OPTIONS, **options})
    assert (endpoint.host, endpoint.place) == (host, place)


@pytest.mark.parametrize(
    ("options", "option"),
    [
        ({"login_host": "pg1", "login_unix_socket": "/run/pg"}, "login_unix_socket"),
        ({"login_port": 0}, "login_port"),
        ({"login_port": 65536}, "login_port"),
        ({"ssl_key": "/etc/me.key"}, "ssl_key"),
        ({"connect_params": {"keepalives": 1, "dbname": "app"}}, "connect_params"),
        ({"connect_params": {"client_encoding": "LATIN1"}}, "connect_params"),
    ],
)
def test_no_endpoint(options, option):
    with pytest.raises(InvalidInput) as error:
        Endpoint.of({**OPTIONS, **options})
    assert error.value.facts == {"option": option}


def test_what_is_empty_is_left_to_libpq():
    assert Endpoint().dsn() == {
        "port": 5432,
        "dbname": "postgres",
        "sslmode": "prefer",
        "connect_timeout": connection.CONNECT_TIMEOUT,
        "fallback_application_name": "scaleout.platform",
        "client_encoding": "UTF8",
    }


def test_how_the_client_shows_who_it_is():
    tls = {"ssl_mode": "verify-full", "ca_cert": "/ca", "ssl_cert": "/me.crt", "ssl_key": "/me.key"}
    dsn = Endpoint.of({**OPTIONS, **tls, "connect_params": {"keepalives_idle": 30, "connect_timeout": 3}}).dsn()
    assert {
        "sslmode": "verify-full",
        "sslrootcert": "/ca",
        "sslcert": "/me.crt",
        "sslkey": "/me.key",
    }.items() <= dsn.items()
    assert (dsn["keepalives_idle"], dsn["connect_timeout"]) == ("30", "3")


def test_the_passwords_among_the_parameters_of_libpq():
    assert connection.secrets_in(OPTIONS) == set()
    given = {"sslpassword": "hush", "keepalives": 1, "oauth_client_secret": ""}
    assert connection.secrets_in({**OPTIONS, "connect_params": given}) == {"hush"}


def test_the_password_is_not_in_the_representation():
    assert "hush" not in repr(Endpoint(password="hush"))


def test_another_database_of_the_same_server():
    endpoint = Endpoint(host="pg1", user="me", password="hush")
    assert endpoint.in_database("shard_0") == Endpoint(host="pg1", user="me", password="hush", database="shard_0")


def test_of_several_hosts_the_one_that_takes_writes():
    several = Endpoint(host="pg1,pg2")
    assert several.for_writes().dsn()["target_session_attrs"] == "read-write"
    assert Endpoint(host="pg1").for_writes() == Endpoint(host="pg1")
    chosen = Endpoint(host="pg1,pg2", parameters={"target_session_attrs": "primary"})
    assert chosen.for_writes() == chosen


def test_without_the_driver(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg2", None)
    with pytest.raises(MissingLibrary) as error:
        Session(Endpoint())
    assert error.value.library == "psycopg2"


def test_nothing_listens():
    pytest.importorskip("psycopg2", reason="the driver is not installed")
    with pytest.raises(
        Unreachable, match=r"^Cannot reach PostgreSQL at 127\.0\.0\.1:1: Connection refused\.$"
    ) as error:
        Session(Endpoint(host="127.0.0.1", port=1))
    assert error.value.facts == {"host": "127.0.0.1", "port": 1}


def test_no_socket(tmp_path):
    pytest.importorskip("psycopg2", reason="the driver is not installed")
    with pytest.raises(Unreachable, match=rf"{tmp_path}:5432: No such file or directory\.$"):
        Session(Endpoint(host=str(tmp_path)))


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("1.5", "1.5"),
        (7, 7),
        (None, None),
        ("d\u00fc".encode(), "d\u00fc"),
        (b"l\xfc", "l\udcfc"),
        ([b"a", None, b"\xff"], ["a", None, "\udcff"]),
        ([], []),
    ],
)
def test_m3_texts_are_read_whatever_their_bytes(value, read):
    assert connection._text(value) == read


@pytest.mark.parametrize(("version", "text"), [(150004, "15.4"), (170000, "17.0")])
def test_versions(version, text):
    assert versions.text(version) == text
    versions.require(version)


def test_an_old_server():
    with pytest.raises(Refused, match=r"PostgreSQL 13\.9 is too old: 14 or newer"):
        versions.require(130009)
