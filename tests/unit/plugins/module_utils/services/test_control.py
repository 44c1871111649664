# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What keeps a host from being the control node, whom it reaches, and the files that it gets."""

from __future__ import annotations

import configparser

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.scaleout.platform.plugins.module_utils.platform import Platform
from ansible_collections.scaleout.platform.plugins.module_utils.services import control
from ansible_collections.scaleout.platform.plugins.module_utils.services.control import Reached

TRIXIE = {"system": "debian", "release": "13", "packages": ["ansible-core", "sudo"]}
BOOKWORM = {**TRIXIE, "release": "12"}
ROLE = {"control_home": "/srv/scaleout-control", "control_packages": ["ansible-core"], "control_autoscale": False}


def platform(own=None, groups=None, **others):
    """The platform of the control node ctl1 and of db1, and what else is said."""
    hosts = {
        "ctl1": {**ROLE, "ansible_user": "ops", "ansible_host": "192.0.2.1", **(own or {})},
        "db1": {"ansible_user": "ops", "ansible_host": "192.0.2.2"},
        **others,
    }
    return Platform(hosts=hosts, groups={"control": ["ctl1"], **(groups or {})})


@pytest.mark.parametrize(
    ("own", "groups", "state", "code", "sentence"),
    [
        (
            {},
            {"control": ["ctl1", "db1"]},
            None,
            "bad_value",
            "ctl1: the group control has ctl1 and db1; one host runs what is scheduled.",
        ),
        (
            {"control_home": "/srv/my control"},
            {},
            None,
            "bad_path",
            "ctl1: control_home is '/srv/my control'; it must be a path from / of letters, digits and ._+-.",
        ),
        ({"control_home": "srv"}, {}, None, "bad_path", None),
        ({"control_home": "/"}, {}, None, "bad_path", None),
        (
            {"ansible_user": None},
            {},
            None,
            "no_login",
            "ctl1: the control node has to know by which account it logs in to ctl1; set ansible_user in the "
            "inventory, or in control_variables.",
        ),
        (
            {},
            {},
            BOOKWORM,
            "unsupported_system",
            "ctl1: ansible-core of Debian 12 is too old; make a virtual environment with ansible-core 2.19 or later, "
            "name its program in control_ansible_playbook, and set control_packages to [].",
        ),
    ],
)
def test_what_cannot_be_is_refused(own, groups, state, code, sentence):
    (problem,) = control.problems(platform(own, groups), "ctl1", state)
    assert problem.code == code
    assert sentence is None or str(problem) == sentence


@pytest.mark.parametrize(
    ("own", "state"),
    [
        ({}, None),
        ({}, TRIXIE),
        ({"control_packages": []}, BOOKWORM),
        ({"ansible_user": None, "control_variables": {"ansible_user": "deploy"}}, TRIXIE),
    ],
)
def test_what_can_be_is_not(own, state):
    assert control.problems(platform(own), "ctl1", state) == []


@pytest.mark.parametrize(
    ("own", "missing"),
    [
        ({}, []),
        ({"control_packages": ["ansible", "sudo"]}, ["ansible"]),
        ({"control_packages": []}, []),
    ],
)
def test_missing_packages(own, missing):
    assert control.wanted(platform(own), "ctl1", TRIXIE)["missing"] == missing


def test_without_a_state_all_packages_are_missing():
    assert control.wanted(platform(), "ctl1", None)["missing"] == ["ansible-core"]


def test_it_reaches_all_hosts_itself_among_them():
    more = {"db2": {"ansible_user": "root", "ansible_port": "2222"}}
    assert control.wanted(platform({}, {}, **more), "ctl1", None)["hosts"] == [
        {"name": "ctl1", "address": "192.0.2.1", "port": 22, "user": "ops"},
        {"name": "db1", "address": "192.0.2.2", "port": 22, "user": "ops"},
        {"name": "db2", "address": "db2", "port": 2222, "user": "root"},
    ]


@pytest.mark.parametrize(
    ("group", "autoscale", "is_reached"),
    [
        ("fleet_spare", False, False),
        ("fleet_spare", True, True),
        ("fleet_leaving", True, False),
        ("fleet_released", True, False),
        ("fleet_lost", True, False),
        ("api", False, True),
    ],
)
def test_hosts_that_are_gone_are_not_reached_and_spare_ones_by_the_control_loop(group, autoscale, is_reached):
    found = platform({"control_autoscale": autoscale}, {group: ["db1"]})
    names = [host["name"] for host in control.wanted(found, "ctl1", None)["hosts"]]
    assert ("db1" in names) is is_reached


def test_its_key_opens_a_host_from_its_own_address_only():
    found = platform({"platform_address": "10.0.0.1"})
    assert control.wanted(found, "ctl1", None)["key_options"] == 'restrict,from="10.0.0.1"'


@pytest.mark.parametrize("has_vault", [False, True])
def test_the_configuration_is_one_that_ansible_reads(has_vault):
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(control.configuration("/srv/control", "inventories/shop", has_vault))
    assert parser["defaults"]["inventory"] == "inventories/shop"
    assert parser["defaults"].get("vault_password_file") == ("/srv/control/vault-password" if has_vault else None)
    assert parser["ssh_connection"]["ssh_args"].startswith("-o UserKnownHostsFile=/srv/control/ssh/known_hosts ")


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(st.characters(codec="ascii", categories=["L", "N", "P", "S", "Zs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab_", min_size=1), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.text("abc_", min_size=1), VALUES, max_size=4))
def test_variables_are_read_as_they_were_given(variables):
    loaded = DataLoader().load(control.variables_file(variables), json_only=False)
    assert loaded == variables


@pytest.mark.parametrize("text", ["", "12", "yes", "~", "<<", "a: b", "#", "{{ a }}", "{% if %}", "{# no #}", "}}{{"])
def test_a_text_stays_a_text(text):
    loaded = DataLoader().load(control.variables_file({"password": text}), json_only=False)
    assert loaded == {"password": text}


def test_no_text_of_a_variable_is_a_template():
    text = control.variables_file({"password": "a{{ 1 + 1 }}é'\"\\", "ports": [22]})
    assert text.splitlines()[-1] == r"""{"password": !unsafe "a{{ 1 + 1 }}é'\"\\", "ports": [22]}"""
    assert [event.tag for event in yaml.parse(text) if getattr(event, "tag", None)] == ["!unsafe"]


def test_keys_of_facts_with_the_best_first():
    facts = {
        "ssh_host_key_rsa_public": "AAAAB3",
        "ssh_host_key_rsa_public_keytype": "ssh-rsa",
        "ssh_host_key_ed25519_public": "AAAAC3",
        "ssh_host_key_ed25519_public_keytype": "ssh-ed25519",
    }
    assert control.host_keys(facts) == ["ssh-ed25519 AAAAC3", "ssh-rsa AAAAB3"]
    assert control.host_keys({}) == []


def test_known_hosts_of_a_host_that_was_made_again_are_the_new_ones():
    hosts = [Reached("db1", "192.0.2.2", 22, "ops"), Reached("db2", "192.0.2.3", 2222, "ops")]
    before = "192.0.2.2 ssh-rsa OLD\n192.0.2.9 ssh-rsa OTHER\n"
    keys = {"db1": ["ssh-ed25519 NEW", "ssh-rsa NEWER"], "db2": ["ssh-rsa TWO"], "gone": ["ssh-rsa X"]}
    after = (
        "192.0.2.9 ssh-rsa OTHER\n192.0.2.2 ssh-ed25519 NEW\n192.0.2.2 ssh-rsa NEWER\n[192.0.2.3]:2222 ssh-rsa TWO\n"
    )
    assert control.known_hosts(before, hosts, keys) == after
    assert control.known_hosts(after, hosts, keys) == after
    assert control.known_hosts(before, hosts, {"db1": []}) == before
