# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One picture of a run: what was needed, what served, and the actions, as an SVG without any dependency; pure."""

from __future__ import annotations

import dataclasses
import math
import re
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.replay.simulate import UP, Run

WIDTH, HEIGHT = 960, 400
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 56, 56
#: Lines beside the demand that a reader can still tell apart.
MOST = 4
# Characters that XML 1.0 has no way to write.
_UNWRITABLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"}
_PLAIN = "5 0"
_DASHES = (_PLAIN, "6 3", "2 3", "8 3 2 3")
# Each colour of a line has a contrast of 4.5 to its background; lines differ by their dashes too. Plain rules, since
# converters to other formats know no variables of CSS.
_RULES = """
.paper {{ fill: {paper}; }} text {{ fill: {ink}; }} .grid {{ stroke: {grid}; }} .demand {{ stroke: {demand}; }}
.line0 {{ stroke: {blue}; }} .line1 {{ stroke: {purple}; }} .line2 {{ stroke: {brown}; }} .line3 {{ stroke: {green}; }}
.up {{ fill: {green}; }} .down {{ fill: {red}; }}
"""
_LIGHT = {
    "paper": "#ffffff",
    "ink": "#1f2328",
    "grid": "#d1d9e0",
    "demand": "#636c76",
    "blue": "#0969da",
    "purple": "#8250df",
    "brown": "#9a6700",
    "green": "#1a7f37",
    "red": "#cf222e",
}
_DARK = {
    "paper": "#0d1117",
    "ink": "#f0f6fc",
    "grid": "#3d444d",
    "demand": "#9198a1",
    "blue": "#4493f8",
    "purple": "#ab7df8",
    "brown": "#d29922",
    "green": "#3fb950",
    "red": "#f85149",
}
_STYLE = f"""
svg {{ font: 12px sans-serif; }} .title {{ font-size: 15px; font-weight: bold; }}
.line {{ fill: none; stroke-width: 1.5; }}
{_RULES.format(**_LIGHT)}
@media (prefers-color-scheme: dark) {{ {_RULES.format(**_DARK)} }}
"""


@dataclasses.dataclass(frozen=True)
class _Frame:
    """From a step and a number of members to a place in the picture."""

    steps: int
    members: int

    def x(self, step: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * step / self.steps

    def y(self, members: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * members / self.members


def draw(title: str, runs: t.Mapping[str, Run]) -> str:
    """Draw runs of one trace by the names of their policies; the marks are the actions of the first one.

    :returns: the text of an SVG file that is readable on light and on dark paper.
    :raises ValueError: there is no run, there are more than `MOST`, or they are not of one trace.
    """
    if not 1 <= len(runs) <= MOST:
        raise ValueError(f"{len(runs)} runs are not 1 to {MOST}")
    name, first = next(iter(runs.items()))
    length = len(first.supply) * first.step
    if not first.supply or any(
        run.start != first.start or not math.isclose(len(run.supply) * run.step, length) for run in runs.values()
    ):
        raise ValueError("the runs are not of one trace")
    # One member serves at least, so the axis has a length.
    most = max(max(series) for series in (first.needed, *(run.supply for run in runs.values())))
    frame = _Frame(len(first.supply), most)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="t d">',
        f'<title id="t">{escape(title)}</title>',
        f'<desc id="d">{escape(_description(name, first))}</desc>',
        f"<style>{_STYLE}</style>",
        f'<rect class="paper" width="{WIDTH}" height="{HEIGHT}"/>',
        f'<text class="title" x="{LEFT}" y="20">{escape(title)}</text>',
        *_legend(list(runs)),
        *_grid(frame, length),
        _line("demand", _PLAIN, first.needed, frame),
    ]
    for number, run in enumerate(runs.values()):
        parts.append(_line(f"line{number}", _DASHES[number], run.supply, _Frame(len(run.supply), most)))
    return "\n".join([*parts, *_marks(first, frame), "</svg>"]) + "\n"


def escape(text: str) -> str:
    """Return a text as XML writes it, in an element or an attribute; what it cannot write becomes U+FFFD."""
    return "".join(_ESCAPES.get(letter, letter) for letter in _UNWRITABLE.sub("\ufffd", text))


def _description(name: str, run: Run) -> str:
    return (
        f"Members needed, at most {max(run.needed)}, and members that serve under {name}, {min(run.supply)} to "
        f"{max(run.supply)}, over {_time(len(run.supply) * run.step)} with {len(run.actions)} actions."
    )


def _legend(names: list[str]) -> list[str]:
    parts, x = [], float(LEFT)
    entries = [("demand", _PLAIN, "needed")]
    entries += [(f"line{number}", _DASHES[number], name) for number, name in enumerate(names)]
    for kind, dashes, name in entries:
        short = name if len(name) <= 24 else f"{name[:23]}…"
        parts.append(
            f'<line class="line {kind}" stroke-dasharray="{dashes}" x1="{x:g}" y1="36" x2="{x + 22:g}" y2="36"/>'
        )
        parts.append(f'<text x="{x + 28:g}" y="40">{escape(short)}</text>')
        x += 44 + 7.2 * len(short)
    return parts


def _grid(frame: _Frame, length: float) -> list[str]:
    parts = []
    jump = _round_up(frame.members / 6)
    for members in range(0, frame.members + 1, jump):
        y = frame.y(members)
        parts.append(f'<line class="grid" x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{members}</text>')
    for part in range(5):
        anchor = ("start", "middle", "middle", "middle", "end")[part]
        x = frame.x(frame.steps * part / 4)
        parts.append(
            f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 34}" text-anchor="{anchor}">{_time(length * part / 4)}</text>'
        )
    middle = (TOP + HEIGHT - BOTTOM) // 2
    parts.append(f'<text transform="translate(14 {middle}) rotate(-90)" text-anchor="middle">members</text>')
    return parts


def _round_up(value: float) -> int:
    """Return the next of 1, 2, 5, 10, 20, 50 …"""
    scale = 1
    while True:
        for factor in (1, 2, 5):
            if factor * scale >= value:
                return factor * scale
        scale *= 10


def _time(seconds: float) -> str:
    for unit, size in (("d", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.4g} {unit}"
    return f"{seconds:.4g} s"


def _line(kind: str, dashes: str, series: t.Sequence[int], frame: _Frame) -> str:
    """Draw a series as steps. Where many values share a column, its lowest and its highest are what is to be seen."""
    width = WIDTH - LEFT - RIGHT
    points: list[tuple[float, float]] = []
    if len(series) <= 2 * width:
        for step, members in enumerate(series):
            if not points or frame.y(members) != points[-1][1]:
                points += [(frame.x(step), points[-1][1])] if points else []
                points.append((frame.x(step), frame.y(members)))
        points.append((frame.x(len(series)), points[-1][1]))
    else:
        for column in range(width):
            part = series[len(series) * column // width : len(series) * (column + 1) // width]
            points += [(LEFT + column, frame.y(members)) for members in sorted({min(part), max(part)})]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline class="line {kind}" stroke-dasharray="{dashes}" points="{path}"/>'


def _marks(run: Run, frame: _Frame) -> list[str]:
    """Draw the actions below the lines, as triangles; those of one column and direction are one mark."""
    columns: dict[tuple[int, bool], list[str]] = {}
    for action in run.actions:
        column = round(frame.x((action["started"] - run.start) / run.step))
        told = f"{_time(action['started'] - run.start)}: {action['from']} to {action['to']}"
        columns.setdefault((column, action["direction"] == UP), []).append(told)
    parts = []
    for (x, is_up), all_told in sorted(columns.items()):
        kind, base, tip = ("up", 11, 4) if is_up else ("down", 13, 20)
        text = all_told[0] if len(all_told) == 1 else f"{all_told[0]}, and {len(all_told) - 1} more"
        path = f"M{x - 4} {HEIGHT - BOTTOM + base}h8L{x} {HEIGHT - BOTTOM + tip}z"
        parts.append(f'<path class="{kind}" d="{path}"><title>{text}</title></path>')
    return parts
