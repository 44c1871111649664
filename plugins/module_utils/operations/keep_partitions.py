# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keep the partition sets of a PostgreSQL server."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, Refused, ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.operations.convert_partitions import Conversions
from ansible_collections.scaleout.platform.plugins.module_utils.operations.summarized_partitions import (
    SummarizedPartitions,
)
from ansible_collections.scaleout.platform.plugins.module_utils.plan import Plan, Task
from ansible_collections.scaleout.platform.plugins.module_utils.postgres import connection, locks
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions import (
    decide,
    options,
    outcome,
    retention,
    server,
    spec,
)
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.companion import Companion
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.decide import Decision
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.gate import Gate
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.outcome import Outcome
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.pauses import Limits
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.spec import PartitionSet
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.strays import server as strays
from ansible_collections.scaleout.platform.plugins.module_utils.postgres.partitions.work import server as carry_out

#: What a set has, as the module's options name it.
OPTIONS = tuple(options.ARGUMENT_SPEC)

#: The most rows that one transaction may move.
MOST_ROWS = 1_000_000

#: How often a set is looked at again because another client was faster.
RACES = 5


class KeepPartitions(Task):
    """Reads all sets at once, decides each for itself, and creates and retires partitions set by set."""

    def __init__(
        self,
        endpoint: connection.Endpoint,
        wanted: tuple[PartitionSet, ...],
        waiting: locks.Patience,
        check_mode: bool = False,
        batch_rows: int = 10_000,
        companion: Companion | None = None,
        clock: t.Callable[[], float] = time.time,
        limits: Limits | None = None,
    ) -> None:
        self.wanted = wanted
        self.waiting = waiting
        self.check_mode = check_mode
        self.batch_rows = batch_rows
        self.clock = clock
        self.session = connection.Session(endpoint.for_writes(), sees_all=True)
        self.limits = limits or Limits()
        self.companion = companion or SummarizedPartitions(self.session)
        self.conversions = Conversions(self.session, waiting, self.limits, self.companion)
        self.user = ""
        self.hurry: tuple[str, ...] = ()
        self.decisions: dict[PartitionSet, Decision | ScaleoutError] = {}

    @classmethod
    def of(cls, params: t.Mapping[str, t.Any], check_mode: bool = False) -> KeepPartitions:
        """The task that the options of the module ``partition_set`` describe, with its connection.

        :raises InvalidInput: an option that can never work.
        """
        sets = params["sets"]
        if sets is None:
            sets = [{option: params[option] for option in OPTIONS}]
        wanted = spec.parse_sets(sets)
        if not locks.SHORTEST <= params["lock_timeout"] <= locks.LONGEST:
            raise InvalidInput(
                "lock_timeout",
                params["lock_timeout"],
                f"is not a number of milliseconds from {locks.SHORTEST} to {locks.LONGEST}",
            )
        if params["lock_patience"] < 0:
            raise InvalidInput("lock_patience", params["lock_patience"], "is not a number of seconds from 0 on")
        if not 1 <= params["batch_rows"] <= MOST_ROWS:
            raise InvalidInput("batch_rows", params["batch_rows"], f"is not a number of rows from 1 to {MOST_ROWS}")
        return cls(
            connection.Endpoint.of(params),
            wanted,
            locks.Patience(params["lock_timeout"], params["lock_patience"]),
            check_mode,
            params["batch_rows"],
            clock=_clock(params.get("controller_time")),
            limits=Limits.of(params.get("pauses")),
        )

    def plan(self) -> Plan:
        self._decide(self.wanted)
        outcomes = {wanted: self.conversions.predict(wanted, outcome.predicted(one)) for wanted, one in self._decided()}
        plan = self._plan(outcomes)
        # A set that cannot be had stops no other one: what is left is done first. Where nothing is, this is the end.
        if self.check_mode or not plan.changed:
            if not self.check_mode:
                self._withdraw()
            self._raise(plan)
        return plan

    def apply(self, _plan: Plan) -> Plan:
        outcomes = {}
        for wanted, _decision in self._decided():
            outcomes[wanted] = self._carry_out(wanted)
        done = self._plan(outcomes)
        self._withdraw()
        self._raise(done)
        return done

    def close(self) -> None:
        self.session.close()

    def _decide(self, wanted: t.Sequence[PartitionSet]) -> None:
        for _attempt in range(RACES):
            clashes = self._look(wanted)
            if not clashes:
                return
            # A name may be taken because another task created that very partition after we had read those there are.
            wanted = list(clashes)
        self.decisions.update(clashes)

    def _look(self, wanted: t.Sequence[PartitionSet]) -> dict[PartitionSet, ScaleoutError]:
        """Decide; returns the sets whose partitions cannot have their names."""
        state = server.read(self.session, wanted)
        decide.check_server(state, self.clock())
        self.user = state.user
        self.hurry = decide.hurry(state, self.waiting.lock_timeout)
        for one in wanted:
            try:
                seen = server.spelled(self.session, one, state)
                foreseen = self.conversions.foresee(seen, state)
                decision = strays.look(self.session, decide.decide(seen, foreseen))
                decision = server.without_needed(self.session, decision)
                # Otherwise the server says it, as each partition is detached.
                self.decisions[one] = server.without_referenced(self.session, decision) if self.check_mode else decision
            except ScaleoutError as error:
                self.decisions[one] = error
        decided = {one: decision for one, decision in self._decided() if one in wanted}
        taken = server.taken(self.session, list(decided.values()))
        found = {one: decide.clash(decision, taken) for one, decision in decided.items()}
        return {one: error for one, error in found.items() if error}

    def _withdraw(self) -> None:
        for wanted, decision in self.decisions.items():
            if isinstance(decision, ScaleoutError) and wanted.state == "present":
                self.conversions.withdraw(wanted)

    def _decided(self) -> t.Iterator[tuple[PartitionSet, Decision]]:
        for wanted, decision in list(self.decisions.items()):
            if isinstance(decision, Decision):
                yield wanted, decision

    def _carry_out(self, wanted: PartitionSet) -> Outcome:
        so_far, first = Outcome(), self.decisions[wanted]
        try:
            if self.conversions.carry_out(wanted, so_far, self.user):
                self._decide([wanted])
        except ScaleoutError as error:
            so_far.errors.append(error)
            return so_far
        decided = self.decisions[wanted]
        if isinstance(decided, Decision):
            # Of what is not had now the next run does not speak again.
            so_far.announced = outcome.announced(decided)
        for attempt in range(RACES):
            decision = self.decisions[wanted]
            if isinstance(decision, ScaleoutError):
                so_far.errors.append(decision)
                # What was decided first says what was done.
                self.decisions[wanted] = first
                return so_far
            try:
                self._work(decision, so_far)
            except carry_out.Outrun as error:
                if attempt == RACES - 1:
                    so_far.errors.append(error)
            else:
                break
            try:
                # Another client has changed the set meanwhile; what is there now decides.
                self._decide([wanted])
            except ScaleoutError as error:
                so_far.errors.append(error)
                break
        return so_far

    def _work(self, decision: Decision, so_far: Outcome) -> None:
        gate = Gate(self.session, self.limits)
        work = carry_out.Work(
            self.session, decision, self.waiting, self.user, self.companion, so_far, self.batch_rows, gate.wait
        )
        if decision.drop_table:
            steps: tuple[t.Callable[[], None], ...] = (work.drop_table,)
        else:
            # Each step is for itself: what fails in one undoes nothing of another and keeps none from being tried.
            steps = (
                (work.create, work.retire, work.drop_default) if decision.drop_default else (work.create, work.retire)
            )
        for step in steps:
            try:
                step()
            except carry_out.Outrun:
                raise
            except ScaleoutError as error:
                so_far.errors.append(error)
        if gate.reasons:
            so_far.paused = gate.result
        if decision.retention_error:
            so_far.errors.append(decision.retention_error)

    def _plan(self, outcomes: t.Mapping[PartitionSet, Outcome]) -> Plan:
        rows, actions = [], []
        warnings = list(self.hurry)
        before: dict[str, t.Any] = {}
        after: dict[str, t.Any] = {}
        for wanted, decision in self.decisions.items():
            so_far = outcomes.get(wanted)
            if so_far is None or isinstance(decision, ScaleoutError):
                error = decision if isinstance(decision, ScaleoutError) else Refused("was not decided")
                rows.append(outcome.failed(wanted.table, wanted.schema, error))
                continue
            rows.append(outcome.result(decision, so_far))
            warnings += [*self.conversions.said.get(wanted.label, ()), *decision.warnings]
            warnings += retention.warned(decision.wanted, decision.root, so_far.announced)
            if so_far.changed:
                actions.append(wanted)
                before[wanted.label], after[wanted.label] = outcome.before_and_after(decision, so_far)
        return Plan(before, after, tuple(actions), {"sets": rows}, tuple(warnings))

    def _raise(self, plan: Plan) -> None:
        """Fail where a set could not be had, with what became of all.

        :raises ScaleoutError: with the code of the one that failed, or ``incomplete`` for several.
        """
        rows = [row for row in plan.result["sets"] if row["outcome"] == "failed"]
        if not rows:
            return
        facts = {"changed": plan.changed, "diff": {"before": plan.before, "after": plan.after}, **plan.result}
        facts["warnings"] = list(plan.warnings)
        if len(rows) == 1 and len(self.wanted) == 1:
            raise ScaleoutError(rows[0]["msg"], code=rows[0]["code"], **facts)
        codes = {row["code"] for row in rows}
        text = "\n".join(
            [f"{len(rows)} of {len(self.wanted)} sets could not be done:", *(f"- {_named(row)}" for row in rows)]
        )
        raise ScaleoutError(text, code=codes.pop() if len(codes) == 1 else "incomplete", **facts)


def _named(row: t.Mapping[str, t.Any]) -> str:
    """The sentence of a set that failed, with the name of its table, which it may begin with already."""
    label, text = f"{row['schema']}.{row['table']}", str(row["msg"])
    return text if text.startswith(label) else f"{label}: {text}"


def _clock(controller_time: float | None) -> t.Callable[[], float]:
    """The controller's clock, which goes on from the time that it was read; this host's own where it was not."""
    if controller_time is None:
        return time.time
    started = time.monotonic()
    return lambda: controller_time + time.monotonic() - started
