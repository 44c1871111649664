# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a control node gets of a checkout and of an inventory, and what stays on the controller."""

from __future__ import annotations

import pathlib
import tarfile

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput
from ansible_collections.scaleout.platform.plugins.module_utils.operations.pack_project import gather

ROOT = pathlib.Path(__file__).parents[5]
COLLECTION = "collections/ansible_collections/scaleout/platform"


def written(path, text="", link=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    if link:
        path.symlink_to(link)
    else:
        path.write_text(text, encoding="utf-8")


@pytest.fixture(name="checkout")
def _checkout(tmp_path):
    """A checkout of the collection with two inventories, of which one links to the other."""
    for name in (
        "meta/runtime.yml",
        "playbooks/maintain.yml",
        "plugins/modules/preflight.py",
        "plugins/modules/__pycache__/preflight.pyc",
        "roles/base/tasks/main.yml",
        "galaxy.yml",
        ".lab/id_ed25519",
        ".git/config",
        "tests/unit/test.py",
        "inventories/lab/group_vars/all/main.yml",
        "inventories/trio/hosts.yml",
        "inventories/trio/hosts.yml~",
        "inventories/trio/.members.json",
    ):
        written(tmp_path / name, name)
    written(tmp_path / "inventories/trio/group_vars/all/main.yml", link="../../../lab/group_vars/all/main.yml")
    return tmp_path


def names(project):
    return {entry.path for entry in project.entries if entry.kind == "file"}


def test_what_is_run_goes_and_the_rest_stays(checkout):
    project = gather(str(checkout), str(checkout / "inventories/trio"), "/srv/control", False)
    assert names(project) == {
        "ansible.cfg",
        f"{COLLECTION}/galaxy.yml",
        f"{COLLECTION}/meta/runtime.yml",
        f"{COLLECTION}/playbooks/maintain.yml",
        f"{COLLECTION}/plugins/modules/preflight.py",
        f"{COLLECTION}/roles/base/tasks/main.yml",
        "inventories/trio/hosts.yml",
        "inventories/trio/group_vars/all/main.yml",
    }


def test_the_archive_stands_alone(checkout, tmp_path):
    archive = tmp_path / "project.tar.gz"
    gather(str(checkout), str(checkout / "inventories/trio"), "/srv/control", False).write(str(archive))
    with tarfile.open(archive) as tar:
        assert not [member.name for member in tar if not (member.isdir() or member.isreg())]
        assert tar.extractfile("inventories/trio/group_vars/all/main.yml").read() == (
            b"inventories/lab/group_vars/all/main.yml"
        )
        assert tar.extractfile("ansible.cfg").read().startswith(b"# Written by the control role")


@pytest.mark.parametrize(
    ("change", "is_other"),
    [
        ("inventories/trio/hosts.yml", True),
        ("plugins/modules/preflight.py", True),
        ("inventories/lab/group_vars/all/main.yml", True),
        ("inventories/trio/.members.json", False),
        ("tests/unit/test.py", False),
    ],
)
def test_a_change_of_what_is_run_makes_another_project(checkout, change, is_other):
    def digest():
        return gather(str(checkout), str(checkout / "inventories/trio"), "/srv/control", False).digest

    before = digest()
    assert digest() == before
    (checkout / change).write_text("changed", encoding="utf-8")
    assert (digest() != before) is is_other


def test_a_password_of_a_vault_makes_another_project(checkout):
    found = {gather(str(checkout), str(checkout / "inventories/trio"), "/srv", vault).digest for vault in (False, True)}
    assert len(found) == 2


def test_an_inventory_that_is_not_there_is_refused(checkout):
    with pytest.raises(InvalidInput, match="is not a folder"):
        gather(str(checkout), str(checkout / "inventories/other"), "/srv/control", False)


def test_this_checkout_goes_without_its_tests_and_keys():
    found = names(gather(str(ROOT), str(ROOT / "inventories/trio"), "/srv/control", False))
    assert {"inventories/trio/group_vars/control.yml", f"{COLLECTION}/plugins/modules/database_upkeep.py"} <= found
    assert not [
        name for name in found if name.startswith((f"{COLLECTION}/tests", f"{COLLECTION}/.")) or "id_ed" in name
    ]
