# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The pages for operators: their commands are typed as they stand, and their examples go through preflight."""

from __future__ import annotations

import itertools
import pathlib
import re
import shlex
import shutil

import pytest
import yaml
from ansible.parsing.splitter import parse_kv

from tests.unit.docs.pages import ROOT, Account, blocks, text_of
from tools.lab.secrets import MAKERS

VMS, OWN, TWO = "docs/your-own-vms.md", "docs/your-own-application.md", "docs/two-applications.md"
REMOVING, TRIO = "docs/removing.md", "docs/on-the-trio.md"
PAGES = sorted(
    str(path.relative_to(ROOT)) for pattern in ("*.md", "docs/*.md", "roles/*/README.md") for path in ROOT.glob(pattern)
)
PREFLIGHT = "ansible-playbook -i inventories/production scaleout.platform.preflight"
#: Commands that are not typed here, and why.
ELSEWHERE = {
    "mkdir platform": "the account stands in that folder already",
    "python3 -m venv": "the environment of these tests is one",
    "pip install": "needs a package index",
    "ansible-galaxy collection install": "needs Galaxy; tools/ci/artifact installs what is built",
    "ansible-galaxy collection build": "tools/ci/artifact builds it",
    "ansible-playbook -i inventories/production scaleout.platform.site": "needs hosts: tests/end_to_end",
    "ansible-playbook -i inventories/production scaleout.platform.rollback": "needs hosts: tests/rolling",
    "ansible-playbook -i inventories/mine playbooks/site.yml": "needs hosts: tests/applications",
    "make trio": "makes VMs: tests/end_to_end",
    ". .venv/bin/activate": "the environment of these tests is one",
    "curl ": "needs hosts: tests/end_to_end",
    "ansible-vault edit": "needs an editor",
}


def commands(page):
    """The commands of a page that can be typed without a host, in their order, a block each."""
    return [
        "\n".join(line for line in block.splitlines() if not line.startswith(tuple(ELSEWHERE)))
        for block in blocks(page, "shell")
    ]


def targets(page):
    """The targets of make that a page names, in a line of code or between backticks."""
    lines = re.findall(r"(?:^    |^|`)(?:[A-Z_]+=\S+ )?make ([a-z][a-z -]*[a-z])(?=`|  |$)", text_of(page), re.M)
    return {target for line in lines for target in line.split()}


def test_pages_name_targets_that_make_help_shows():
    makefile = text_of("Makefile")
    shown = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.M))
    assert shown == set(re.findall(r"^([a-z-]+):(?!=)", makefile, re.M))
    assert shown == set(re.search(r"^\.PHONY: ((?:.*\\\n)*.*)", makefile, re.M)[1].replace("\\", "").split())
    named = {page: targets(page) for page in [*PAGES, "tests/api/README.md"]}
    assert named["CONTRIBUTING.md"] > {"env", "lint", "test", "help", "test-all", "kills-all", "soak-kills"}
    assert {page: names - shown for page, names in named.items() if names - shown} == {}


def extra_variables(page):
    """The arguments of -e that a page shows, as a shell hands them over."""
    shown = [*blocks(page, "shell"), *re.findall(r"`([^`]*-e [^`]*)`", text_of(page))]
    lines = [line for block in shown for line in block.splitlines() if "-e " in line]
    words = [shlex.split(line.rstrip("\\")) for line in lines]
    return [after for line in words for word, after in itertools.pairwise(line) if word == "-e"]


def test_each_value_on_a_command_line_of_a_page_is_taken_whole():
    shown = {page: extra_variables(page) for page in PAGES}
    assert "why='The sale begins'" in shown["docs/autoscaling.md"]
    cut = {page: [one for one in given if "_raw_params" in parse_kv(one)] for page, given in shown.items()}
    assert {page: given for page, given in cut.items() if given} == {}


@pytest.fixture(name="account")
def _account(tmp_path):
    return Account(tmp_path)


@pytest.fixture(name="own")
def _own(account):
    """An account that has followed the first two pages."""
    for block in commands(VMS)[:-2]:
        if PREFLIGHT not in block:
            status, said = account.types(block)
            assert status == 0, said
    (hosts,) = blocks(VMS, "yaml")
    account.file("hosts.yml").write_text(hosts, encoding="utf-8")
    main = account.file("group_vars/all/main.yml")
    text, count = re.subn(
        r"^postgres_clusters:\n(  .*\n)+", "postgres_clusters: {main: {}}\n", main.read_text(), flags=re.MULTILINE
    )
    assert count == 1
    main.write_text(text)
    assert "postgres_clusters: {main: {}}" in text_of(VMS)
    application, secrets, *_tls = blocks(OWN, "yaml")
    account.file("group_vars/all/applications.yml").write_text(application, encoding="utf-8")
    account.file("group_vars/all/shop.yml").write_text(secrets, encoding="utf-8")
    (account.folder / "examples" / "shop").rename(account.folder / "shop")
    return account


@pytest.mark.parametrize("page", PAGES)
def test_examples_are_yaml(page):
    for block in blocks(page, "yaml"):
        assert list(yaml.safe_load_all(block)), block


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    folder = (ROOT / page).parent
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text_of(page)):
        assert "://" in target or (folder / target).exists(), target


@pytest.mark.parametrize("page", PAGES)
def test_playbooks_that_are_named_exist(page):
    text = text_of(page)
    for name in re.findall(r"ansible-playbook[^\n`]* (?:scaleout\.platform\.|playbooks/)(\w+)", text):
        assert (ROOT / "playbooks" / f"{name}.yml").exists(), name


def test_the_readme_lists_each_playbook_and_each_module_that_a_page_uses():
    told = set(re.findall(r"`([\w.]+)`", text_of("README.md").partition("## What is inside")[2]))
    playbooks = {path.name for path in (ROOT / "playbooks").glob("[a-z]*.yml")}
    modules = {path.stem for path in (ROOT / "plugins" / "modules").glob("*.py")}
    examples = [block for page in PAGES for block in blocks(page, "yaml")]
    used = {name for name in modules if any(f"scaleout.platform.{name}:" in block for block in examples)}
    assert "partition_set" in used
    assert (playbooks | used) - told == set()


def test_k7_the_commands_of_the_page_work_on_a_fresh_account(account):
    """The example as it is copied."""
    *first, export_and_preflight, _site, _curl, _again = commands(VMS)
    status, said = account.types("ansible-galaxy collection list scaleout.platform")
    assert status == 0, said
    assert re.search(r"scaleout\.platform \d+\.\d+", said)
    for block in first:
        status, said = account.types(block)
        assert status == 0, said
    # Secrets are told apart from each other, and the file says nothing any more.
    assert account.file("group_vars/all/secrets.yml").read_text().startswith("$ANSIBLE_VAULT;")
    status, said = account.types(export_and_preflight)
    assert status == 0, said
    assert "WARNING" not in said
    assert "shop http://shop.example.com/" in said
    assert "http://192.0.2." in said


def test_k7_the_page_says_what_an_install_that_is_missing_looks_like(tmp_path):
    account = Account(tmp_path)
    (tmp_path / ".ansible/collections/ansible_collections/scaleout/platform").unlink()
    (tmp_path / "play.yml").write_text("- hosts: localhost\n  tasks:\n    - scaleout.platform.preflight:\n")
    status, said = account.types("ansible-playbook ../play.yml")
    assert status != 0
    (sentence,) = re.findall(r"^`(couldn't resolve .*)`", text_of(VMS), re.MULTILINE)
    assert sentence in said


def test_k3_an_application_of_ones_own_goes_through_preflight(own):
    (command,) = {line for block in commands(OWN) for line in block.splitlines() if line}
    status, said = own.types(command, SCALEOUT_WHEN_UNREACHABLE="static")
    assert status == 0, said
    assert "WARNING" not in said
    assert "vm2 192.0.2.12 nginx, shop, replica in main (shop), PgBouncer, Consul server" in said
    assert "shop http://shop.example.com/" in said


def test_two_applications_go_through_preflight(own):
    applications, hosts, members = blocks(TWO, "yaml")
    own.file("group_vars/all/applications.yml").write_text(applications, encoding="utf-8")
    own.file("hosts2.yml").write_text(hosts, encoding="utf-8")
    own.file("members.yml").write_text(members, encoding="utf-8")
    (own.folder / "blog-2.1.tar.gz").touch()
    with own.file("group_vars/all/shop.yml").open("a", encoding="utf-8") as file:
        file.write("blog_database_password: a third one\n")
    (command,) = {line for block in commands(TWO) for line in block.splitlines() if line}
    status, said = own.types(command, SCALEOUT_WHEN_UNREACHABLE="static")
    assert status == 0, said
    assert "WARNING" not in said
    assert "vm3 192.0.2.13 shop, blog, replica in main (shop, blog)" in said


def test_the_trio_with_an_application_of_ones_own_goes_through_preflight(account):
    for name in ("lab", "trio"):
        shutil.copytree(ROOT / "inventories" / name, account.folder / "inventories" / name, symlinks=True)
    for name in ("ansible.cfg", "playbooks", "examples"):
        (account.folder / name).symlink_to(ROOT / name)
    (account.folder / ".ansible").symlink_to(account.home / ".ansible")
    made = "\n".join(f"{name}: {make()}" for name, make in MAKERS.items())
    (account.folder / "inventories/trio/group_vars/all/secrets.yml").write_text(f"{made}\n", encoding="utf-8")
    (applications,) = blocks(TRIO, "yaml")
    _start, copy, secret, deploy, *_ask = commands(TRIO)
    status, said = account.types(copy)
    assert status == 0, said
    file = account.folder / re.findall(r"^# (\S+)", applications)[0]
    file.write_text(applications, encoding="utf-8")
    # A trio that runs on this machine refuses the token, with a warning.
    status, said = account.types(f"{secret}\n{deploy}")
    assert status == 0, said
    assert "site shop http://shop.example.com/" in said
    assert "load balancer vm1 http://172.29.85.11/" in said


def test_the_play_that_takes_an_application_away_is_a_file_with_a_command_for_the_example(account):
    (copy,) = [block for block in commands(VMS) if "inventories/production inventories/" in block]
    status, said = account.types(copy)
    assert status == 0, said
    (play,) = blocks(REMOVING, "yaml")
    (name,) = re.findall(r"^# (\S+)$", play, re.MULTILINE)
    (account.folder / name).write_text(play, encoding="utf-8")
    (command,) = [block.strip() for block in blocks(REMOVING, "shell") if name in block]
    status, said = account.types(f"{command} --list-hosts", SCALEOUT_WHEN_UNREACHABLE="static")
    assert status == 0, said
    assert "hosts (2):" in said
    assert {"app1.example.com", "app2.example.com"} < set(said.split())
    assert "WARNING" not in said
    (application,) = yaml.safe_load(account.file("group_vars/all/applications.yml").read_text())["applications"].items()
    (role,) = yaml.safe_load(play)[0]["roles"]
    assert (role["app_name"], role["app_port"]) == (application[0], application[1]["port"])


@pytest.mark.parametrize("page", [VMS, OWN, TWO, "docs/scaling.md", "docs/awx.md", "roles/app/README.md"])
def test_k3_no_example_begins_at_the_folder_of_a_playbook(page):
    code = "\n".join([*blocks(page, "yaml"), *re.findall(r"^    .*$", text_of(page), re.MULTILINE)])
    assert "playbook_dir" not in code


def test_the_reason_of_each_command_that_is_not_typed():
    typed = [line for page in (VMS, OWN, TWO, TRIO) for block in blocks(page, "shell") for line in block.splitlines()]
    for start in ELSEWHERE:
        assert [line for line in typed if line.startswith(start)], start
    assert pathlib.Path(ROOT, "tools/ci/artifact").exists()
