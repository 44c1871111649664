# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""docs/replay.md: its commands are typed, and what it says of the result is what comes."""

from __future__ import annotations

import re

import pytest
import yaml

from ansible_collections.scaleout.platform.plugins.module_utils.replay.report import CAUSES
from ansible_collections.scaleout.platform.plugins.module_utils.replay.traces import HEADER, KINDS, parse
from tests.bench import replay
from tests.unit.docs.pages import Account, blocks, text_of

PAGE = "docs/replay.md"


def test_the_example_gives_what_the_page_shows(tmp_path):
    account = Account(tmp_path)
    (command,) = blocks(PAGE, "shell")
    status, said = account.types(command)
    assert status == 0, said
    shown, _csv = blocks(PAGE, "text")
    for line in filter(None, shown.splitlines()):
        assert re.sub(r"\s+", " ", line) in said
    page = (account.folder / "replay" / "replay.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    status, said = account.types(command.splitlines()[1])
    assert "changed=0" in said


def test_the_file_of_the_page_can_be_read():
    _shown, csv = blocks(PAGE, "text")
    assert csv.startswith(HEADER)
    assert parse(csv).demand == (152.4, 158.1)


def test_each_word_for_what_held_the_pool_is_explained():
    (table,) = re.findall(r"\| word \|.*?\n\n", text_of(PAGE), re.DOTALL)
    words = set(re.findall(r"`(\w+)`", " ".join(row.split("|")[1] for row in table.strip().splitlines())))
    # A growth never fails in a simulation.
    assert words == set(CAUSES) - {"back_off"}
    assert all(f"`{kind}`" in text_of(PAGE) for kind in KINDS)


@pytest.mark.parametrize(("kind", "name"), [("step", "defaults"), ("saw", "target"), ("flash", "crowd")])
def test_the_table_is_what_the_bench_computes(kind, name):
    found = replay.replay(kind, replay.POLICIES[name], replay.DAYS, 60, [replay.HPA])
    cells = replay.row(kind, name, found["runs"][0], found["worse"], replay.DAYS)
    page = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text_of(PAGE).splitlines() if "|" in line]
    (shown,) = [row for row in page if row[:2] == [kind, name]]
    assert [re.sub(r"^4\.033 h$", "4.0 h", cell) for cell in cells] == shown


@pytest.mark.parametrize("kind", KINDS)
def test_the_policy_for_crowds_is_the_one_of_the_table(kind):
    """docs/autoscaling.md repeats three columns of the table, for the policy that it shows."""
    shown = [yaml.safe_load(code)["scaling"] for code in blocks("docs/autoscaling.md", "yaml") if "targets:" in code]
    assert [one["targets"] for one in shown] == [replay.POLICIES["crowd"]["targets"]]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text_of(PAGE).splitlines() if "|" in line]
    expected = [", ".join(row[2:5]) for name in ("defaults", "crowd", "hpa") for row in rows if row[:2] == [kind, name]]
    assert f"| {kind} | {' | '.join(expected)} |" in text_of("docs/autoscaling.md")
