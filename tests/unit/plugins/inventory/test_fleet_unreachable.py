# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which hosts there are when Consul does not say: no host that serves is forgotten in silence."""

from __future__ import annotations

import json

import pytest


def test_l4_a_record_that_consul_has_lost_counts_until_its_file_is_deleted(read, consul, warnings, tmp_path):
    consul.record("api1", "api4")
    read(cache_file="../members.json")
    seen = (tmp_path / "members.json").read_text()
    consul.keys.clear()
    for _run in range(2):
        assert read(cache_file="../members.json").group("api") == ["api1", "api4"]
    assert json.loads((tmp_path / "members.json").read_text()) == json.loads(seen)
    assert warnings.about("Consul has no record of api, and had one at 2")
    assert warnings.about("If the platform was made new, delete the file ../members.json.")
    read(cache_file="../members.json", when_unreachable="fail", fails=True)
    (tmp_path / "members.json").unlink()
    assert read(cache_file="../members.json").group("api") == ["api1", "api2", "api3"]


@pytest.mark.parametrize(
    ("token", "says"),
    [
        ({"token": "another"}, "CONSUL_HTTP_TOKEN, or of the option token."),
        ({"token": None}, "There is no token: set the environment variable CONSUL_HTTP_TOKEN to that of"),
        ({"token": None, "token_file": "t.txt"}, "The token is what the file t.txt holds (token_file)."),
        (
            {"token": None, "token_vars_file": "s.yml"},
            "The token is the variable consul_reader_token of the file s",
        ),
    ],
)
@pytest.mark.parametrize("mode", ["cached", "fail"])
def test_l4_a_refused_token_is_named_and_no_host_is_forgotten(read, consul, warnings, tmp_path, mode, token, says):
    consul.record("api1", "api4")
    (tmp_path / "inventory" / "t.txt").write_text("another\n", encoding="utf-8")
    read(**token, when_unreachable=mode, fails=True)
    assert warnings.about("[members_unknown] Cannot reach Consul at ")
    assert warnings.about("it answered 403 (Permission denied). ")
    assert warnings.about(says)
    assert not warnings.about("another")


@pytest.mark.parametrize(
    ("mode", "counts"),
    [
        (None, ["api1", "api4"]),
        ("cached", ["api1", "api4"]),
        ("static", ["api1", "api4"]),
        ("fail", None),
    ],
)
def test_l4_without_consul_the_record_seen_last_counts(read, consul, warnings, tmp_path, mode, counts):
    consul.record("api1", "api4")
    # By default the file is a hidden one beside the configuration, which Ansible does not read as an inventory.
    assert read(when_unreachable=mode, cache_file=None).group("api") == ["api1", "api4"]
    assert (tmp_path / "inventory" / ".members.json").exists()
    inventory = read(when_unreachable=mode, cache_file=None, consul_url="http://127.0.0.1:1", fails=counts is None)
    assert inventory is None if counts is None else inventory.group("api") == counts
    used = "The members seen at " if counts else "The members of api are unknown"
    assert warnings.about(f"Connection refused. {used}")


@pytest.mark.parametrize(("mode", "fails"), [(None, True), ("cached", True), ("fail", True), ("static", False)])
def test_l4_without_consul_and_without_a_record_only_static_goes_on(read, warnings, monkeypatch, mode, fails):
    read(when_unreachable=mode, cache_file=None, consul_url="http://127.0.0.1:1", fails=fails)
    assert warnings.about("Connection refused.")
    monkeypatch.setenv("SCALEOUT_WHEN_UNREACHABLE", "static")
    if mode is None:
        assert read(when_unreachable=None, consul_url="http://127.0.0.1:1").group("api") == ["api1", "api2", "api3"]


def test_l4_an_inventory_that_names_no_consul_is_not_one_that_was_never_scaled(read, warnings, tmp_path):
    (tmp_path / "inventory" / "hosts.yml").write_text("api: {hosts: {api1: }}", encoding="utf-8")
    read(consul_url=None, when_unreachable=None, fails=True)
    assert warnings.about("The inventory names no server of Consul.")


def test_l4_a_host_that_the_record_does_not_name_is_told(read, consul):
    consul.record("api1", "api2")
    assert read().variables("api1")["fleet_not_members"] == {"api": ["api3"]}
    consul.record("api1", "api2", "api3")
    assert read().variables("api1")["fleet_not_members"] == {}
