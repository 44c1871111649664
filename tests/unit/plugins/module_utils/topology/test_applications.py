# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What runs on a platform: what is read of it, and the code and the sentence that each wrong wish gets."""

from __future__ import annotations

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.platform import Application, Platform
from ansible_collections.scaleout.platform.plugins.module_utils.topology import applications as room

APPLICATIONS = {"shop": {"group": "api", "role": "acme.shop.deploy", "secrets": ["shop_password"]}}
GROUPS = {"loadbalancer": ["lb1"], "api": ["api1"]}


def read(changes=None, groups=None, **variables):
    """The applications and the problems, with changes of a host's variables."""
    shared = {"applications": APPLICATIONS, **variables}
    hosts = {name: {**shared, **(changes or {}).get(name, {})} for name in ("lb1", "api1", "pg1")}
    return room.read(Platform(hosts, {**GROUPS, **(groups or {})}))


def test_an_application_is_read():
    assert read() == ({"shop": Application("shop", "api", "acme.shop.deploy", ("shop_password",))}, [])
    assert read(applications=None) == ({}, [])
    assert read(applications={}) == ({}, [])


@pytest.mark.parametrize(
    ("changes", "more", "code", "text"),
    [
        (
            {},
            {"groups": {"loadbalancer": []}},
            "empty_group",
            "the group loadbalancer has no host, but the group api has some to put behind it.",
        ),
        (
            {},
            {"applications": ["shop"]},
            "invalid_applications",
            "applications is ['shop'], not a mapping such as {shop: {group: api, role: shop}}.",
        ),
        (
            {},
            {"applications": {"shop": "api"}},
            "invalid_applications",
            "applications: shop is 'api', not a mapping with group, role, secrets.",
        ),
        *(
            (
                {},
                {"applications": {name: APPLICATIONS["shop"]}},
                "invalid_name",
                f"applications has {name!r}; its name must be 1 to 31 of a-z, 0-9, _ and -, and begin with a letter.",
            )
            for name in ("Shop", "1shop", "a;b", "", "a" * 32)
        ),
        (
            {},
            {"applications": {"shop": {**APPLICATIONS["shop"], "pools": {}}}},
            "unknown_key",
            "applications: shop has 'pools', which is not known here; it may have group, role, secrets.",
        ),
        (
            {},
            {"applications": {"shop": {"role": "shop"}}},
            "unknown_group",
            "applications: shop: group is None, which is not a group of the inventory.",
        ),
        (
            {},
            {"applications": {"shop": {"group": "shops", "role": "shop"}}},
            "unknown_group",
            "applications: shop: group is 'shops', which is not a group of the inventory.",
        ),
        (
            {},
            {"applications": {"shop": {"group": "loadbalancer", "role": "shop"}}},
            "unknown_group",
            "applications: shop: group is loadbalancer, and this release deploys to the group api.",
        ),
        *(
            (
                {},
                {"applications": {"shop": {"group": "api", "role": role}}},
                "invalid_role",
                f"applications: shop: role is {role!r}, which is not the name of a role.",
            )
            for role in (None, "", "a;b", "a..b", "../x")
        ),
        (
            {},
            {"applications": {"shop": {**APPLICATIONS["shop"], "secrets": "shop_password"}}},
            "invalid_applications",
            "applications: shop: secrets is 'shop_password', not a list of names of variables.",
        ),
        (
            {},
            {"applications": {"shop": APPLICATIONS["shop"], "blog": APPLICATIONS["shop"]}},
            "too_many_applications",
            "applications has shop, blog, and this release deploys one application.",
        ),
        (
            {"pg1": {"applications": {}}},
            {},
            "different_values",
            "pg1: applications is not what it is on lb1; put it into group_vars/all.",
        ),
    ],
)
def test_a_wrong_application_gets_a_code_and_a_sentence(changes, more, code, text):
    _applications, problems = read(changes, **more)
    assert (code, text) in [(problem.code, str(problem)) for problem in problems]
