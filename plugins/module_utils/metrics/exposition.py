# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads what an application tells Prometheus, in its text format, version 0.0.4; pure.

https://prometheus.io/docs/instrumenting/exposition_formats/. As in Prometheus itself one broken line spoils the whole
answer, since nothing says what else is wrong. Each line is looked at once and by expressions that never go back, so
the time is in proportion to the size, which the reader bounds.
"""

from __future__ import annotations

import dataclasses
import math
import re
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.metrics.sample import LARGEST

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_TEXT = r'"(?:[^"\\]|\\.)*"'
# A metric, its labels, its value; then a timestamp, and in OpenMetrics an example of what was counted.
_LINE = re.compile(
    rf"({_NAME})(?:[ \t]*\{{((?:[^\"}}]|{_TEXT})*)\}}[ \t]*|[ \t]+)"
    r"([-+]?(?:[0-9][0-9.]*(?:[eE][-+]?[0-9]+)?|\.[0-9]+(?:[eE][-+]?[0-9]+)?|[iI]nf|[nN]a[nN]))"
    r"(?:[ \t]+[-+]?[0-9][0-9.eE+-]*)?(?:[ \t]+# .*)?[ \t]*"
)
_LABEL = re.compile(rf"[ \t]*([a-zA-Z_][a-zA-Z0-9_]*)[ \t]*=[ \t]*({_TEXT})[ \t]*(?:,|$)")
_TYPE = re.compile(rf"#[ \t]+TYPE[ \t]+({_NAME})[ \t]+(\w+)[ \t]*")
_MATCHER = re.compile(rf"[ \t]*([a-zA-Z_][a-zA-Z0-9_]*)[ \t]*(=~|!~|!=|=)[ \t]*({_TEXT})[ \t]*(?:,|$)")
_SELECTOR = re.compile(rf"[ \t]*({_NAME})[ \t]*(?:\{{((?:[^\"}}]|{_TEXT})*)\}})?[ \t]*")
_ESCAPES = {r"\\": "\\", r"\"": '"', r"\n": "\n"}
_EXCERPT = 40

Labels = t.Mapping[str, str]


class BadMetrics(ScaleoutError):
    """An answer that is not in Prometheus's text format, or has values that no such metric can have."""

    CODE = "bad_metrics"


class BadSelector(ValueError):
    """A text that selects no metric; the text is the reason."""


@dataclasses.dataclass(frozen=True)
class Selector:
    """Which series of a metric count, in Prometheus's own words: ``requests_total{status=~"5.."}``.

    :param matchers: label, operator and value each.
    """

    name: str
    matchers: tuple[tuple[str, str, str], ...] = ()

    def matches(self, labels: Labels) -> bool:
        return all(_holds(labels.get(label, ""), sign, value) for label, sign, value in self.matchers)

    def applies(self, labels: Labels) -> bool:
        """Whether a series has the labels that are asked for at all, whatever their values."""
        return all(label in labels or _holds("", sign, value) for label, sign, value in self.matchers)


@dataclasses.dataclass(frozen=True)
class Scrape:
    """What an application answered.

    :param series: by the metric's name, as far as someone asks for it.
    :param declared: metrics that the application knows, if only by a ``# TYPE`` line.
    """

    series: dict[str, list[tuple[Labels, float]]]
    declared: frozenset[str]

    def selected(self, selector: Selector) -> list[tuple[Labels, float]] | None:
        """Return the series that a selector means; None where it means none that could ever be there.

        A metric with the selector's labels, none of which has the value yet, has counted nothing: the list is empty.
        """
        series = self.series.get(selector.name)
        if not series:
            return [] if selector.name in self.declared else None
        if not any(selector.applies(labels) for labels, _value in series):
            return None
        return [(labels, value) for labels, value in series if selector.matches(labels)]


def parse(body: bytes, wanted: t.Collection[str]) -> Scrape:
    """Read an answer.

    :param wanted: the names whose series are kept; all lines are checked.
    :raises BadMetrics: a line is not of the format, or a series is there twice.
    """
    try:
        lines = body.decode("utf-8").split("\n")
    except UnicodeDecodeError:
        raise BadMetrics("The answer is not UTF-8.") from None
    series: dict[str, list[tuple[Labels, float]]] = {}
    declared: set[str] = set()
    open_metrics = body.rstrip().endswith(b"# EOF")
    for number, line in enumerate(lines, 1):
        text = line.rstrip("\r")
        if not text.strip():
            continue
        if text.lstrip().startswith("#"):
            stated = _TYPE.fullmatch(text.strip())
            if stated:
                declared.update(_declares(stated[1], stated[2], open_metrics))
            continue
        found = _LINE.fullmatch(text.strip())
        if not found:
            raise BadMetrics(f"Line {number} of the answer is not a metric: {text.strip()[:_EXCERPT]!r}.")
        if found[1] in wanted:
            series.setdefault(found[1], []).append((_labels(found[2], number), _value(found[3], number)))
    for name, rows in series.items():
        if len({tuple(sorted(labels.items())) for labels, _value in rows}) < len(rows):
            raise BadMetrics(f"{name} is there twice with the same labels.")
    return Scrape(series, frozenset(declared))


def select(text: str) -> Selector:
    """Read a selector.

    :raises BadSelector: it is none.
    """
    found = _SELECTOR.fullmatch(text)
    if not found:
        raise BadSelector('is not a metric such as requests_total{status=~"5.."}')
    matchers = tuple((one[1], one[2], _unquoted(one[3])) for one in _split(_MATCHER, found[2] or ""))
    if matchers == () and (found[2] or "").strip():
        raise BadSelector('has labels that are not such as {status=~"5.."}')
    for label, sign, value in matchers:
        if sign in ("=~", "!~"):
            try:
                re.compile(value)
            except (re.error, RecursionError, OverflowError) as error:
                raise BadSelector(f"has a pattern for {label} that is not one: {error}") from None
    return Selector(found[1], matchers)


def total(scrape: Scrape, selector: Selector) -> float | None:
    """Return the sum of the counters that a selector means; None where the application has none.

    :raises BadMetrics: one is not a number, negative or endless.
    """
    rows = scrape.selected(selector)
    if rows is None:
        return None
    for _labels, value in rows:
        if not 0 <= value <= LARGEST:
            raise BadMetrics(f"{selector.name} is {value:g}, which no counter can be.")
    return min(math.fsum(value for _labels, value in rows), LARGEST)


def _declares(name: str, kind: str, open_metrics: bool) -> tuple[str, ...]:
    """Return the series that a ``# TYPE`` line promises; OpenMetrics names a counter without its end."""
    if kind == "counter":
        return (f"{name}_total" if open_metrics else name,)
    return (name, f"{name}_count") if kind in ("histogram", "summary") else (name,)


def _labels(text: str | None, number: int) -> Labels:
    rows = _split(_LABEL, text or "")
    found = {row[1]: _unquoted(row[2]) for row in rows}
    if len(found) < len(rows) or (not rows and (text or "").strip()):
        raise BadMetrics(f"Line {number} of the answer has labels that are none: {(text or '')[:_EXCERPT]!r}.")
    return found


def _split(pattern: re.Pattern[str], text: str) -> list[re.Match[str]]:
    """Cut a list of labels; empty where anything in it is no label. A comma may follow the last one."""
    rows, place = [], 0
    text = text.rstrip()
    while place < len(text):
        found = pattern.match(text, place)
        if not found:
            return []
        rows.append(found)
        place = found.end()
    return rows


def _unquoted(text: str) -> str:
    return re.sub(r"\\.", lambda found: _ESCAPES.get(found[0], found[0]), text[1:-1])


def _value(text: str, number: int) -> float:
    try:
        return float(text)
    except ValueError:
        raise BadMetrics(
            f"Line {number} of the answer has the value {text[:_EXCERPT]!r}, which is no number."
        ) from None


def _holds(value: str, sign: str, wanted: str) -> bool:
    if sign in ("=", "!="):
        return (value == wanted) is (sign == "=")
    return bool(re.fullmatch(wanted, value)) is (sign == "=~")
