# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a step of `make up` prints: little when there is little to do, and that it still runs when it takes long."""

from __future__ import annotations

import re
import sys
import time

import pytest

from tools.lab import environment, phases
from tools.lab.shell import NeedsHelp, follow


@pytest.fixture(autouse=True)
def _file(monkeypatch, tmp_path):
    monkeypatch.setattr(phases, "PHASES", tmp_path / "phases.json")
    monkeypatch.setattr(phases, "_AT", {})


def test_a_step_that_is_quick_prints_when_it_begins_and_ends(capsys):
    phases.timed("environment", lambda: "is there")
    assert re.fullmatch(r"environment +…\nenvironment +is there, \d\.\d s\n", capsys.readouterr().out)


def test_one_that_takes_long_says_what_it_is_at(monkeypatch, capsys):
    monkeypatch.setattr(phases, "EVERY", 0.2)

    def step():
        time.sleep(0.3)
        environment._tell("WARNING: Running pip as the root user")
        environment._tell(f"Installing collected packages: {'a, ' * 100}")
        time.sleep(0.3)
        return "built"

    phases.timed("environment", step)
    _begun, first, *_more, last, _ended = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"environment +… 0 s", first)
    assert re.fullmatch(r"environment +… \d s, Installing collected packages: [a, ]+…", last)
    assert len(last) < 100


def test_a_step_that_fails_beats_no_more(monkeypatch, capsys):
    monkeypatch.setattr(phases, "EVERY", 0.05)

    def step():
        raise NeedsHelp("no disk")

    with pytest.raises(NeedsHelp):
        phases.timed("image", step)
    capsys.readouterr()
    time.sleep(0.2)
    assert capsys.readouterr().out == ""


def test_a_command_is_followed_line_by_line():
    told = []
    follow(told.append, sys.executable, "-c", "print('Collecting a'); print('  Downloading a')")
    assert told == ["Collecting a", "Downloading a"]


def test_a_command_that_fails_shows_its_last_lines():
    program = "import sys; [print(number) for number in range(100)]; print('no', file=sys.stderr); sys.exit(3)"
    with pytest.raises(NeedsHelp) as stopped:
        follow(lambda _line: None, sys.executable, "-u", "-c", program)
    assert "failed with status 3" in str(stopped.value)
    assert str(stopped.value).splitlines()[-2:] == ["99", "no"]
    assert "\n50\n" not in str(stopped.value)
