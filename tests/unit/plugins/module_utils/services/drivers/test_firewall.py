# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The firewall's driver: what the kernel shows decides, and which rules a timer would bring back."""

from __future__ import annotations

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.process import Done
from ansible_collections.scaleout.platform.plugins.module_utils.services.drivers import firewall
from ansible_collections.scaleout.platform.plugins.module_utils.services.drivers.unit import UnitState

SHOWN = 'table inet scaleout {\n\tcomment "rules 0123456789abcdef"\n}\n'


@pytest.fixture(name="driver")
def _driver(monkeypatch, tmp_path):
    """A driver whose files are in a folder of the test, and whose programs answer what the test says."""
    for name in ("RULES", "EARLIER", "LOADED"):
        monkeypatch.setattr(firewall, name, str(tmp_path / name))
    made = firewall.Firewall("firewall", ["scaleout-firewall.service"], {"undo_after": 60}, {}, "0123456789abcdef")
    monkeypatch.setattr(made, "look", lambda: [UnitState("scaleout-firewall.service", known=True, active=True)])
    made.answers = {"nft": Done(0, SHOWN, ""), "systemctl": Done(3, "inactive", "")}
    monkeypatch.setattr(firewall, "run", lambda argv, **_more: made.answers[argv[0]])
    return made


@pytest.mark.parametrize(
    ("loaded", "shown", "drift"),
    [
        (SHOWN, SHOWN, "none"),
        (SHOWN, SHOWN.replace("\n}", "\n\tadded by hand\n}"), "reload"),
        (SHOWN, SHOWN.replace("0123", "9999"), "reload"),
        (SHOWN, None, "reload"),
        (None, SHOWN, "reload"),
    ],
)
def test_a_table_that_is_another_one_is_loaded_again(driver, loaded, shown, drift):
    if loaded:
        driver.answers["nft"] = Done(0, loaded, "")
        driver.proven()
    driver.answers["nft"] = Done(0, shown, "") if shown else Done(1, "", "No such file or directory")
    assert driver.drift() == drift


@pytest.mark.parametrize(
    ("shown", "ailments"),
    [
        (Done(0, SHOWN, ""), []),
        (Done(0, SHOWN.replace("0123", "9999"), ""), ["the kernel does not have the new rules"]),
        (Done(1, "", "gone"), ["the kernel does not have the new rules"]),
    ],
)
def test_the_kernel_says_which_rules_it_has(driver, shown, ailments):
    driver.answers["nft"] = shown
    assert driver.ailments() == ailments


@pytest.mark.parametrize(
    ("rules", "timer", "kept"),
    [
        ("now", False, "now"),
        (None, False, ""),
        # The rules in force were never confirmed.
        ("now", True, "before"),
    ],
)
def test_what_comes_back_is_what_was_confirmed(driver, tmp_path, rules, timer, kept):
    (tmp_path / "EARLIER").write_text("before")
    if rules:
        (tmp_path / "RULES").write_text(rules)
    driver.answers["systemctl"] = Done(0 if timer else 3, "", "")
    assert driver.prepare("reload") == ""
    assert (tmp_path / "EARLIER").read_text() == kept
