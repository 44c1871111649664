# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The picture: well-formed, whole, escaped, and no larger for a longer trace."""

from __future__ import annotations

import re
import xml.etree.ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scaleout.platform.plugins.module_utils.replay import plot
from ansible_collections.scaleout.platform.plugins.module_utils.replay.simulate import Setup, simulate
from ansible_collections.scaleout.platform.plugins.module_utils.replay.traces import Trace

SVG = "{http://www.w3.org/2000/svg}"


def run(demand=(100.0, 300.0, 300.0, 100.0), sizes=(), sync=None, start=0.0):
    left = iter(sizes)
    return simulate(
        Trace(start, 60.0, tuple(demand)), lambda *_seen: next(left, None), Setup(100.0, 1, 9, starts_in=0.0, sync=sync)
    )


def drawn(title="A title", **runs):
    return xml.etree.ElementTree.fromstring(plot.draw(title, runs or {"ours": run()}))


def lines(root, kind):
    found = [line for line in root.iter(f"{SVG}polyline") if line.get("class") == f"line {kind}"]
    assert len(found) == 1
    return [tuple(float(value) for value in point.split(",")) for point in found[0].get("points").split()]


def test_demand_and_supply_are_steps():
    root = drawn(ours=run(sizes=(None, 3, None, 1)))
    # Four steps of 222 on 888 columns from 56; three members on 288 rows, so one member is 96 above 344.
    expected = [(56, 248), (278, 248), (278, 56), (722, 56), (722, 248), (944, 248)]
    assert lines(root, "demand") == lines(root, "line0") == expected


def test_actions_are_marks():
    root = drawn(ours=run(sizes=(None, 3, None, 1)))
    marks = [(mark.get("class"), mark.find(f"{SVG}title").text) for mark in root.iter(f"{SVG}path")]
    assert marks == [("up", "60 s: 1 to 3"), ("down", "3 min: 3 to 1")]


def test_actions_of_one_column_are_one_mark():
    root = drawn(ours=run(demand=[100.0] * 9000, sizes=[2, 1] * 3))
    marks = [(mark.get("class"), mark.find(f"{SVG}title").text) for mark in root.iter(f"{SVG}path")]
    assert marks == [("down", "60 s: 2 to 1, and 2 more"), ("up", "0 s: 1 to 2, and 2 more")]


def test_a_long_trace_keeps_its_peaks_and_stays_small():
    demand = [100.0] * 80_000
    # A peak and a dip, each within one column and neither at its end.
    demand[40_020], demand[20_020] = 900.0, 0.0
    text = plot.draw("Long", {"ours": run(demand=demand)})
    rows = [y for _x, y in lines(xml.etree.ElementTree.fromstring(text), "demand")]
    assert (min(rows), max(rows)) == (plot.TOP, plot.HEIGHT - plot.BOTTOM)
    assert len(text) < 60_000


def test_runs_of_other_steps_are_drawn_on_one_axis():
    root = drawn(ours=run(), theirs=run(sync=15.0))
    assert lines(root, "line0") == lines(root, "line1")


def test_the_picture_is_readable_on_light_and_on_dark():
    text = plot.draw("A title", {"ours": run()})
    light, dark = text.split("@media (prefers-color-scheme: dark)")
    for kind in ("paper", "text", "grid", "demand", "line0", "line3", "up", "down"):
        pattern = rf"(?:^|[\s.]){kind} {{ (?:fill|stroke): (#[0-9a-f]{{6}}); }}"
        assert re.search(pattern, light, re.M)[1] != re.search(pattern, dark, re.M)[1]


@pytest.mark.parametrize("colours", [plot._LIGHT, plot._DARK], ids=["light", "dark"])
def test_what_is_to_be_read_has_a_contrast_of_4_5(colours):
    def luminance(colour):
        # WCAG 2.1, relative luminance.
        parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for name in set(colours) - {"paper", "grid"}:
        dark, light = sorted([luminance(colours[name]), luminance(colours["paper"])])
        assert (light + 0.05) / (dark + 0.05) >= 4.5, name


def test_text_is_escaped():
    name = "<b>&\"'\0"
    text = plot.draw(name, {name: run()})
    root = xml.etree.ElementTree.fromstring(text)
    assert root.find(f"{SVG}title").text == "<b>&\"'\ufffd"
    assert not list(root.iter(f"{SVG}b"))
    assert "<b>&\"'\ufffd" in [element.text for element in root.iter(f"{SVG}text")]


@given(st.text(), st.text(), st.lists(st.floats(0, 5000), min_size=2, max_size=50))
def test_any_picture_is_well_formed(title, name, demand):
    root = xml.etree.ElementTree.fromstring(plot.draw(title, {name: run(demand=demand, sizes=(2, 5, 1))}))
    assert root.tag == f"{SVG}svg"
    for kind in ("demand", "line0"):
        assert all(
            plot.LEFT <= x <= plot.WIDTH - plot.RIGHT and plot.TOP <= y <= plot.HEIGHT - plot.BOTTOM
            for x, y in lines(root, kind)
        )


def test_a_pool_without_any_demand_is_drawn():
    assert lines(drawn(ours=run(demand=(0.0, 0.0))), "demand") == [(56, 344), (944, 344)]


@pytest.mark.parametrize(
    ("runs", "told"),
    [
        ({}, "0 runs are not 1 to 4"),
        ({str(number): run() for number in range(5)}, "5 runs are not 1 to 4"),
        ({"one": run(), "other": run(demand=(1.0, 2.0))}, "not of one trace"),
        ({"one": run(), "other": run(start=60.0)}, "not of one trace"),
    ],
)
def test_runs_that_do_not_belong_together_are_refused(runs, told):
    with pytest.raises(ValueError, match=told):
        plot.draw("A title", runs)
