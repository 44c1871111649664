# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Replay a demand through a scaling policy and through policies that others publish, and say how each did."""

from __future__ import annotations

import dataclasses
import functools
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils import moments
from ansible_collections.scaleout.platform.plugins.module_utils.operations.replay_candidate import (
    Asked,
    Candidate,
    doubling,
)
from ansible_collections.scaleout.platform.plugins.module_utils.plan import Plan, Task
from ansible_collections.scaleout.platform.plugins.module_utils.replay import files, report, traces
from ansible_collections.scaleout.platform.plugins.module_utils.replay.baselines import PodAutoscaler, TargetTracking
from ansible_collections.scaleout.platform.plugins.module_utils.replay.faults import Fault, InvalidReplay
from ansible_collections.scaleout.platform.plugins.module_utils.replay.scores import score
from ansible_collections.scaleout.platform.plugins.module_utils.replay.simulate import (
    Policy as Decider,
)
from ansible_collections.scaleout.platform.plugins.module_utils.replay.simulate import (
    Setup,
    faults_of,
    simulate,
)
from ansible_collections.scaleout.platform.plugins.module_utils.replay.traces import Shape, Trace
from ansible_collections.scaleout.platform.plugins.module_utils.scaling import fields, parse, schedule
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.measures import MEASURES
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.policy import Policy
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.schedule import Bounds

OURS, HPA, TRACKING = "policy", "hpa", "target_tracking"
#: Seconds between two decisions of Kubernetes' autoscaler.
_SYNC = 15.0
#: Times below it count from the beginning of a trace, not from 1970.
_LONG_AGO = 1e9
#: Entries of each list of a result; scores count all.
LISTED = 500
_MEMBER = ("capacity", "starts_in", "memory", "memory_total", "request_bytes")
_SHAPE = ("seed", "low", "peak", "hours", "interval", "period_hours", "noise", "start")


class ReplayScaling(Task):
    """Replays a demand; only its picture is ever written.

    :param params: the options of the module ``scaling_replay``.
    :raises InvalidReplay: with all that is wrong with the options.
    """

    def __init__(self, params: t.Mapping[str, t.Any]) -> None:
        self._params = params
        found: list[fields.Fault] = []
        self._policy = parse.parse(params["policy"], found)
        faults = [Fault(option, text) for option, text in found]
        # What follows from the policy is not known when it is wrong.
        known = not faults
        low, high = _widest(self._policy) if known else (1, 1)
        member = {name: params["member"][name] for name in _MEMBER if params["member"].get(name) is not None}
        self._setup = Setup(minimum=low, maximum=high, initial=params["initial"] if known else None, **member)
        faults += [
            Fault(f"member.{option}" if option in _MEMBER else option, text)
            for option, text in faults_of(self._setup, 1.0)
        ]
        self._shape = self._read_shape(faults)
        faults += _faults_of_numbers(params)
        self._plot: str | None = params["plot"]
        if self._plot and not self._plot.lower().endswith((".svg", ".html")):
            faults.append(Fault("plot", f"{self._plot!r} does not end with .svg or .html."))
        if faults:
            raise InvalidReplay(faults)

    def _read_shape(self, faults: list[Fault]) -> Shape | None:
        """Return what is to be generated; None where a file is to be read."""
        given = {name: value for name, value in self._params["trace"].items() if value is not None}
        if ("path" in given) == ("kind" in given):
            faults.append(Fault("trace", "needs one of path and kind."))
            return None
        if "path" in given:
            more = sorted(set(given) - {"path"})
            if more:
                faults.append(Fault(f"trace.{more[0]}", "has no meaning for a trace that is read from a file."))
            return None
        shape = Shape(**{"interval": self._policy.interval, **{name: given[name] for name in _SHAPE if name in given}})
        # Without an interval of its own, there is none where the policy's is missing.
        if shape.interval > 0 or "interval" in given:
            faults += [Fault(f"trace.{option}", text) for option, text in traces.faults_of(given["kind"], shape)]
        return shape

    def plan(self) -> Plan:
        trace = self._trace()
        outcomes, asked = self._outcomes(trace)
        text = self._drawn(outcomes)
        before = files.text(self._plot) if self._plot and text is not None else None
        return Plan(
            before={"plot": self._plot if before is not None else None},
            after={"plot": self._plot},
            actions=() if text == before else (text,),
            result=_result(trace, outcomes, asked, self._plot),
            warnings=self._policy.warnings,
        )

    def apply(self, plan: Plan) -> None:
        """Write the picture."""
        files.write(str(self._plot), str(plan.actions[0]))

    def _trace(self) -> Trace:
        given = self._params["trace"]
        try:
            trace = files.read(given["path"]) if self._shape is None else traces.generate(given["kind"], self._shape)
        except InvalidReplay as error:
            raise InvalidReplay([Fault(f"trace.{option}", text) for option, text in error.faults]) from error
        option = "trace.path" if self._shape is None else "trace.start"
        if trace.start < _LONG_AGO:
            trace = dataclasses.replace(trace, start=traces.START + trace.start)
        if trace.start + trace.seconds >= moments.LAST:
            raise InvalidReplay([Fault(option, f"{trace.start:g} is no time in seconds since 1970.")])
        interval = self._policy.interval
        if trace.seconds / interval > traces.MOST:
            text = f"{interval:g} makes more than {traces.MOST} samples of a trace of {report.span(trace.seconds)}."
            raise InvalidReplay([Fault("policy.interval", text)])
        return traces.split(trace, interval)

    def _outcomes(self, trace: Trace) -> tuple[list[report.Outcome], dict[float, Asked]]:
        """Return what became of each policy, ours first, and who asked for each action of ours."""
        policy, cycle = self._policy, self._params["cycle"]
        setup = self._setup
        if setup.initial is None:
            setup = dataclasses.replace(
                setup, initial=schedule.bounds(policy.bounds, policy.schedule, trace.start).minimum
            )
        candidate = Candidate(policy, cycle)
        run = simulate(trace, candidate, setup)
        ours = report.Outcome(
            OURS,
            run,
            score(run),
            self._doublings(functools.partial(_bounded, policy, cycle), None, trace),
            candidate.said,
        )
        return [
            ours,
            *(self._baseline(name, trace, setup) for name in dict.fromkeys(self._params["baselines"])),
        ], candidate.asked

    def _baseline(self, name: str, trace: Trace, setup: Setup) -> report.Outcome:
        """Return what became of a policy of others, which knows no schedule."""
        bounds = self._policy.bounds
        sync = trace.interval / max(1, round(trace.interval / _SYNC)) if name == HPA else None
        low, high = bounds.minimum, bounds.maximum
        initial = min(max(setup.initial or low, low), high)
        run = simulate(
            trace,
            self._decider(name, low, high),
            dataclasses.replace(setup, minimum=low, maximum=high, initial=initial, sync=sync),
        )
        return report.Outcome(
            name, run, score(run), self._doublings(functools.partial(self._decider, name), sync, trace)
        )

    def _decider(self, name: str, low: int, high: int) -> Decider:
        kind = PodAutoscaler if name == HPA else TargetTracking
        return kind(self._params["baseline_target"], low, high, self._params["baseline_metric"])

    def _doublings(
        self, make: t.Callable[[int, int], Decider], sync: float | None, trace: Trace
    ) -> tuple[report.Doubling, ...]:
        bounds = self._policy.bounds
        sizes = sorted({size for size in (bounds.minimum, bounds.maximum // 2) if 2 * size <= bounds.maximum})
        setup = dataclasses.replace(self._setup, sync=sync)
        return tuple(report.Doubling(size, doubling(make, size, setup, trace.interval)) for size in sizes)

    def _drawn(self, outcomes: t.Sequence[report.Outcome]) -> str | None:
        if not self._plot:
            return None
        draw = report.picture if self._plot.lower().endswith(".svg") else report.page
        return draw(self._params["title"], outcomes)


def _bounded(policy: Policy, cycle: float | None, low: int, high: int) -> Decider:
    return Candidate(dataclasses.replace(policy, bounds=Bounds(low, high), schedule=()), cycle)


def _widest(policy: Policy) -> tuple[int, int]:
    """Return the smallest minimum and the largest maximum that a policy ever has."""
    lows = [one.minimum for one in policy.schedule if one.minimum is not None]
    highs = [one.maximum for one in policy.schedule if one.maximum is not None]
    return min([policy.bounds.minimum, *lows]), max([policy.bounds.maximum, *highs])


def _faults_of_numbers(params: t.Mapping[str, t.Any]) -> list[Fault]:
    faults = []
    for name in ("cycle", "baseline_target"):
        value = params[name]
        if value is not None and not 0 < value < moments.LAST:
            faults.append(Fault(name, f"{value!r} is not a number above zero."))
    highest = MEASURES[params["baseline_metric"]].highest
    if highest and params["baseline_target"] > highest:
        faults.append(Fault("baseline_target", f"{params['baseline_target']:g} is above {highest:g} per cent."))
    return faults


def _result(
    trace: Trace, outcomes: t.Sequence[report.Outcome], asked: t.Mapping[float, Asked], plot: str | None
) -> dict[str, t.Any]:
    return {
        "trace": {
            "start": trace.start,
            "interval": trace.interval,
            "hours": trace.seconds / traces.HOUR,
            "lowest": min(trace.demand),
            "mean": sum(trace.demand) / len(trace.demand),
            "highest": max(trace.demand),
        },
        "runs": [_document(outcome, asked if outcome is outcomes[0] else {}) for outcome in outcomes],
        "worse": [one for theirs in outcomes[1:] for one in report.worse(outcomes[0], theirs)],
        "table": report.table(outcomes),
        "told": report.told(outcomes),
        "plot": plot,
    }


def _document(outcome: report.Outcome, asked: t.Mapping[float, Asked]) -> dict[str, t.Any]:
    run = outcome.run
    actions = []
    for action in run.actions[:LISTED]:
        by = asked.get(action["started"])
        actions.append({**action, **(by._asdict() if by else {})})
    return {
        "name": outcome.name,
        "scores": dataclasses.asdict(outcome.scores),
        "doubling": [one.document() for one in outcome.doublings],
        "actions": actions,
        "breaches": [one._asdict() for one in report.breaches(outcome)[:LISTED]],
        "capacity": report.capacity(run)[:LISTED],
    }
