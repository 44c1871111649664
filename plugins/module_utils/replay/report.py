# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What became of a policy, for a person: a table, sentences, and a page with the picture; pure."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.replay.plot import draw, escape
from ansible_collections.scaleout.platform.plugins.module_utils.replay.scores import HOUR, Scores
from ansible_collections.scaleout.platform.plugins.module_utils.replay.simulate import Run

Document = dict[str, t.Any]

#: What held a pool in a breach, by the word for it; in the order in which they are told.
CAUSES = {
    "calm": "no rule was met for long enough",
    "unproven": "too few samples since the last action",
    "cooldown": "in a cooldown",
    "grows": "growing",
    "running": "an action was running",
    "maximum": "at its maximum",
    "waits": "between two decisions",
    "guard": "held by a guard",
    "back_off": "after a failed growth",
}
#: Scores by which two policies are compared, with what they are called; less is better for each.
COMPARED = {"tau_u": "time with too few members", "member_hours": "member-hours", "actions": "actions"}
_STYLE = """
:root { color-scheme: light dark; } body { font: 15px sans-serif; max-width: 62rem; margin: 2rem auto; }
table { border-collapse: collapse; margin: 1rem 0; } th, td { padding: 0.2rem 0.7rem; text-align: right; }
th:first-child, td:first-child { text-align: left; } tr { border-bottom: 1px solid #8886; }
"""


class Doubling(t.NamedTuple):
    """How long a pool takes to its twofold; None where that takes more than a day."""

    before: int
    seconds: float | None

    def document(self) -> Document:
        """Return it as a result has it."""
        return {"from": self.before, "to": 2 * self.before, "seconds": self.seconds}


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of one policy.

    :param said: what each step of the simulation came to; empty where the policy does not say.
    """

    name: str
    run: Run
    scores: Scores
    doublings: tuple[Doubling, ...]
    said: t.Sequence[str] = ()


class Breach(t.NamedTuple):
    """A stretch of time in which members were missing.

    :param start: seconds since 1970.
    :param missing: the most members that were missing at once.
    :param because: seconds of it, by what held the pool.
    """

    start: float
    seconds: float
    missing: int
    because: dict[str, float]


def breaches(outcome: Outcome) -> list[Breach]:
    """Return when members were missing, and what held the pool then."""
    run, found = outcome.run, []
    first: int | None = None
    for number, (needed, supply) in enumerate(zip((*run.needed, 0), (*run.supply, 0))):
        if needed > supply and first is None:
            first = number
        elif needed <= supply and first is not None:
            steps = range(first, number)
            because: dict[str, float] = {}
            for step in steps if outcome.said else ():
                word = outcome.said[step]
                because[word] = because.get(word, 0.0) + run.step
            missing = max(run.needed[step] - run.supply[step] for step in steps)
            found.append(Breach(run.start + first * run.step, len(steps) * run.step, missing, because))
            first = None
    return found


def capacity(run: Run) -> list[Document]:
    """Return the members that serve and all that there are, at each time at which one of the two changed."""
    changes: list[Document] = []
    for number, pair in enumerate(zip(run.supply, run.ordered)):
        if not changes or pair != (changes[-1]["serving"], changes[-1]["ordered"]):
            changes.append({"at": run.start + number * run.step, "serving": pair[0], "ordered": pair[1]})
    return changes


def rows(outcomes: t.Sequence[Outcome]) -> list[list[str]]:
    """Return what an operator counts: a row of titles, then one for each policy."""
    titles = "policy|too few|longest|refused|member-hours|actions|flaps|doubles"
    return [titles.split("|"), *(_row(outcome) for outcome in outcomes)]


def _row(outcome: Outcome) -> list[str]:
    run, scores = outcome.run, outcome.scores
    last = outcome.doublings[-1] if outcome.doublings else None
    return [
        outcome.name,
        span(scores.tau_u / 100 * len(run.supply) * run.step),
        span(scores.longest_breach),
        f"{scores.refused:.2f} %",
        f"{scores.member_hours:.1f}",
        str(scores.actions),
        str(scores.flaps),
        f"{last.before} in {_patience(last)}" if last else "-",
    ]


def score_rows(outcomes: t.Sequence[Outcome]) -> list[list[str]]:
    """Return the scores of the literature in the same form."""
    names = ("theta_u", "theta_o", "tau_u", "tau_o", "upsilon")
    titles = ["policy", "theta_U", "theta_O", "tau_U", "tau_O", "upsilon"]
    cells = ([f"{getattr(outcome.scores, name):.1f} %" for name in names] for outcome in outcomes)
    return [titles, *([outcome.name, *row] for outcome, row in zip(outcomes, cells))]


def table(outcomes: t.Sequence[Outcome]) -> list[str]:
    """Return both as lines with aligned columns."""
    return [*_aligned(rows(outcomes)), "", *_aligned(score_rows(outcomes))]


def _aligned(found: list[list[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in found) for column in range(len(found[0]))]
    return [
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width) for column, (cell, width) in enumerate(zip(row, widths))
        ).rstrip()
        for row in found
    ]


def worse(ours: Outcome, theirs: Outcome) -> list[Document]:
    """Return the scores in which a policy is worse than another, beyond rounding."""
    return [
        {
            "than": theirs.name,
            "score": name,
            "ours": getattr(ours.scores, name),
            "theirs": getattr(theirs.scores, name),
        }
        for name in COMPARED
        if getattr(ours.scores, name) > getattr(theirs.scores, name) * (1 + 1e-9)
    ]


def told(outcomes: t.Sequence[Outcome]) -> list[str]:
    """Return what became of the first policy, in sentences."""
    ours = outcomes[0]
    run, scores = ours.run, ours.scores
    found = breaches(ours)
    length = len(run.supply) * run.step
    actions = "1 action" if scores.actions == 1 else f"{scores.actions} actions"
    lines = [
        f"{ours.name}: {actions} in {span(length)}, {min(run.supply)} to {max(run.supply)} members, "
        f"{scores.member_hours:.1f} member-hours."
    ]
    if found:
        because: dict[str, float] = {}
        for breach in found:
            for word, seconds in breach.because.items():
                because[word] = because.get(word, 0.0) + seconds
        times = "once" if len(found) == 1 else f"{len(found)} times"
        lines.append(
            f"It had too few members {times}, {span(sum(one.seconds for one in found))} in all, at most "
            f"{max(one.missing for one in found)} too few; {scores.refused:.2f} % of the requests were refused."
        )
        parts = [f"{CAUSES.get(word, word)}: {span(because[word])}" for word in sorted(because, key=_place)]
        if parts:
            lines.append(f"Of that time, {'; '.join(parts)}.")
    else:
        lines.append("It never had too few members.")
    for doubling in ours.doublings:
        lines.append(f"It doubles a pool of {doubling.before} in {_patience(doubling)}.")
    for theirs in outcomes[1:]:
        lines.append(_compared(ours, theirs))
    return lines


def _place(word: str) -> int:
    return list(CAUSES).index(word) if word in CAUSES else len(CAUSES)


def _compared(ours: Outcome, theirs: Outcome) -> str:
    parts = [
        f"{COMPARED[one['score']]} {_number(ours, one['score'])} against {_number(theirs, one['score'])}"
        for one in worse(ours, theirs)
    ]
    if not parts:
        names = list(COMPARED.values())
        return f"Not worse than {theirs.name} in {', '.join(names[:-1])} and {names[-1]}."
    return f"Worse than {theirs.name}: {'; '.join(parts)}."


def _number(outcome: Outcome, score: str) -> str:
    value = getattr(outcome.scores, score)
    if score == "tau_u":
        return span(value / 100 * len(outcome.run.supply) * outcome.run.step)
    return f"{value:.1f}" if score == "member_hours" else str(value)


def _patience(doubling: Doubling) -> str:
    return "more than a day" if doubling.seconds is None else span(doubling.seconds)


def span(seconds: float) -> str:
    """Write a time for a person."""
    if seconds < 120:
        return f"{seconds:.3g} s"
    if seconds < 2 * HOUR:
        return f"{seconds / 60:.3g} min"
    return f"{seconds / HOUR:.4g} h"


def page(title: str, outcomes: t.Sequence[Outcome]) -> str:
    """Return a page of HTML with the picture, the table and the sentences; it needs nothing from elsewhere."""
    lines = "\n".join(f"<p>{escape(line)}</p>" for line in told(outcomes))
    tables = "\n".join(_html(found) for found in (rows(outcomes), score_rows(outcomes)))
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>\n'
        f"<style>{_STYLE}</style></head>\n<body>\n{picture(title, outcomes)}{lines}\n{tables}\n</body></html>\n"
    )


def _html(found: list[list[str]]) -> str:
    head, *others = found
    cells = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "\n".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in others)
    return f"<table>\n<tr>{cells}</tr>\n{body}\n</table>"


def picture(title: str, outcomes: t.Sequence[Outcome]) -> str:
    """Return the picture as an SVG."""
    return draw(title, {outcome.name: outcome.run for outcome in outcomes})
