# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What differs between a broker and what is wanted, and the definitions that make it right."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scaleout.platform.plugins.module_utils.services.rabbitmq_definitions import (
    Present,
    User,
    Wanted,
    compare,
    definitions,
    has_password,
    hash_of,
    removals,
    shown,
)

ALL = {"configure": ".*", "write": ".*", "read": ".*"}
NONE = {"configure": "", "write": "", "read": ""}
SALT = b"\x90\x8d\xc6\x0a"


def user(name="app", password="right", tags=(), vhosts=None):
    return User.of({"name": name, "password": password, "tags": list(tags), "vhosts": vhosts or {}})


def known(name="app", password="right", tags=(), **more):
    return {"name": name, "password_hash": hash_of(password, SALT), "tags": list(tags), **more}


def right(name, vhost, **rights):
    return {"user": name, "vhost": vhost, **ALL, **rights}


def exported(vhosts=(), users=(), permissions=()):
    return {"vhosts": [{"name": name} for name in vhosts], "users": list(users), "permissions": list(permissions)}


@pytest.mark.parametrize(
    ("wanted", "present", "create", "change", "delete"),
    [
        (Wanted(), exported(["/"], [known("guest")]), [], [], []),
        (Wanted(vhosts=("/a", "/b")), exported(["/b"]), ["virtual host /a: created"], [], []),
        (Wanted(users=(user(),)), exported(), ["user app: created"], [], []),
        (
            Wanted(users=(user(vhosts={"/a": ALL}),)),
            exported(["/a"]),
            ["user app: created", "user app: permissions in /a"],
            [],
            [],
        ),
        (
            Wanted(users=(user(vhosts={"/a": ALL}),)),
            exported(["/a"], [known()], [right("app", "/a")]),
            [],
            [],
            [],
        ),
        (Wanted(users=(user(password="new"),)), exported([], [known()]), [], ["user app: password changed"], []),
        (
            Wanted(users=(user(tags=["monitoring"]),)),
            exported([], [known(tags=["administrator", "policymaker"])]),
            [],
            ["user app: tags administrator, policymaker -> monitoring"],
            [],
        ),
        (Wanted(users=(user(tags=["b", "a"]),)), exported([], [known(tags=["a", "b"])]), [], [], []),
        # Before version 3.9 the tags were one text.
        (Wanted(users=(user(tags=["a", "b"]),)), exported([], [{**known(), "tags": "b,a"}]), [], [], []),
        (Wanted(users=(user(),)), exported([], [{**known(), "tags": ""}]), [], [], []),
        (
            Wanted(users=(user(vhosts={"/a": ALL}),)),
            exported(["/a"], [known()], [right("app", "/a", write="")]),
            [],
            ["user app: other permissions in /a"],
            [],
        ),
        (
            Wanted(users=(user(vhosts={"/a": ALL}),)),
            exported(["/a", "/b"], [known()], [right("app", "/a"), right("app", "/b")]),
            [],
            [],
            ["user app: no permissions in /b any more"],
        ),
        # Those of others are left alone.
        (
            Wanted(users=(user(),)),
            exported(["/a"], [known(), known("stranger")], [right("stranger", "/a")]),
            [],
            [],
            [],
        ),
        (Wanted(absent_users=("guest", "gone")), exported([], [known("guest")]), [], [], ["user guest: removed"]),
    ],
)
def test_compare(wanted, present, create, change, delete):
    due = compare(wanted, Present.of(present))
    assert [each.text for each in due.to_create] == create
    assert [each.text for each in due.to_change] == change
    assert [each.text for each in due.to_delete] == delete


def test_what_is_imported():
    wanted = Wanted(("/a", "/b"), (user(vhosts={"/a": ALL}), user("watcher", "x", ["monitoring"], {"/a": NONE})))
    present = Present.of(exported(["/a"], [known(password="old", limits={"max-connections": 5})], [right("app", "/a")]))
    assert definitions(wanted, present, compare(wanted, present), lambda: SALT) == {
        "vhosts": [{"name": "/b"}],
        "users": [
            {
                "name": "watcher",
                "tags": ["monitoring"],
                "password_hash": hash_of("x", SALT),
                "hashing_algorithm": "rabbit_password_hashing_sha256",
            },
            {
                "name": "app",
                "limits": {"max-connections": 5},
                "tags": [],
                "password_hash": hash_of("right", SALT),
                "hashing_algorithm": "rabbit_password_hashing_sha256",
            },
        ],
        "permissions": [{"user": "watcher", "vhost": "/a", **NONE}],
    }


def test_what_an_import_cannot_take_away():
    wanted = Wanted(("/a",), (user(),), ("guest",))
    present = Present.of(exported(["/a"], [known(), known("guest")], [right("app", "/a")]))
    due = compare(wanted, present)
    assert removals(due) == [["clear_permissions", "--vhost", "/a", "app"], ["delete_user", "guest"]]
    assert not any(definitions(wanted, present, due, lambda: SALT).values())


def test_a_user_with_two_differences_is_imported_once():
    wanted = Wanted(users=(user(password="new", tags=["a"]),))
    present = Present.of(exported([], [known()]))
    due = compare(wanted, present)
    assert len(due.to_change) == 2
    assert len(definitions(wanted, present, due, lambda: SALT)["users"]) == 1


def test_the_difference_that_is_shown_has_no_password():
    wanted = Wanted(("/a",), (user(password="s3cret", vhosts={"/a": ALL}),), ("guest",))
    present = Present.of(exported([], [known(password="0ld"), known("guest", tags=["administrator"])]))
    before, after = shown(wanted, present)
    assert before == {
        "vhosts": [],
        "users": {
            "app": {"password": "another", "permissions": {}, "tags": []},
            "guest": {"password": "unknown", "permissions": {}, "tags": ["administrator"]},
        },
    }
    assert after == {
        "vhosts": ["/a"],
        "users": {"app": {"password": "as wanted", "permissions": {"/a": ALL}, "tags": []}},
    }


def test_nothing_tells_a_password():
    wanted = Wanted(users=(user(password="s3cret"),))
    assert "s3cret" not in repr(wanted)


def test_the_hash_of_the_documentation():
    # https://www.rabbitmq.com/docs/passwords, "Computing a Password Hash": test12 with the salt 908DC60A.
    assert hash_of("test12", SALT) == "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR"


@pytest.mark.parametrize(
    ("definition", "fits"),
    [
        (known(), True),
        (known(password="other"), False),
        ({**known(), "hashing_algorithm": "rabbit_password_hashing_sha256"}, True),
        (
            {"password_hash": hash_of("right", SALT, "sha512"), "hashing_algorithm": "rabbit_password_hashing_sha512"},
            True,
        ),
        ({"password_hash": hash_of("right", SALT), "hashing_algorithm": "rabbit_password_hashing_own"}, False),
        ({"password_hash": ""}, False),
        ({"password_hash": None}, False),
        ({"password_hash": "not base64"}, False),
    ],
)
def test_whether_a_password_fits(definition, fits):
    assert has_password(definition, "right") is fits


names = st.sampled_from(["/", "a", "b", "c"])
rights = st.fixed_dictionaries(dict.fromkeys(("configure", "write", "read"), st.sampled_from(["", ".*"])))
passwords = st.text(st.characters(blacklist_categories=("Cs",)), min_size=1)
users = st.builds(
    user,
    names,
    passwords,
    st.sets(st.sampled_from(["a", "b"])),
    st.dictionaries(names, rights),
)
desired = st.builds(
    Wanted, st.sets(names).map(tuple), st.lists(users, unique_by=lambda each: each.name).map(tuple), st.just(("guest",))
)


def imported(present, given_definitions, calls):
    """What a broker has after an import and calls."""
    vhosts = {each["name"] for each in [*present["vhosts"], *given_definitions["vhosts"]]}
    there = {each["name"]: each for each in [*present["users"], *given_definitions["users"]]}
    granted = {(e["user"], e["vhost"]): e for e in [*present["permissions"], *given_definitions["permissions"]]}
    for words in calls:
        if words[0] == "delete_user":
            del there[words[1]]
        else:
            del granted[words[3], words[2]]
    return exported(vhosts, there.values(), granted.values())


@given(desired, desired)
def test_what_is_carried_out_leaves_no_difference(first, second):
    state = exported(["/"], [known("guest", "guest", ["administrator"])], [right("guest", "/")])
    for wanted in (first, second):
        present = Present.of(state)
        due = compare(wanted, present)
        due_definitions = definitions(wanted, present, due, lambda: SALT)
        # It travels as JSON.
        state = imported(state, json.loads(json.dumps(due_definitions)), removals(due))
        assert compare(wanted, Present.of(state)).all == ()
