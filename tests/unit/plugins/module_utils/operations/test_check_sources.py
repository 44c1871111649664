# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which sources of applications a run looks for, and what it says of those that are not there."""

from __future__ import annotations

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.operations.check_sources import problems
from ansible_collections.scaleout.platform.plugins.module_utils.topology import platform as topology

HERE = "/home/ops/platform"
THERE = {f"{HERE}/shop": "directory", "/srv/shop.tar.gz": "file", "~/shop": "directory"}
STARTED = f"; a relative path begins in {HERE}, where ansible-playbook was started"


def said(entry, hosts=("api1", "api2"), tags=("all",), skipped=()):
    """What is wrong with the sources of two hosts and of a spare VM."""
    shop = {"group": "api", "port": 8000, "command": ["./serve"], **entry}
    applications = {"shop": shop, "blog": {"group": "api", "role": "acme.blog.deploy"}}
    groups = {"all": ["api1", "api2", "api3"], "api": ["api1", "api2", "api3"], "fleet_idle": ["api3"]}
    platform, found = topology.parse({host: {"applications": applications} for host in groups["all"]}, groups)
    assert found == []
    return problems(platform, hosts, tags, skipped, HERE, lambda path: THERE.get(path, ""))


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"source": "shop"}, None),
        ({"source": "~/shop"}, None),
        ({"archive": "/srv/shop.tar.gz"}, None),
        ({"image": "registry.example.com/shop:1"}, None),
        ({"source": "shpo"}, f"source is {HERE}/shpo, which does not exist on the controller{STARTED}"),
        ({"source": "/srv/shop"}, "source is /srv/shop, which does not exist on the controller"),
        ({"source": "/srv/shop.tar.gz"}, "source is /srv/shop.tar.gz, which is no directory"),
        ({"archive": "shop"}, f"archive is {HERE}/shop, which is no file{STARTED}"),
        ({"archive": "~/shop.tar"}, "archive is ~/shop.tar, which does not exist on the controller"),
        ({"image_archive": "x.tar"}, f"image_archive is {HERE}/x.tar, which does not exist on the controller{STARTED}"),
    ],
)
def test_a_source_that_is_not_there_is_named_once(entry, expected):
    found = said(entry)
    if expected is None:
        assert found == []
        return
    (problem,) = found
    assert (problem.code, problem.host, problem.text) == ("missing_source", "", f"applications: shop: {expected}")


@pytest.mark.parametrize(
    "about",
    [
        {"hosts": ["api3"]},
        {"hosts": []},
        {"tags": ["redis"]},
        {"skipped": ["app"]},
    ],
    ids=["a spare VM", "other hosts", "another service", "no application"],
)
def test_what_is_not_deployed_is_not_looked_for(about):
    assert said({"source": "shpo"}, **about) == []
