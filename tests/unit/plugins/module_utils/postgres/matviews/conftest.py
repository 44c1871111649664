# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A PostgreSQL server for the tests of this room."""

from __future__ import annotations

import itertools

import pytest

from tests.unit import postgres_process

_NUMBERS = itertools.count(1)


@pytest.fixture(scope="module", name="server", params=postgres_process.programs() or [None], ids=str)
def _server(request):
    if request.param is None:
        pytest.skip(postgres_process.MISSING)
    with postgres_process.running(request.param) as server:
        yield server


@pytest.fixture(name="database")
def _database(server):
    """A database of the test's own."""
    name = f"db{next(_NUMBERS)}"
    with server.session() as session:
        session.run(f"CREATE DATABASE {name}")
    return name
