# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A PostgreSQL server for the tests of this room."""

from __future__ import annotations

import pytest

from tests.unit import postgres_server


@pytest.fixture(scope="module", name="server")
def _server():
    with postgres_server.running() as server:
        yield server


@pytest.fixture(name="database")
def _database(server):
    return server.database()
