# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The loop of `make autoscale`: cycles in turn, and how Ctrl-C ends it."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

import pytest

from tools.lab import loop
from tools.lab.labs import LABS

CYCLE = "import sys, time; print('web: 3, nothing to do', flush=True); time.sleep(float(sys.argv[1]))"


@pytest.fixture(name="cycles")
def _cycles(monkeypatch, tmp_path):
    """A function that lets each cycle take some seconds and returns where it tells of itself."""

    def make(seconds):
        marks = tmp_path / "cycles"
        text = f"open({str(marks)!r}, 'a').write('x'); {CYCLE}; open({str(marks)!r}, 'a').write('.')"
        monkeypatch.setattr(loop, "command", lambda *_given: [sys.executable, "-c", text, str(seconds)])
        return marks

    return make


def interrupt(*after):
    """Ctrl-C after so many seconds each."""

    def press():
        for seconds in after:
            time.sleep(seconds)
            os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=press, daemon=True).start()


def test_a_cycle_follows_the_other_until_ctrl_c(cycles, capfd):
    marks = cycles(0)
    before = signal.getsignal(signal.SIGINT)
    interrupt(1.5)
    assert loop.run(LABS["lab"], 0.3) == 0
    assert 2 <= marks.read_text().count("x.") <= 6
    assert capfd.readouterr().out.endswith("The loop has ended.\n")
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_lets_the_cycle_end(cycles, capfd):
    marks = cycles(2)
    interrupt(1)
    assert loop.run(LABS["lab"], 30) == 0
    assert marks.read_text() == "x."
    assert "Ends after this cycle." in capfd.readouterr().out


def test_a_second_ctrl_c_breaks_it_off(cycles):
    marks = cycles(30)
    interrupt(1, 0.5)
    began = time.monotonic()
    assert loop.run(LABS["lab"], 30) != 0
    assert time.monotonic() - began < 20
    assert marks.read_text() == "x"


def test_a_cycle_pushes_its_samples_and_shows_only_lines():
    made = loop.environment()
    assert made["ANSIBLE_CALLBACKS_ENABLED"] == "scaleout.platform.push_metrics"
    assert made["ANSIBLE_STDOUT_CALLBACK"] == "scaleout.platform.lines"
    command = loop.command(LABS["trio"].inventory, ["--check"])
    assert command[1].endswith("inventories/trio")
    assert command[2:] == [str(loop.ROOT / "playbooks/autoscale.yml"), "--check"]
