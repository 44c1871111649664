# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""No password of a setting gets out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scaleout.platform.plugins.module_utils.postgres.settings import secrets


@pytest.mark.parametrize(
    ("name", "text", "masked", "found"),
    [
        ("primary_conninfo", "host=a password=s3cret user=b", "host=a password=******** user=b", {"s3cret"}),
        ("primary_conninfo", "password = 's3 cret' host=a", "password = ******** host=a", {"s3 cret"}),
        ("primary_conninfo", r"password='it\'s' host=a", "password=******** host=a", {r"it\'s", "it's"}),
        ("primary_conninfo", "PassWord=x sslpassword=y", "PassWord=******** sslpassword=********", {"x", "y"}),
        ("primary_conninfo", "postgresql://u:p%40w@h/db", "postgresql://u:********@h/db", {"p%40w"}),
        ("primary_conninfo", "postgres://u@h/db?password=x&a=b", "postgres://u@h/db?password=********&a=b", {"x"}),
        ("primary_conninfo", "host=a passfile=/x user=password", "host=a passfile=/x user=password", set()),
        ("ssl_passphrase_command", "echo open", "********", {"echo open"}),
        ("myext.api_token", "abc", "********", {"abc"}),
        ("password_encryption", "scram-sha-256", "scram-sha-256", set()),
        ("work_mem", "4MB", "4MB", set()),
        ("myext.api_token", "", "", set()),
    ],
)
def test_masked_and_found(name, text, masked, found):
    assert secrets.mask(name, text) == masked
    assert secrets.found_in(name, text) == found


def test_nothing_to_mask():
    assert secrets.mask("primary_conninfo", None) is None


@given(password=st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=8))
def test_no_password_gets_out(password):
    quoted = "'" + password.replace("\\", "\\\\").replace("'", "\\'") + "'"
    text = f"host=a password={quoted} user=b"
    assert secrets.mask("primary_conninfo", text) == f"host=a password={secrets.MASK} user=b"
    assert secrets.found_in("primary_conninfo", text) == {quoted[1:-1], password}
