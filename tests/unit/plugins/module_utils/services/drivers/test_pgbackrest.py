# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is read of a host of the backups, and when that fails."""

from __future__ import annotations

import json

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.process import NO_PROGRAM, Done
from ansible_collections.scaleout.platform.plugins.module_utils.services.drivers import pgbackrest

INFO = [{"name": "main", "backup": [], "db": [], "status": {"code": 2, "message": "no valid backups"}}]


@pytest.fixture(name="host")
def _host(monkeypatch, tmp_path):
    """A host: the answers by the name of the command, and a folder for its files."""
    answers = {
        "version": Done(0, "pgBackRest 2.54.2\n", ""),
        "info": Done(0, json.dumps(INFO), ""),
        "repo-ls": Done(0, '{".":{"type":"path"}}', ""),
    }
    asked = []

    def run(argv, timeout=0):
        words = argv[argv.index(pgbackrest.PROGRAM) + 1 :]
        asked.append(words)
        return answers[words[0]]

    monkeypatch.setattr(pgbackrest, "run", run)
    for name in ("FILE", "DEBIANS_FILE", "CERTIFICATE_FILE", "CA_FILE", "OS_RELEASE"):
        monkeypatch.setattr(pgbackrest, name, str(tmp_path / name))
    monkeypatch.setattr(pgbackrest, "TIMERS", str(tmp_path / "pgbackrest-*@*.timer"))
    (tmp_path / "OS_RELEASE").write_text('ID=debian\nVERSION_ID="13"\n')
    return answers, asked, tmp_path


def test_a_bare_host_is_an_answer(host):
    answers, asked, _folder = host
    answers["version"] = Done(NO_PROGRAM, "", "none")
    found = pgbackrest.read(["main"], False, "")
    assert (found["program"], found["stanzas"], found["reason"], found["version"]) == ("", {}, "", 17)
    assert len(asked) == 1


@pytest.mark.parametrize("there", [(), ("FILE",)])
def test_a_bare_host_has_no_backups_to_tell_of(host, there):
    answers, _asked, folder = host
    for name in there:
        (folder / name).write_text("")
        answers["version"] = Done(NO_PROGRAM, "", "none")
    with pytest.raises(pgbackrest.RepositoryUnreadable):
        pgbackrest.read(["main"], True, "")


@pytest.mark.parametrize(("archives", "commands"), [(False, ["info"]), (True, ["info", "repo-ls"])])
def test_the_repository_is_asked(host, archives, commands):
    _answers, asked, folder = host
    (folder / "FILE").write_text("[global]\n")
    (folder / "pgbackrest-full@main.timer").write_text("")
    (folder / "1.csr").write_text("")
    found = pgbackrest.read(["main"], archives, str(folder / "1.csr"))
    assert [words[0] for words in asked[1:]] == commands
    assert found["stanzas"]["main"]["code"] == 2
    assert found["description"] == ["main: no backup. pgBackRest says: no valid backups."] * archives
    assert (found["timers"], found["requested"]) == (["pgbackrest-full@main.timer"], True)


def test_the_histories_of_timelines_are_asked(host):
    answers, asked, folder = host
    (folder / "FILE").write_text("[global]\n")
    answers["repo-ls"] = Done(0, json.dumps({"15-1/00000002.history": {"type": "file", "time": 1}}), "")
    answers["--stanza=main"] = Done(0, "1\t0/5000060\tno recovery target specified\n", "")
    found = pgbackrest.read(["main"], True, "")
    assert asked[-1] == ["--stanza=main", "repo-get", "archive/main/15-1/00000002.history"]
    assert found["stanzas"]["main"]["histories"] == {"2": {"1": "0/5000060"}}


@pytest.mark.parametrize("answer", [Done(103, "", "ERROR: [103]: no answer"), Done(0, "no JSON", "")])
def test_a_repository_that_cannot_be_read(host, answer):
    answers, _asked, folder = host
    answers["info"] = answer
    (folder / "FILE").write_text("[global]\n")
    found = pgbackrest.read(["main"], False, "")
    assert found["stanzas"] == {}
    assert found["reason"].startswith("pgBackRest cannot read" if answer.status else "pgbackrest info printed no JSON")
    with pytest.raises(pgbackrest.RepositoryUnreadable) as failure:
        pgbackrest.read(["main"], True, "")
    assert failure.value.code == "repository_broken"


@pytest.mark.parametrize(
    ("text", "ours", "before"),
    [
        ("[global]\nrepo1-path=/var/lib/pgbackrest\n#[main]\n#pg1-path=/var/lib/postgresql/13/main\n", False, False),
        ("[global]\n\n[main]\n pg1-path = /srv/data\n", False, True),
        ("[main]\npg1-host=192.0.2.1\n", False, True),
        ("[main]\npg1-path=/srv/data\n", True, False),
        ("", False, False),
    ],
)
def test_stanzas_of_another(host, text, ours, before):
    _answers, _asked, folder = host
    (folder / "DEBIANS_FILE").write_text(text)
    if ours:
        (folder / "FILE").write_text("")
    assert pgbackrest.read([], False, "")["configured_before"] is before
