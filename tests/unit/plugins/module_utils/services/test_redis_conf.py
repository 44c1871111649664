# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reading redis.conf, and what a running server can take up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scaleout.platform.plugins.module_utils.services import redis_conf

BASE = 'requirepass "a"\nport 6379\nmaxmemory 256mb\nappendonly no\nsave ""\n'


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('save ""', ["save", ""]),
        ("bind 127.0.0.1  -::1", ["bind", "127.0.0.1", "-::1"]),
        (r'requirepass "a\"b\\c d"', ["requirepass", 'a"b\\c d']),
        (r'requirepass "\x41\n"', ["requirepass", "A\n"]),
        (r"requirepass 'it\'s \n'", ["requirepass", r"it's \n"]),
        ('proc-title-template "{title} {listen-addr}"', ["proc-title-template", "{title} {listen-addr}"]),
    ],
)
def test_words(line, words):
    assert redis_conf.split(line) == words


@given(st.text(st.characters(min_codepoint=32, exclude_characters="\x7f", exclude_categories=("Cs",)), min_size=1))
def test_any_password_that_the_role_writes_is_read_back(password):
    escaped = password.replace("\\", "\\\\").replace('"', '\\"')
    text = f'# A comment\n\nport 6379\nrequirepass "{escaped}"\nmaxmemory 1mb\n'
    directives = redis_conf.parse(text)
    assert directives["requirepass"] == [[password]]
    assert redis_conf.last(directives, "maxmemory") == "1mb"


@pytest.mark.parametrize(
    ("text", "number"),
    [("1", 1), ("1k", 1000), ("1kb", 1024), ("256MB", 256 * 1024**2), ("4gb", 4 * 1024**3), ("1g", 10**9)],
)
def test_sizes(text, number):
    assert redis_conf.size(text) == number


@pytest.mark.parametrize("text", ["", "0", "-1", "1 mb", "1tb", "mb", "1.5gb", "²"])
def test_no_sizes(text):
    assert redis_conf.size(text) is None


@pytest.mark.parametrize(
    ("after", "names", "live"),
    [
        (BASE, set(), True),
        (BASE.replace("256mb", "268435456"), set(), True),
        (BASE.replace("256mb", "1gb"), {"maxmemory"}, True),
        (BASE.replace('save ""', "save 60 1"), {"save"}, True),
        (BASE.replace("appendonly no", "appendonly yes"), {"appendonly"}, True),
        (BASE.replace("6379", "6380"), {"port"}, False),
        (BASE.replace('"a"', '"A"'), {"requirepass"}, False),
        (BASE + "timeout 300\n", {"timeout"}, True),
        (BASE + "user health on -@all\n", {"user"}, False),
        # Its default comes back with a start only.
        (BASE.replace("maxmemory 256mb\n", ""), {"maxmemory"}, False),
        (BASE.replace("256mb", "1gb") + "hz 20\n", {"maxmemory", "hz"}, False),
    ],
)
def test_what_a_running_server_takes_up(after, names, live):
    assert redis_conf.changed(BASE, after) == names
    assert redis_conf.settable(names, after) is live


def test_the_append_only_file_is_not_turned_off_while_it_serves():
    before, after = BASE.replace("appendonly no", "appendonly yes"), BASE
    assert redis_conf.changed(before, after) == {"appendonly"}
    assert not redis_conf.settable({"appendonly"}, after)


RUNNING = {"maxmemory": "268435456", "appendonly": "no", "save": "", "port": "6379", "hz": "10"}


@pytest.mark.parametrize(
    ("running", "names"),
    [
        ({}, set()),
        ({"maxmemory": "1048576"}, {"maxmemory"}),
        ({"save": "3600 1 300 100"}, {"save"}),
        ({"appendonly": "yes"}, {"appendonly"}),
        # Not in the file, or not to be compared.
        ({"hz": "20", "requirepass": "x"}, set()),
    ],
)
def test_drift(running, names):
    assert redis_conf.differences({**RUNNING, **running}, BASE) == names
