# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is due, from what is wanted, found, and noted as in force."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scaleout.platform.plugins.module_utils.transaction import (
    DIGEST_MARK,
    NONE,
    RELOAD,
    RESTART,
    File,
    Found,
    digest,
    due,
    harder,
    marked,
)

CONF = File("/etc/x/x.conf", "a\n", needs=RELOAD)
UNIT = File("/etc/x/unit.conf", "u\n", needs=RESTART)
GONE = File("/etc/x/old.conf", None, needs=RELOAD)
WANTED = (CONF, UNIT, GONE)


def as_wanted(**changes):
    """What a host has that has everything, with changes by the file's name."""
    found = {
        file.path: Found(file.path) if file.content is None else Found(file.path, file.content, 0o644, "root", "root")
        for file in WANTED
    }
    return {**found, **{path: Found(path, **fields) for path, fields in changes.items()}}


IN_FORCE = {file.path: file.fingerprint for file in WANTED}
RIGHT = {"mode": 0o644, "owner": "root", "group": "root"}


@pytest.mark.parametrize(
    ("found", "in_force", "unfinished", "stale", "level", "reasons"),
    [
        ({}, IN_FORCE, False, (), NONE, []),
        ({CONF.path: {"content": "b\n", **RIGHT}}, IN_FORCE, False, (), RELOAD, ["/etc/x/x.conf differs"]),
        ({CONF.path: {}}, IN_FORCE, False, (), RELOAD, ["/etc/x/x.conf differs"]),
        (
            {UNIT.path: {**RIGHT, "content": "u\n", "mode": 0o600}},
            IN_FORCE,
            False,
            (),
            RESTART,
            [f"{UNIT.path} differs"],
        ),
        (
            {UNIT.path: {**RIGHT, "content": "u\n", "owner": "x"}},
            IN_FORCE,
            False,
            (),
            RESTART,
            [f"{UNIT.path} differs"],
        ),
        ({GONE.path: {"content": "o", **RIGHT}}, IN_FORCE, False, (), RELOAD, ["/etc/x/old.conf differs"]),
        # Written by a run that broke off before the service was told.
        (
            {},
            {**IN_FORCE, CONF.path: "another"},
            False,
            (),
            RELOAD,
            ["/etc/x/x.conf was written and never put in force"],
        ),
        ({}, {}, False, (), RESTART, [f"{path} was written and never put in force" for path in (UNIT.path, CONF.path)]),
        # The first run of all: times tell.
        ({}, None, False, (), NONE, []),
        ({}, None, False, (CONF.path,), RELOAD, ["/etc/x/x.conf was written and never put in force"]),
        ({}, IN_FORCE, True, (), RESTART, ["an earlier run was interrupted before it was proven"]),
    ],
)
def test_what_is_due(found, in_force, unfinished, stale, level, reasons):
    judged = due(WANTED, as_wanted(**found), in_force, unfinished, stale)
    assert (judged.level, list(judged.reasons)) == (level, reasons)


def test_nothing_of_a_secret_is_in_a_fingerprint():
    assert "hunter2" not in File("/a", "hunter2", secret=True).fingerprint


TEXTS = st.text(max_size=40)
FILES = st.lists(
    st.builds(File, st.text("abc", min_size=1, max_size=6), st.none() | TEXTS, st.sampled_from([0o600, 0o644])),
    unique_by=lambda file: file.path,
)


@given(FILES, st.randoms())
def test_the_digest_does_not_depend_on_the_order(files, random):
    shuffled = list(files)
    random.shuffle(shuffled)
    assert digest(files) == digest(shuffled)


@given(FILES.filter(bool), TEXTS)
def test_another_text_is_another_digest(files, text):
    changed = [dataclasses.replace(files[0], content=text), *files[1:]]
    assert (digest(files) == digest(changed)) == (files[0].content == text)


@given(TEXTS)
def test_a_file_can_say_its_own_digest(text):
    (file,), value = marked([File("/a", f"{DIGEST_MARK} {text}")])
    assert file.content == f"{value} {text.replace(DIGEST_MARK, value)}"
    assert marked([File("/a", f"{DIGEST_MARK} {text}")])[1] == value


def test_the_hardest_level():
    assert harder() == NONE
    assert harder(NONE, RELOAD) == RELOAD
    assert harder(RESTART, RELOAD) == RESTART
