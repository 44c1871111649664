# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""No password of a setting gets out."""

from __future__ import annotations

import shlex

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


@pytest.mark.parametrize(
    ("text", "masked", "found"),
    [
        ("PGPASSWORD=x cp %p /a/%f", "PGPASSWORD=******** cp %p /a/%f", {"x"}),
        ("PGPASSWORD='a b' cp %p /a/%f", "PGPASSWORD=******** cp %p /a/%f", {"a b"}),
        ('env PGPASSWORD="a b"c\\ d cp', "env PGPASSWORD=******** cp", {'"a b"c\\ d', "a bc d"}),
        ("A=1 AWS_SECRET_ACCESS_KEY=k/+= aws", "A=1 AWS_SECRET_ACCESS_KEY=******** aws", {"k/+="}),
        ("RESTIC_PASSWORD=a&b;c run", "RESTIC_PASSWORD=******** run", {"a&b;c"}),
        ("x --password=y --token z %p", "x --password=******** --token ******** %p", {"y", "z"}),
        ("pgbackrest --repo1-cipher-pass=x push", "pgbackrest --repo1-cipher-pass=******** push", {"x"}),
        ("curl -sT %p -u me:hush https://h/", "curl -sT %p -u me:******** https://h/", {"hush"}),
        ("curl -T %p https://me:hu@sh@h/%f", "curl -T %p https://me:********@h/%f", {"hu@sh"}),
        ("curl -H 'Authorization: Bearer abc' h", "curl -H 'Authorization: Bearer ********' h", {"abc"}),
        ("curl -H 'X-Vault-Token: abc' h", "curl -H 'X-Vault-Token: ********", {"abc' h", "abc h"}),
        ("curl https://h/%f?sv=1&sig=abc&x=y", "curl https://h/%f?sv=1&sig=********&x=y", {"abc"}),
        ('post \'{"password": "x y"}\'', 'post \'{"password": ********', {'"x y"}\'', "x y}"}),
        ("sshpass -p hush scp %p h:", "sshpass -p ******** scp %p h:", {"hush"}),
        ("PGPASSWORD='never closed", "PGPASSWORD=********", {"never closed"}),
        # What only leads to a secret, and what has nothing to do with one.
        ("PGPASSFILE=/x cp %p /a/%f", None, set()),
        ("restic --password-file /x backup %p", None, set()),
        ("tool --token-command=/bin/x", None, set()),
        ("psql --no-password app", None, set()),
        ("scp -p %p host:/a/%f", None, set()),
        ("test ! -f /a/%f && cp %p /a/%f", None, set()),
        ("%m [%p] user=%u,db=%d,app=%a ", None, set()),
    ],
)
def test_m7_a_secret_in_a_command(text, masked, found):
    assert secrets.mask("archive_command", text) == (text if masked is None else masked)
    assert secrets.found_in("archive_command", text) == found


@given(secret=st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=8))
def test_m7_no_secret_of_a_command_gets_out(secret):
    text = f"PGPASSWORD={shlex.quote(secret)} cp %p /a/%f"
    assert secret not in secrets.mask("archive_command", text)
    assert shlex.quote(secret) not in secrets.mask("archive_command", text)


def test_nothing_to_mask():
    assert secrets.mask("primary_conninfo", None) is None


@given(password=st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=8))
def test_no_password_gets_out(password):
    quoted = "'" + password.replace("\\", "\\\\").replace("'", "\\'") + "'"
    text = f"host=a password={quoted} user=b"
    assert secrets.mask("primary_conninfo", text) == f"host=a password={secrets.MASK} user=b"
    assert secrets.found_in("primary_conninfo", text) == {quoted[1:-1], password}
