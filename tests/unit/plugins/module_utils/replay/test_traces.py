# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Traces: the generator's curves at hand-computed moments, its determinism, and the rows that a file is refused for."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.scaleout.platform.plugins.module_utils.replay import files, traces
from ansible_collections.scaleout.platform.plugins.module_utils.replay.faults import InvalidReplay
from ansible_collections.scaleout.platform.plugins.module_utils.replay.traces import (
    HEADER,
    Shape,
    Trace,
    generate,
    parse,
    uniform,
)

# Twelve values of an hour's period, every five minutes, without noise.
HOUR = Shape(low=100.0, peak=500.0, hours=1.0, interval=300.0, period_hours=1.0, noise=0.0)
SHAPES = st.builds(
    Shape,
    low=st.floats(0, 500),
    peak=st.floats(500, 5000),
    hours=st.just(2.0),
    noise=st.floats(0, 1),
    period_hours=st.floats(0.2, 25),
    seed=st.integers(-(2**70), 2**70),
)


@pytest.mark.parametrize(
    ("kind", "number", "expected"),
    [
        ("wave", 0, 100.0),
        ("wave", 2, 200.0),  # (1 - cos 60°) / 2 = 0.25
        ("wave", 3, 300.0),
        ("wave", 6, 500.0),
        ("wave", 9, 300.0),
        ("step", 3, 100.0),
        ("step", 4, 500.0),
        ("step", 7, 500.0),
        ("step", 8, 100.0),
        ("saw", 0, 100.0),
        ("saw", 3, 200.0),
        ("saw", 9, 400.0),
    ],
)
def test_a_curve_goes_where_it_should(kind, number, expected):
    assert generate(kind, HOUR).demand[number] == pytest.approx(expected)


def test_a_trace_says_when_it_is():
    trace = generate("saw", HOUR)
    assert (trace.start, trace.interval, len(trace.demand), trace.seconds) == (traces.START, 300.0, 12, 3600.0)


def test_a_flash_crowd_comes_once_a_period_at_other_moments():
    shape = Shape(low=0.0, peak=100.0, hours=1_000.0, interval=900.0, period_hours=250.0, noise=0.0)
    demand = generate("flash", shape).demand
    risen = [number for number in range(1, len(demand)) if demand[number - 1] < 50 <= demand[number]]
    assert [number // 1000 for number in risen] == [0, 1, 2, 3]
    assert len({number % 1000 for number in risen}) == 4
    # Three hundredths of the period at its height, then half in each hundredth.
    height = [number for number in range(1000) if demand[number] == pytest.approx(100.0)]
    assert len(height) in (30, 31)
    assert demand[height[-1] + 10] == pytest.approx(50.0, abs=4)
    other = generate("flash", dataclasses.replace(shape, seed=2)).demand
    assert other != demand


@pytest.mark.parametrize(
    ("seed", "outputs"),
    [
        (0, [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]),
        (1234567, [6457827717110365317, 3203168211198807973, 9817491932198370423]),
    ],
)
def test_the_numbers_are_those_of_splitmix64(seed, outputs):
    # The first outputs of the reference implementation.
    assert [int(uniform(seed, number) * 2**53) for number in range(3)] == [output >> 11 for output in outputs]


@given(st.sampled_from(sorted(traces.KINDS)), SHAPES)
def test_a_seed_gives_one_trace_within_its_noise(kind, shape):
    trace = generate(kind, shape)
    assert trace == generate(kind, dataclasses.replace(shape))
    low, high = shape.low * (1 - shape.noise), shape.peak * (1 + shape.noise)
    assert all(low * 0.999999 <= value <= high * 1.000001 for value in trace.demand)


@given(st.integers(0, 2**64), st.integers(0, 2**64))
def test_another_seed_gives_another_trace(one, other):
    shapes = [Shape(hours=1.0, seed=seed) for seed in (one, other)]
    demands = [generate("wave", shape).demand for shape in shapes]
    assert (demands[0] == demands[1]) == (one % 2**64 == other % 2**64)


@pytest.mark.parametrize(
    ("kind", "changes", "told"),
    [
        ("tide", {}, ["kind: 'tide' is none of wave, flash, step, saw."]),
        ("saw", {"low": 600.0}, ["peak: 500 is below low, 600."]),
        ("saw", {"noise": 1.5}, ["noise: 1.5 is above 1."]),
        ("saw", {"interval": 0.0}, ["hours: 1 in intervals of 0 s are not 2 to"]),
        ("saw", {"interval": 3600.0}, ["hours: 1 in intervals of 3600 s are not 2 to"]),
        ("saw", {"interval": 1e-9}, ["are not 2 to"]),
        ("saw", {"period_hours": 0.0}, ["period_hours: 0 is not above zero."]),
        (
            "tide",
            {"low": -1.0, "peak": float("nan"), "seed": 1.5, "noise": True, "hours": "day"},
            ["kind: 'tide'", "low: -1.0", "peak: nan", "seed: 1.5", "noise: True", "hours: 'day'"],
        ),
    ],
)
def test_a_shape_that_cannot_be_is_refused_with_all_that_is_wrong(kind, changes, told):
    with pytest.raises(InvalidReplay) as caught:
        generate(kind, dataclasses.replace(HOUR, **changes))
    assert caught.value.code == "invalid_input"
    assert len(caught.value.facts["problems"]) == len(told)
    assert all(words in caught.value.message for words in told)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (["0,10", "60,20.5", "120,0"], Trace(0.0, 60.0, (10.0, 20.5, 0.0))),
        (["1767225600,1e3", "1767225660,2", ""], Trace(1767225600.0, 60.0, (1000.0, 2.0))),
        # Thirds of a second in milliseconds: the interval is that of the whole.
        (["0,1", "0.333,1", "0.667,1", "1,1"], Trace(0.0, 1 / 3, (1.0, 1.0, 1.0, 1.0))),
    ],
    ids=["plain", "since-1970", "rounded"],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_file_is_read(rows, expected, end):
    found = parse(end.join([HEADER, *rows]))
    assert dataclasses.replace(found, interval=round(found.interval, 9)) == dataclasses.replace(
        expected, interval=round(expected.interval, 9)
    )


@pytest.mark.parametrize(
    ("rows", "faults"),
    [
        (["0,1", "60", "120,1"], ["Line 3: '60' has 1 column, not 2."]),
        (["0,1", "60,1,2", "120,1"], ["Line 3: '60,1,2' has 3 columns, not 2."]),
        (["0,1", "", "120,1"], ["Line 3: '' has 1 column, not 2."]),
        (["0,1", "60,many", "120,-1"], ["Line 3: 'many' is not a number.", "Line 4: '-1' is negative."]),
        (
            ["0,nan", "60,inf", "120,1_0"],
            [f"Line {n}: {v!r} is not a number." for n, v in ((2, "nan"), (3, "inf"), (4, "1_0"))],
        ),
        (["0,1", "60, 1"], ["Line 3: ' 1' is not a number."]),
        (["0,1", "60,"], ["Line 3: '' is not a number."]),
        (["0,1", '60,"2"'], ["Line 3: '\"2\"' is not a number."]),
        (["0,1", "60,1", "180,1", "240,1"], ["Line 4: it is 120 s after the line before, not 60 s."]),
        (["0,1", "60,1", "60,1"], ["Line 4: it is 0 s after the line before, not 60 s."]),
        (["60,1", "0,1"], ["Line 3: its time is not after that of the line before."]),
        (["0," + "9" * 60 + "x", "60,1"], ["Line 2: '" + "9" * 40 + "…' is not a number."]),
    ],
)
def test_bad_rows_are_named_by_their_lines(rows, faults):
    with pytest.raises(InvalidReplay) as caught:
        parse("\n".join([HEADER, *rows]), "/tmp/a.csv")
    assert caught.value.faults == (("path", f"/tmp/a.csv: {' '.join(faults)}"),)
    assert caught.value.message == f"path: /tmp/a.csv: {' '.join(faults)}"


@pytest.mark.parametrize("text", ["", "\n", "0,1\n60,1\n", "time,load\n0,1\n60,1\n"])
def test_a_file_without_its_header_is_refused(text):
    with pytest.raises(InvalidReplay, match="Line 1 has to be 'seconds,requests_per_second'"):
        parse(text)


def test_a_file_of_one_row_has_no_interval():
    with pytest.raises(InvalidReplay, match="It has 1 rows, not 2 to"):
        parse(f"{HEADER}\n0,1\n")


def test_a_file_of_another_format_is_not_named_row_by_row():
    with pytest.raises(InvalidReplay, match=r"80 more\.$") as caught:
        parse("\n".join([HEADER, *["x"] * 100]))
    assert caught.value.message.count("Line ") == 20


@given(st.text())
def test_no_text_breaks_the_reader(text):
    # No header begins so, and a row of it is bad unless it is two numbers.
    for content in (f"x{text}", f"{HEADER}\nx{text}\n60,1"):
        with pytest.raises(InvalidReplay, match="Line"):
            parse(content)


def test_a_file_is_read_from_its_path(tmp_path):
    path = tmp_path / "trace.csv"
    # A spreadsheet writes a byte order mark.
    path.write_bytes(b"\xef\xbb\xbf" + f"{HEADER}\n0,1\n60,2\n".encode())
    assert files.read(str(path)) == Trace(0.0, 60.0, (1.0, 2.0))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "It cannot be read: No such file or directory."),
        (b"\xff\xfe", "It is no UTF-8 text: byte 0 is not."),
        (b"seconds,requests_per_second\n0,1\nx,1\n", "Line 3: 'x' is not a number."),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path, content, told):
    path = tmp_path / "trace.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InvalidReplay) as caught:
        files.read(str(path))
    assert caught.value.message == f"path: {path}: {told}"


def test_a_folder_and_a_name_that_no_file_has_are_refused(tmp_path):
    with pytest.raises(InvalidReplay, match="Is a directory"):
        files.read(str(tmp_path))
    with pytest.raises(InvalidReplay, match="null byte"):
        files.read("a\0b")


def test_a_file_that_is_too_large_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "trace.csv"
    path.write_text(f"{HEADER}\n0,1\n60,2\n")
    monkeypatch.setattr(files, "LARGEST", 10)
    with pytest.raises(InvalidReplay, match="more than 10 bytes"):
        files.read(str(path))
