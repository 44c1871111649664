# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import pathlib
import shutil
import tempfile
import typing as t

import pytest
from api_lab.lab import Lab
from api_lab.server import ApiServer

pytest_plugins = ["api_lab.events"]


@pytest.fixture(scope="session")
def running_lab() -> t.Iterator[Lab]:
    # Not pytest's own folder: other users may not look below it, and PostgreSQL may have to run as another user.
    directory = pathlib.Path(tempfile.mkdtemp(prefix="reference-api-"))
    directory.chmod(0o755)
    lab = Lab(directory)
    try:
        lab.start()
        yield lab
    finally:
        lab.stop()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def lab(running_lab: Lab) -> Lab:
    """The lab in full health."""
    running_lab.heal()
    return running_lab


@pytest.fixture
def api(lab: Lab) -> ApiServer:
    return lab.a


@pytest.fixture
def another(lab: Lab) -> t.Iterator[t.Callable[..., ApiServer]]:
    """Make further API servers, not started yet, from a clock's error and environment variables."""
    made: list[ApiServer] = []

    def make(ahead: int = 0, **variables: str) -> ApiServer:
        made.append(ApiServer(lab.consul.address, lab.directory / "api-more.log", ahead, **variables))
        return made[-1]

    yield make
    for api in made:
        api.kill()
