# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who may log in to an application's database, at each step of a change of its password."""

from __future__ import annotations

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.platform import (
    Application,
    Cluster,
    Database,
    Platform,
    Server,
)
from ansible_collections.scaleout.platform.plugins.module_utils.services import postgres_roles

MAIN = Cluster("main", (Server("pg1", "192.0.2.11"),))


def platform(**names):
    shop = Application("shop", "api", "scaleout.platform.app", database=Database("shop", "seller", "main", **names))
    blog = Application("blog", "api", "scaleout.platform.app", database=Database("blog", "blog", "elsewhere"))
    return Platform(
        {}, clusters={"main": MAIN}, applications={"shop": shop, "blog": blog, "x": Application("x", "a", "b")}
    )


@pytest.mark.parametrize(
    ("names", "logins", "users", "barred"),
    [
        # The owner logs in, as long as nothing else is said.
        ({}, {"postgres": "", "seller": "", "replicator": ""}, ["seller"], []),
        # The first change: both passwords are valid; and then the new one alone.
        ({"user": "seller_b", "previous_user": "seller"}, {"seller": ""}, ["seller", "seller_b"], []),
        ({"user": "seller_b"}, {"seller": "", "seller_b": "seller"}, ["seller_b"], ["seller"]),
        # The next change, and back to the owner.
        (
            {"user": "seller_c", "previous_user": "seller_b"},
            {"seller_b": "seller"},
            ["seller_c"],
            ["seller"],
        ),
        ({"user": "seller_c"}, {"seller_b": "seller", "seller_c": "seller"}, ["seller_c"], ["seller", "seller_b"]),
        ({"previous_user": "seller_b"}, {"seller_b": "seller"}, ["seller"], []),
        ({}, {"seller": "", "seller_b": "seller"}, ["seller"], ["seller_b"]),
        # A person who is a member of the owner and acts as himself is left alone, and so is another owner's user.
        ({"user": "seller_b"}, {"alice": "", "poet": "blog"}, ["seller_b"], ["seller"]),
        ({"user": "seller_b"}, {}, ["seller_b"], ["seller"]),
    ],
)
def test_h15_the_previous_password_is_valid_until_it_is_taken_out(names, logins, users, barred):
    found = postgres_roles.roles(platform(**names), MAIN, {"logins": logins})
    flags = {role["name"]: role["role_attr_flags"] for role in found}
    assert len(flags) == len(found)
    assert sorted(name for name, flag in flags.items() if flag == "LOGIN") == users
    assert sorted(name for name, flag in flags.items() if flag == "NOLOGIN") == barred
    # Only the user gets the password of the entry.
    login = names.get("user", "seller")
    assert [role["name"] for role in found if role.get("application") == "shop"] == [login]
    own = login == "seller"
    assert [role["configuration"] for role in found if "configuration" in role] == ([] if own else [{"role": "seller"}])
    assert postgres_roles.memberships(platform(**names), MAIN) == ([] if own else [{"owner": "seller", "user": login}])


@pytest.mark.parametrize(
    ("users", "found"),
    [
        ([], []),
        ([{"name": "api", "password": "x"}], []),
        (
            [{"name": "api"}, {"name": "api_b", "password": "x", "configuration": {"role": "api", "work_mem": "8MB"}}],
            [{"owner": "api", "user": "api_b"}],
        ),
        ([{"name": "api", "configuration": {"work_mem": "8MB"}}], []),
        ("wrong", []),
    ],
)
def test_h15_a_declared_role_acts_as_another_one(users, found):
    assert postgres_roles.memberships(platform(), MAIN, users) == found
