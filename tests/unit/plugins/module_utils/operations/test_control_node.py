# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A control node in the folder of a test; its ssh is a program that lets in where the host is a known one."""

from __future__ import annotations

import os
import pathlib
import pwd
import stat

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, Refused
from ansible_collections.scaleout.platform.plugins.module_utils.operations.control_node import ControlNode
from ansible_collections.scaleout.platform.plugins.module_utils.operations.pack_project import gather

ROOT = pathlib.Path(__file__).parents[5]
SSH = """#!/bin/sh
for word in "$@"; do case $word in UserKnownHostsFile=*) file=${word#*=};; esac; last=$before; before=$word; done
grep -qsF "$last " "$file" && exit 0
echo "Host key verification failed." >&2
exit 255
"""
KEYGEN = """#!/bin/sh
for word in "$@"; do file=$word; done
echo secret > "$file"
echo "ssh-ed25519 AAAA test" > "$file.pub"
"""
HOSTS = [
    {"name": "db1", "address": "192.0.2.1", "port": 22, "user": "ops"},
    {"name": "db2", "address": "192.0.2.2", "port": 22, "user": "ops"},
]


@pytest.fixture(autouse=True)
def _programs(tmp_path, monkeypatch):
    for name, text in (("ssh", SSH), ("ssh-keygen", KEYGEN)):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(text, encoding="utf-8")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")


@pytest.fixture(name="inventory")
def _inventory(tmp_path):
    folder = tmp_path / "inventories" / "shop"
    folder.mkdir(parents=True)
    (folder / "hosts.yml").write_text("all: {}", encoding="utf-8")
    return folder


@pytest.fixture(name="options")
def _options(tmp_path, inventory):
    """A function that returns the options of the module, as its action would give them."""

    def options(**changes):
        home = tmp_path / "home"
        collection = tmp_path / "collection"
        for name in ("meta", "playbooks", "plugins", "roles"):
            (collection / name).mkdir(parents=True, exist_ok=True)
            (collection / name / "file").write_text(name, encoding="utf-8")
        project = gather(str(collection), str(inventory), str(home), False)
        archive = tmp_path / "project.tar.gz"
        project.write(str(archive))
        given = {
            "path": str(home),
            "owner": pwd.getpwuid(os.getuid()).pw_name,
            "variables": "---\n{}\n",
            "vault_password": "",
            "hosts": HOSTS,
            "opened": [],
            "host_keys": {},
            "digest": project.digest,
            "archive": str(archive),
        }
        return {**given, **changes}

    return options


def converge(options):
    """Run the module; return its plan and what it returned."""
    node = ControlNode(options)
    plan = node.plan()
    return plan, {**plan.result, **(node.apply(plan) if plan.changed else {})}


def test_from_nothing_to_a_node_that_is_let_in(options, tmp_path):
    plan, result = converge(options())
    assert plan.actions == ("unpack", "link", "settings", "key")
    assert result["public_key"] == "ssh-ed25519 AAAA test"
    assert [host["name"] for host in result["closed"]] == ["db1", "db2"]
    assert result["closed"][0]["reason"] == "Host key verification failed"
    # What is opened is named, and what no key was read of stays closed.
    with pytest.raises(Refused, match=r"cannot log in to db2 \(Host key verification failed\)") as refused:
        converge(options(opened=["db1", "db2"], host_keys={"db1": ["ssh-ed25519 ONE"], "db2": []}))
    assert refused.value.code == "not_admitted"
    plan, result = converge(options(opened=["db2"], host_keys={"db2": ["ssh-ed25519 TWO"]}))
    assert (plan.actions, result["closed"]) == (("trust",), [])
    plan, result = converge(options())
    assert (plan.actions, result["closed"], result["missing"]) == ((), [], False)
    home = tmp_path / "home"
    assert (home / "current" / "inventories" / "shop" / "hosts.yml").read_text() == "all: {}"
    assert (home / "ssh" / "known_hosts").read_text() == "192.0.2.1 ssh-ed25519 ONE\n192.0.2.2 ssh-ed25519 TWO\n"


def test_no_other_account_can_read_any_of_it(options, tmp_path):
    converge(options(variables="---\n{a: 1}\n", vault_password="sesame"))
    modes = {
        path: stat.S_IMODE(path.lstat().st_mode) for path in (tmp_path / "home").rglob("*") if not path.is_symlink()
    }
    assert modes
    assert {path: oct(mode) for path, mode in modes.items() if mode & 0o077} == {}
    assert modes[tmp_path / "home" / "variables.yml"] == modes[tmp_path / "home" / "vault-password"] == 0o600


def test_a_check_before_there_is_anything_changes_nothing(options, tmp_path):
    plan = ControlNode(options(owner="no-such-account", archive=None)).plan()
    assert (plan.changed, plan.result["missing"], plan.result["public_key"]) == (True, True, "")
    assert [host["reason"] for host in plan.result["closed"]] == ["it has no key yet"] * 2
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    ("changes", "actions"),
    [
        ({"variables": "---\n{b: 2}\n"}, ("settings",)),
        ({"vault_password": "sesame"}, ("settings",)),
        ({"hosts": []}, ()),
    ],
)
def test_what_a_change_brings(options, changes, actions):
    converge(options())
    assert converge(options(**changes))[0].actions == actions
    assert converge(options(**changes))[0].actions == ()


def test_a_password_that_is_not_needed_any_more_is_removed(options, tmp_path):
    converge(options(vault_password="sesame"))
    assert converge(options())[0].actions == ("settings",)
    assert not (tmp_path / "home" / "vault-password").exists()


def test_a_copy_that_was_edited_is_brought_again_and_what_a_run_leaves_there_is_none_of_it(options, tmp_path):
    converge(options())
    copy = tmp_path / "home" / "current"
    for name in (".lab/members-shop.json", "inventories/shop/.members.json", "collections/__pycache__/a.pyc"):
        (copy / name).parent.mkdir(exist_ok=True)
        (copy / name).write_text("{}")
    assert converge(options())[0].actions == ()
    (copy / "inventories/shop/hosts.yml").write_text("all: {hosts: {db9: }}")
    assert converge(options())[0].actions == ("unpack",)
    assert (copy / "inventories/shop/hosts.yml").read_text() == "all: {}"


def test_a_playbook_that_runs_keeps_its_copy_and_few_are_kept(options, inventory, tmp_path):
    made = []
    for number in range(5):
        (inventory / "hosts.yml").write_text(f"# {number}")
        _plan, result = converge(options())
        made.append(result["version"])
        os.utime(tmp_path / "home/releases" / result["version"], (number, number))
    assert set(os.listdir(tmp_path / "home/releases")) == set(made[-3:])
    assert os.readlink(tmp_path / "home/current") == f"releases/{made[-1]}"


@pytest.mark.parametrize(
    ("changes", "code"),
    [({"owner": "no-such-account"}, "no_account"), ({"archive": None}, "no_archive")],
)
def test_what_is_refused(options, changes, code):
    with pytest.raises(Refused) as refused:
        converge(options(**changes))
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("changes", "option"), [({"path": "srv"}, "path"), ({"digest": ""}, "digest"), ({"variables": {}}, "digest")]
)
def test_what_can_never_work(options, changes, option):
    with pytest.raises(InvalidInput) as refused:
        ControlNode(options(**changes))
    assert refused.value.facts["option"] == option
