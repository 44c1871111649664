# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The transaction on a real file system, with a service small enough to know everything about.

The service runs with the text of its file. One that holds ``bad`` is taken and does not serve, with one that holds
``crash`` it gives up, and one that holds ``invalid`` is refused by the service's own checker. tests/kills does the same
with real services and real kills.
"""

from __future__ import annotations

import getpass
import grp
import os
import tempfile
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Refused, ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.journal import Journal
from ansible_collections.scaleout.platform.plugins.module_utils.operations.configure import Configuration
from ansible_collections.scaleout.platform.plugins.module_utils.services.drivers.unit import Driver, UnitState
from ansible_collections.scaleout.platform.plugins.module_utils.transaction import RELOAD, RESTART, File

OWNER, GROUP = getpass.getuser(), grp.getgrgid(os.getgid()).gr_name


class Killed(BaseException):
    """What a step raises in place of SIGKILL."""


class Machine:
    """A host with one service; it outlives the processes that configure it."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "x.conf")
        self.root = os.path.join(folder, "journals")
        self.runs = None
        self.since = 0.0
        self.activations = []
        self.proven = []
        self.needed = ""

    def text(self):
        if not os.path.exists(self.path):
            return None
        with open(self.path, encoding="utf-8") as stream:
            return stream.read()

    def start(self, level):
        self.runs, self.since = self.text() or "", time.time() + 1
        self.activations.append((level, self.runs))


class Small(Driver):
    """Drives the service of a machine."""

    def __init__(self, machine):
        super().__init__("small", ["small.service"], {}, {}, "")
        self.machine = machine

    def look(self):
        machine = self.machine
        active = machine.runs is not None
        return [UnitState("small.service", True, active, enabled=active, since=machine.since, read=machine.since)]

    def validate(self, staged):
        for name in staged.values():
            with open(name, encoding="utf-8") as stream:
                if "invalid" in stream.read():
                    return "syntax error"
        return ""

    def guard(self):
        return self.machine.needed

    def activate(self, level):
        self.machine.start(level)
        return ""

    def ailments(self):
        if self.machine.runs is None:
            return ["it is not running"]
        return ["it does not serve"] if "bad" in self.machine.runs or self.hopeless() else []

    def hopeless(self):
        return "crash" in (self.machine.runs or "")

    def proven(self):
        self.machine.proven.append(self.machine.runs)

    def last_words(self):
        return "port taken"


class Clock:
    """Time passes only when the code waits."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


def configuration(machine, text, needs=RELOAD, on_step=lambda _step: None):
    wanted = File(machine.path, text, 0o640, OWNER, GROUP, needs)
    return Configuration([wanted], Small(machine), Journal("small", machine.root), 3, Clock(), on_step)


@pytest.fixture
def machine(tmp_path):
    return Machine(str(tmp_path))


def converge(machine, text, **options):
    """One run: look, and apply where something is due; returns whether there was."""
    one = configuration(machine, text, **options)
    changed = one.plan().changed
    if changed:
        one.apply()
    return changed


def test_the_first_run_starts_the_service_and_the_second_is_boring(machine):
    assert converge(machine, "one")
    assert machine.runs == "one"
    assert not converge(machine, "one")
    assert len(machine.activations) == 1


def test_a_change_does_what_the_file_needs(machine):
    converge(machine, "one")
    converge(machine, "two", needs=RESTART)
    assert machine.activations[-1] == (RESTART, "two")
    converge(machine, "three")
    assert machine.activations[-1] == (RELOAD, "three")


def test_looking_changes_nothing(machine):
    converge(machine, "one")
    plan = configuration(machine, "two").plan()
    assert plan.changed
    assert plan.before == {machine.path: "one"}
    assert plan.after == {machine.path: "two"}
    assert plan.result["pending"] == [f"{machine.path} differs"]
    assert (machine.text(), machine.runs) == ("one", "one")


def test_what_the_service_refuses_never_takes_its_place(machine):
    converge(machine, "one")
    with pytest.raises(Refused) as caught:
        converge(machine, "invalid")
    assert caught.value.code == "invalid_configuration"
    assert "syntax error" in caught.value.message
    assert (machine.text(), machine.runs, len(machine.activations)) == ("one", "one", 1)


def test_what_does_not_serve_goes_back(machine):
    converge(machine, "one")
    with pytest.raises(Refused) as caught:
        converge(machine, "bad")
    assert caught.value.code == "not_healthy"
    assert caught.value.message == (
        "small is not healthy with its configuration after 3 s: it does not serve. "
        "The earlier configuration is back. Its log: port taken"
    )
    assert (machine.text(), machine.runs) == ("one", "one")
    assert not converge(machine, "one")


def test_only_what_serves_is_told_to_be_proven(machine):
    converge(machine, "one")
    with pytest.raises(Refused):
        converge(machine, "bad")
    with pytest.raises(Refused):
        converge(machine, "invalid")
    assert machine.proven == ["one"]


def test_a_service_that_gives_up_is_not_waited_for(machine):
    converge(machine, "one")
    with pytest.raises(Refused, match="not healthy with its configuration after 0 s") as caught:
        converge(machine, "crash")
    assert caught.value.code == "not_healthy"
    assert (machine.text(), machine.runs) == ("one", "one")


def test_without_an_earlier_one_the_file_goes(machine):
    with pytest.raises(Refused) as caught:
        converge(machine, "bad")
    assert "There is no earlier one." in caught.value.message
    assert machine.text() is None


def test_a_service_that_its_group_needs_is_left_alone(machine):
    converge(machine, "one")
    machine.needed = "two servers make no quorum"
    with pytest.raises(Refused) as caught:
        converge(machine, "two")
    assert caught.value.code == "needed"
    assert (machine.text(), machine.runs) == ("one", "one")
    machine.needed = ""
    assert converge(machine, "two")


def test_a_hand_edit_is_taken_back(machine):
    converge(machine, "one")
    with open(machine.path, "w", encoding="utf-8") as stream:
        stream.write("edited")
    assert converge(machine, "one")
    assert (machine.text(), machine.runs) == ("one", "one")


def test_a_service_that_stopped_is_started(machine):
    converge(machine, "one")
    machine.runs = None
    assert configuration(machine, "one").plan().result["serving"] is False
    assert converge(machine, "one")
    assert machine.runs == "one"


def test_an_unhealthy_service_whose_files_are_right_is_told(machine):
    converge(machine, "one")
    machine.runs = None
    machine.start = lambda level: setattr(machine, "runs", "bad luck")
    with pytest.raises(Refused) as caught:
        converge(machine, "one")
    assert "Its files had not changed." in caught.value.message
    assert machine.text() == "one"


STEPS = ("stage", "validate", "guard", "keep", "prepare", "exchange", "activate", "probe", "close", "refuse", "restore")


def killing(step):
    def on_step(reached):
        if reached == step:
            raise Killed(step)

    return on_step


@pytest.mark.parametrize("step", STEPS[:9])
def test_s6_killed_at_each_step_the_next_run_finishes(machine, step):
    converge(machine, "one")
    with pytest.raises(Killed):
        converge(machine, "two", on_step=killing(step))
    assert converge(machine, "two")
    assert (machine.text(), machine.runs) == ("two", "two")
    assert not converge(machine, "two")


@pytest.mark.parametrize("step", ["refuse", "restore"])
def test_killed_while_a_bad_one_goes_back(machine, step):
    converge(machine, "one")
    with pytest.raises(Killed):
        converge(machine, "bad", on_step=killing(step))
    assert converge(machine, "two")
    assert (machine.text(), machine.runs) == ("two", "two")


@given(
    st.lists(
        st.tuples(st.sampled_from(["one", "two", "bad", "invalid"]), st.none() | st.sampled_from(STEPS)), max_size=8
    )
)
def test_whatever_happened_before_a_good_run_converges(history):
    """And what a failed run leaves was proven before, unless a kill has come between."""
    with tempfile.TemporaryDirectory() as folder:
        machine = Machine(folder)
        proven = None
        clean = True
        for text, step in history:
            try:
                converge(machine, text, on_step=killing(step))
            except Killed:
                clean = False
            except ScaleoutError:
                if proven is not None:
                    assert machine.text() == proven
                    assert machine.runs == proven
                    clean = True
            else:
                assert text not in ("bad", "invalid")
                proven, clean = text, True
            if clean and proven is not None:
                assert machine.runs == proven
        converge(machine, "good")
        assert (machine.text(), machine.runs) == ("good", "good")
        assert not converge(machine, "good")
