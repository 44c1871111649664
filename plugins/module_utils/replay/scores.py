# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How well a pool followed its demand: the elasticity scores of the literature, and what an operator counts; pure.

The demand d is the fewest members that can serve the load, the supply s is the members that serve; both are series of
T values, one a step. Steps are equally long, so a mean over steps is a mean over time. (x)+ is x, or 0 where x is
negative. All scores are best at 0.

Sources:

- Herbst, Bauer, Kounev et al., Quantifying Cloud Performance and Dependability: Taxonomy, Metric Design, and Emerging
  Challenges, ACM TOMPECS 3(4), 2018, article 19 (SPEC RG Cloud; before it, Ready for Rain?, SPEC-RG-2016-01): theta,
  tau and upsilon. Both accuracies are relative to the demand. Its text was not at hand: theta is confirmed by another's
  implementation only, and upsilon by none.
- Herbst, Kounev, Weber and Groenda, BUNGEE: An Elasticity Benchmark for Self-Adaptive IaaS Cloud Environments, SEAMS
  2015: the accuracies in members and the time shares, as its code has them (github.com/NikolasHerbst/BUNGEE, 7adf3ab).

Others divide what is too much by the supply, such as Ilyushkin, Ali-Eldin, Herbst et al., An Experimental Performance
Evaluation of Autoscalers for Complex Workflows, ACM TOMPECS 3(2), 2018. Their figures and these do not compare.
"""

from __future__ import annotations

import collections
import dataclasses
import itertools
import operator
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.replay.simulate import Run

HOUR = 3600.0
Series = t.Sequence[float]


@dataclasses.dataclass(frozen=True)
class Scores:
    """The scores of one run.

    :param under: mean of the members that were missing.
    :param over: mean of the members that were too many.
    :param theta_u: under-provisioning accuracy, per cent of the demand.
    :param theta_o: over-provisioning accuracy, per cent of the demand; it may exceed 100.
    :param tau_u: per cent of the time in which members were missing.
    :param tau_o: per cent of the time in which members were too many.
    :param upsilon: instability, per cent of the time.
    :param member_hours: hours of all members, with their warm-up.
    :param actions: how often the size was changed.
    :param flaps: how many of those turned back the one before.
    :param breaches: how often the pool became too small.
    :param longest_breach: seconds.
    :param refused: per cent of the requests.
    """

    under: float
    over: float
    theta_u: float
    theta_o: float
    tau_u: float
    tau_o: float
    upsilon: float
    member_hours: float
    actions: int
    flaps: int
    breaches: int
    longest_breach: float
    refused: float


def score(run: Run) -> Scores:
    """Return the scores of a run; its instability is that between the ends of intervals, whatever its steps."""
    found = breaches(run.needed, run.supply)
    ends = slice(run.parts - 1, None, run.parts)
    requests = sum(run.demand) * run.step
    return Scores(
        under=under(run.needed, run.supply),
        over=over(run.needed, run.supply),
        theta_u=theta_u(run.needed, run.supply),
        theta_o=theta_o(run.needed, run.supply),
        tau_u=tau_u(run.needed, run.supply),
        tau_o=tau_o(run.needed, run.supply),
        upsilon=upsilon(run.needed[ends], run.supply[ends]),
        member_hours=member_hours(run.ordered, run.step),
        actions=len(run.actions),
        flaps=flaps(run.actions),
        breaches=len(found),
        longest_breach=max(found, default=0) * run.step,
        refused=100.0 * run.refused / requests if requests else 0.0,
    )


def under(demand: Series, supply: Series) -> float:
    """Return the mean number of missing members: 1/T * sum (d - s)+ (Herbst et al. 2015, accuracy_U)."""
    return _mean(demand, supply, lambda d, s: max(0.0, d - s))


def over(demand: Series, supply: Series) -> float:
    """Return the mean number of superfluous members: 1/T * sum (s - d)+ (Herbst et al. 2015, accuracy_O)."""
    return under(demand=supply, supply=demand)


def theta_u(demand: Series, supply: Series) -> float:
    """Return the under-provisioning accuracy in per cent, 0..100: 100/T * sum (d - s)+ / max(d, 1).

    Herbst et al. 2018, theta_U; where there is no demand, nothing is missing.
    """
    return 100.0 * _mean(demand, supply, lambda d, s: max(0.0, d - s) / max(d, 1.0))


def theta_o(demand: Series, supply: Series) -> float:
    """Return the over-provisioning accuracy in per cent, 0 and more: 100/T * sum (s - d)+ / max(d, 1).

    Herbst et al. 2018, theta_O: relative to the demand, so a pool of twice what is needed has 100. Where there is no
    demand, which the definition leaves open, one member is taken as what is needed: a pool has to have one.
    """
    return 100.0 * _mean(demand, supply, lambda d, s: max(0.0, s - d) / max(d, 1.0))


def tau_u(demand: Series, supply: Series) -> float:
    """Return the under-provisioned share of the time in per cent: 100/T * sum max(sgn(d - s), 0).

    Herbst et al. 2018, tau_U.
    """
    return 100.0 * _mean(demand, supply, lambda d, s: 1.0 if d > s else 0.0)


def tau_o(demand: Series, supply: Series) -> float:
    """Return the over-provisioned share of the time in per cent: 100/T * sum max(sgn(s - d), 0).

    Herbst et al. 2018, tau_O.
    """
    return tau_u(demand=supply, supply=demand)


def upsilon(demand: Series, supply: Series) -> float:
    """Return the instability in per cent: the share of the time in which demand and supply do not move alike.

    100/(T - 1) * sum over t > 1 of min(|sgn(d_t - d_t-1) - sgn(s_t - s_t-1)|, 1) (Herbst et al. 2018, upsilon; the sum
    of the two instabilities k and k' of Ilyushkin et al. 2018). A supply that follows one step late counts twice: when
    it should move and did not, and when it moves alone. It depends on the length of a step: only runs of equal steps
    compare.
    """
    return 100.0 * _mean(_signs(demand), _signs(supply), lambda d, s: 0.0 if d == s else 1.0)


def member_hours(ordered: Series, step: float) -> float:
    """Return the hours for which members were there, served or not; ``step`` in seconds."""
    return sum(ordered) * step / HOUR


def flaps(actions: t.Sequence[t.Mapping[str, t.Any]], within: float = HOUR) -> int:
    """Return how many actions go against the one before and start within so many seconds of its start."""
    return sum(
        before["direction"] != after["direction"] and after["started"] - before["started"] <= within
        for before, after in zip(actions, actions[1:])
    )


def breaches(demand: Series, supply: Series) -> list[int]:
    """Return each stretch of time in which members were missing, as its number of steps."""
    short = map(operator.gt, demand, supply)
    return [len(list(stretch)) for is_short, stretch in itertools.groupby(short) if is_short]


def _signs(series: Series) -> list[int]:
    return [(after > before) - (after < before) for before, after in zip(series, series[1:])]


def _mean(demand: Series, supply: Series, of: t.Callable[[float, float], float]) -> float:
    """Return the mean of a function over the steps; it is asked once for each pair of values that is there."""
    pairs = collections.Counter(zip(demand, supply))
    steps = sum(pairs.values())
    return sum(of(*pair) * count for pair, count in pairs.items()) / steps if steps else 0.0
