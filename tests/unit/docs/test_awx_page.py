# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""docs/awx.md as AWX does it: the inventory is imported without a vault, a job runs in ansible-runner's layout."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys

import jinja2
import pytest
import yaml

from tests.unit.docs.pages import ROOT, Account, blocks, text_of

PAGE = "docs/awx.md"
ENVIRONMENT, INPUTS, INJECTOR = (yaml.safe_load(block) for block in blocks(PAGE, "yaml"))
FIELDS = [field["id"] for field in INPUTS["fields"]]
VALUES = {
    **{name: f"secret of {name}" for name in FIELDS},
    "consul_gossip_key": "MDEyMzQ1Njc4OWFiY2RlZg==",
    "consul_management_token": "00000000-0000-4000-8000-000000000001",
    "consul_agent_token": "00000000-0000-4000-8000-000000000002",
    "consul_reader_token": "00000000-0000-4000-8000-000000000003",
}
#: A process of its own for each job, as AWX has: ansible-runner changes the environment of the one that it is in.
RUN = """
import json, sys, ansible_runner
run = ansible_runner.run(**json.load(sys.stdin), quiet=True)
print(json.dumps([run.status, run.stdout.read()]))
"""


def injected(values):
    """What a credential of the page's type gives to a job: extra variables and environment variables."""
    return {
        part: {
            name: jinja2.Template(text, undefined=jinja2.StrictUndefined).render(values) for name, text in given.items()
        }
        for part, given in INJECTOR.items()
    }


class Awx:
    """A project, an inventory source and jobs.

    :param account: what the inventory is made with, and what holds ansible-runner's private data directory.
    """

    def __init__(self, account):
        self.account = account
        self.folder = account.home / "runner"
        shutil.copytree(ROOT / "examples" / "awx-project", self.folder / "project")
        shutil.copytree(ROOT / "examples" / "shop", self.folder / "project" / "examples" / "shop")
        shutil.copytree(ROOT / "inventories" / "production", account.folder / "inventories" / "production")
        # An update has the environment of the source's credential, and no vault.
        del account.environment["ANSIBLE_VAULT_PASSWORD_FILE"]

    def updates(self):
        """Update the inventory; return the exit status and what was said."""
        command = "ansible-inventory -i inventories/production/ --list --export --output imported.json"
        # The page's own first run: there is no Consul yet.
        env = injected(VALUES)["env"]
        status, said = self.account.types(command, SCALEOUT_WHEN_UNREACHABLE="static", **env)
        if status == 0:
            script = self.folder / "inventory" / "hosts"
            script.parent.mkdir(exist_ok=True)
            script.write_text(f"#!/bin/sh\ncat '{self.account.folder}/imported.json'\n", encoding="utf-8")
            script.chmod(0o755)
        return status, said

    def launches(self, playbook, values, survey=None, **environment):
        """Launch a job template, its survey answered; return its status and its output."""
        # A job has a folder of its own; ansible-runner keeps what it finds in one.
        shutil.rmtree(self.folder / "env", ignore_errors=True)
        given = injected(values)
        job = {
            "private_data_dir": str(self.folder),
            "playbook": playbook,
            "extravars": {name: value for name, value in (given["extra_vars"] | (survey or {})).items() if value},
            "envvars": {**given["env"], **environment, "ANSIBLE_INVENTORY_UNPARSED_FAILED": "True"},
        }
        done = subprocess.run(
            [sys.executable, "-c", RUN],
            input=json.dumps(job),
            env=self.account.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        status, said = json.loads(done.stdout)
        return status, re.sub(r"\s+", " ", re.sub(r"\x1b\[[\d;]*m", "", said))


@pytest.fixture(name="awx")
def _awx(tmp_path):
    return Awx(Account(tmp_path))


def test_k4_the_credential_type_can_be_pasted_and_fits_together():
    assert set(INPUTS) == {"fields", "required"}
    assert all(set(field) == {"id", "type", "label", "secret"} for field in INPUTS["fields"])
    assert len(set(FIELDS)) == len(FIELDS)
    assert set(INPUTS["required"]) <= set(FIELDS)
    assert set(INJECTOR) == {"extra_vars", "env"}
    assert injected(VALUES) == {
        "extra_vars": VALUES,
        "env": {"CONSUL_HTTP_TOKEN": VALUES["consul_reader_token"]},
    }


def test_k4_what_the_page_names_is_in_the_example():
    project = ROOT / "examples" / "awx-project"
    rows = re.findall(r"^\| (`[^|]+) \| ", text_of(PAGE), re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`([\w./-]+)`", row)}
    assert {"collections/requirements.yml", "ansible.cfg", "preflight.yml", "site.yml"} <= named
    assert {name for name in named if not name.endswith("/")} == {
        str(path.relative_to(project)) for path in project.rglob("*") if path.is_file()
    }
    assert ENVIRONMENT["dependencies"]["galaxy"]["collections"] == ["scaleout.platform"]


def test_k4_a_job_has_its_secrets_from_the_credential(awx):
    assert awx.updates() == (0, "")
    status, said = awx.launches("preflight.yml", VALUES)
    assert status == "successful", said
    assert "shop http://shop.example.com/" in said
    assert not [name for name in ("shop_database_password", "consul_reader_token") if VALUES[name] in said]
    # A field that was left empty is named.
    status, said = awx.launches("preflight.yml", {**VALUES, "shop_database_password": ""})
    assert status == "failed"
    assert "''shop_database_password'' is undefined" in said


def test_k4_a_vaulted_file_fails_the_update_and_vaulted_values_do_not(awx):
    secrets = awx.account.file("group_vars/all/secrets.yml")
    password = awx.account.home / ".vault-password"
    vault = f"ansible-vault {{}} --vault-password-file '{password}'"
    secrets.write_text(f"shop_database_password: {VALUES['shop_database_password']}\n", encoding="utf-8")
    awx.account.types(f"{vault.format('encrypt')} '{secrets}'")
    status, said = awx.updates()
    assert status != 0
    (sentence,) = re.findall(r"`(Attempting to decrypt[^`]*)`", text_of(PAGE))
    assert sentence in said

    (command,) = (block for block in blocks(PAGE, "shell") if "encrypt_string" in block)
    (name,) = re.findall(r"--stdin-name (\w+)", command)
    command = command.strip().replace("ansible-vault encrypt_string", vault.format("encrypt_string"))
    status, said = awx.account.types(f"printf '%s' '{VALUES[name]}' | {command} > '{secrets}'")
    assert status == 0, said
    assert awx.updates() == (0, "")
    without = {**VALUES, name: ""}
    status, said = awx.launches("preflight.yml", without, ANSIBLE_VAULT_PASSWORD_FILE=str(password))
    assert status == "successful", said


def test_k3_a_relative_source_begins_at_the_project(awx):
    """What the role app does with it: a module on the controller, whichever playbook asks."""
    shop = awx.folder / "project" / "shop"
    shop.mkdir()
    (shop / "server.py").write_text("# the shop\n", encoding="utf-8")
    (awx.folder / "project" / "pack.yml").write_text(
        """
- hosts: app1.example.com
  connection: local
  gather_facts: false
  vars: {ansible_python_interpreter: "{{ ansible_playbook_python }}"}
  tasks:
    - scaleout.platform.release_archive: {src: shop, dest: "{{ inventory_dir }}/shop.tar.gz"}
    - ansible.builtin.assert:
        that:
          - (inventory_dir ~ '/../shop') is not exists
          - (playbook_dir ~ '/shop') is exists
""",
        encoding="utf-8",
    )
    assert awx.updates() == (0, "")
    status, said = awx.launches("pack.yml", VALUES)
    assert status == "successful", said
    assert (awx.folder / "inventory" / "shop.tar.gz").exists()


def test_the_survey_of_autoscale_yml_is_refused_before_a_host_is_asked(awx):
    """All at once, as a survey has several fields."""
    assert awx.updates() == (0, "")
    status, said = awx.launches("autoscale.yml", VALUES, {"pause": "soon", "application": "shopp"})
    assert status == "failed"
    for sentence in (
        "application: 'shopp' is not an application",
        "pause: 'soon'",
        "a pause needs one",
    ):
        assert sentence in said
    assert "UNREACHABLE" not in said
    # Two tasks, on the controller.
    assert said.count("TASK [") == 2
