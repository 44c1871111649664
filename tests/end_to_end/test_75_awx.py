# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The playbooks as AWX runs them: the built collection beside a small project, ansible-runner, an inventory that was
imported, the secrets as injected variables, the key in an agent."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ansible_runner
import pytest
import yaml

from tests.end_to_end import lab
from tools.lab.paths import LAB, ROOT

#: What a job has from elsewhere: from the machine credential, or from the place where it runs.
NOT_IMPORTED = {"ansible_ssh_private_key_file", "ansible_ssh_common_args", "lab_dir"}


@dataclass(frozen=True)
class Job:
    """What AWX would show of a job.

    :param told: everything that it printed or reported.
    """

    status: str
    changed: Mapping[str, int]
    told: str


@dataclass(frozen=True)
class Controller:
    """A controller with a project, an inventory and a credential.

    :param folder: as ansible-runner calls it, the private data directory.
    """

    folder: Path
    secrets: Mapping[str, str] = field(repr=False)

    def launch(self, playbook: str, without: str = "", **survey: Any) -> Job:
        """Launch a job template, its survey answered.

        :param without: a secret that the credential lacks.
        """
        # A job has a folder of its own; ansible-runner keeps what it finds in one.
        shutil.rmtree(self.folder / "env", ignore_errors=True)
        credential = {name: value for name, value in self.secrets.items() if name != without}
        run = ansible_runner.run(
            private_data_dir=str(self.folder),
            playbook=playbook,
            extravars={**credential, **survey},
            ssh_key=(LAB / "id_ed25519").read_text(),
            envvars={
                "ANSIBLE_COLLECTIONS_PATH": f"{self.folder}/requirements_collections",
                "ANSIBLE_HOST_KEY_CHECKING": "False",
                "ANSIBLE_INVENTORY_UNPARSED_FAILED": "True",
                "ANSIBLE_RETRY_FILES_ENABLED": "False",
                "CONSUL_HTTP_TOKEN": self.secrets["consul_reader_token"],
            },
            quiet=True,
        )
        with run.stdout as file:
            told = file.read() + "".join(map(json.dumps, run.events))
        (lab.LOGS / f"75-{playbook}.log").write_text(told)
        return Job(run.status, (run.stats or {}).get("changed", {}), told)


@pytest.fixture(scope="module")
def awx(platform, tmp_path_factory) -> Iterator[Controller]:
    folder = tmp_path_factory.mktemp("awx")
    shutil.copytree(ROOT / "examples/awx-project", folder / "project")
    lab.local("git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(folder / "source"))
    lab.local("ansible-galaxy", "collection", "build", "--output-path", str(folder), str(folder / "source"))
    (archive,) = folder.glob("*.tar.gz")
    target = str(folder / "requirements_collections")
    # Forced, for this checkout is an installed collection of the same version already.
    lab.local("ansible-galaxy", "collection", "install", "--no-deps", "--force", "-p", target, str(archive))

    secrets = yaml.safe_load(lab.CHOSEN.secrets.read_text())
    imported = json.loads(lab.local("ansible-inventory", "--list", "--export"))
    known = imported["all"]["vars"]
    for name in [*secrets, *NOT_IMPORTED]:
        known.pop(name, None)
    known["lab_dir"] = str(LAB)
    (folder / "inventory").mkdir()
    script = folder / "inventory/hosts"
    script.write_text(f"#!/usr/bin/env python3\nprint('''{json.dumps(imported)}''')\n")
    script.chmod(0o755)
    yield Controller(folder, secrets)
    # The temporary folder outlives the tests.
    shutil.rmtree(folder)


def assert_tells_no_secret(job: Job, secrets: Mapping[str, str]) -> None:
    assert not [name for name, value in secrets.items() if value in job.told]


@lab.any_size
def test_a_job_on_a_platform_that_runs_changes_nothing(awx):
    job = awx.launch("site.yml")
    assert job.status == "successful", job.told[-3000:]
    assert not job.changed
    assert_tells_no_secret(job, awx.secrets)


@lab.any_size
def test_a_credential_that_lacks_a_secret_is_named(awx):
    job = awx.launch("site.yml", without="redis_password")
    assert job.status == "failed"
    assert "the secret redis_password is not set" in job.told
    assert_tells_no_secret(job, awx.secrets)


@lab.any_size
def test_a_survey_reaches_scale_yml(awx):
    kept = awx.launch("scale.yml", api=len(lab.upstream()))
    assert (kept.status, dict(kept.changed)) == ("successful", {}), kept.told[-3000:]
    refused = awx.launch("scale.yml", api="many")
    assert refused.status == "failed"
    assert "api: 'many' is not how many" in refused.told


@lab.any_size
def test_a_survey_pauses_autoscale_yml_and_a_scheduled_cycle_changes_nothing(awx):
    """The pause ends by itself; on a busy machine, half a minute was over before the cycle looked."""
    size = len(lab.upstream())
    paused = awx.launch("autoscale.yml", application="reference_api", pause="2m", why="A job")
    assert paused.status == "successful", paused.told[-3000:]
    assert re.search(r"api: paused for another \d+ s by \w+: A job", paused.told)
    cycle = awx.launch("autoscale.yml")
    assert (cycle.status, dict(cycle.changed)) == ("successful", {}), cycle.told[-3000:]
    assert re.search(rf"api: (held at )?{size}, [^\n]*[Pp]aused for another \d+ s: A job", cycle.told)
    assert len(lab.upstream()) == size
    assert_tells_no_secret(cycle, awx.secrets)


@lab.long_tier
def test_a_survey_makes_the_pool_bigger_and_smaller(awx):
    for count in (4, 3):
        job = awx.launch("scale.yml", api=count)
        assert job.status == "successful", job.told[-3000:]
        assert len(lab.upstream()) == count
        assert_tells_no_secret(job, awx.secrets)
