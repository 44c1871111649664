# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Readings for a decision: what lies in the metric store, and what the run itself has sampled.

Nothing that is wrong with the store ends a run. Whatever could not be read is missing, which is not zero, and a problem
says why; the decision knows what to make of missing data.

A decision judges the values of its window alone, some minutes. Of the time before, half an hour, it asks only who
reported when, to tell a dead member from a store that was away. So the columns of those entries are not even parsed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import itertools
import typing as t
from collections.abc import Iterable, Mapping, Sequence

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.metrics import columns, rates
from ansible_collections.scaleout.platform.plugins.module_utils.metrics.sample import BadSample, Sample, parse
from ansible_collections.scaleout.platform.plugins.module_utils.metrics.source import Entries, Source
from ansible_collections.scaleout.platform.plugins.module_utils.scaling.policy import Policy
from ansible_collections.scaleout.platform.plugins.plugin_utils import metric_codec
from ansible_collections.scaleout.platform.plugins.plugin_utils.deadline import within
from ansible_collections.scaleout.platform.plugins.plugin_utils.metric_store import (
    Settings,
    Store,
    configure,
    load_library,
)

Reading = dict[str, t.Any]

#: Of what is left out, so many are named.
_MOST_NAMED = 20
#: Seconds that all reading may take, for each second that the store may take for one answer, and at least.
_ANSWERS, _LEAST = 5.0, 10.0
_CALLBACK = "scaleout.platform.push_metrics"


class NoSamples(ScaleoutError):
    """There are no samples of a service; it is missing data, and not zero."""

    CODE = "no_samples"


@dataclasses.dataclass(frozen=True)
class Want:
    """What a decision needs of one service. All times are in seconds since 1970.

    :param since: the oldest samples that are read.
    :param judged: before it, a member's reading says no more than that it reported; None for values of all.
    :param longest: seconds beyond which two samples are too far apart for a rate; None for no limit.
    """

    service: str
    since: float
    judged: float | None = None
    longest: float | None = None

    @classmethod
    def by(cls, service: str, policy: Policy, now: float) -> Want:
        """Return what a policy looks at, and before it as much as an interval may have."""
        longest = 3 * policy.interval
        return cls(service, now - policy.horizon - longest, now - policy.window - longest, longest)


@dataclasses.dataclass(frozen=True)
class Found:
    """What was read.

    :param readings: by service, as ``scaling.readings.Readings`` takes them: first who only reported, in the order of
        time, then those with values, in the order of instances and time.
    :param problems: why there may be fewer than there should be.
    """

    readings: dict[str, list[Reading]]
    problems: list[ScaleoutError]


def configured(variables: Mapping[str, t.Any]) -> Settings | None:
    """Return how the store is reached by variables, the environment and ansible.cfg, as the callback has it.

    :param variables: those of a host, templated; whose name begins with ``push_metrics_`` count.
    :raises InvalidInput: a value cannot be what it is for.
    """
    from ansible.errors import AnsibleError
    from ansible.plugins.loader import callback_loader

    # One of its own: the run's callback may have options that were read before.
    callback = callback_loader.get(_CALLBACK)
    ours = {name: value for name, value in variables.items() if name.startswith("push_metrics_store_")}
    try:
        callback.set_options(var_options=ours)
        return configure(callback.get_option)
    except AnsibleError:
        # Its text repeats the value, which may be a password in the wrong place.
        names = ", ".join(sorted(ours)) or "push_metrics_store_*"
        raise InvalidInput("push_metrics", names, "do not say how the metric store is reached") from None


def read(store: Settings | None, wants: Sequence[Want], until: float, own: Iterable[t.Any] = ()) -> Found:
    """Return the readings of services, from the store and from the run's own samples.

    Neither the order in which samples arrived nor duplicates change them. Samples from the future come along, since
    they are an alert about a clock. The first sample of an instance has no interval before it, so it may lack rates.

    :param store: how the store is reached; None for the run's own samples alone.
    :param until: the time of the decision. What was pushed more than two hours after it is not read.
    :param own: documents of samples, as ``service_metrics_info`` returns them; of any services.
    """
    problems: list[ScaleoutError] = []
    mine = _own(own, problems)
    packed: dict[str, Entries] = {}
    if store is None:
        problems.append(InvalidInput("push_metrics_store_host", "", "is not set, so no metric store was read"))
    else:
        packed = _fetch(store, wants, until, problems)
    found = {}
    with _uncollected():
        for want in wants:
            samples = [one for one in mine if one.service == want.service and one.timestamp >= want.since]
            found[want.service] = of_entries(want, packed.get(want.service), samples, problems)
    return Found(found, problems)


@contextlib.contextmanager
def _uncollected() -> t.Iterator[None]:
    """Keep Python's garbage collector from looking at samples that are all in use: it takes a third of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


_Old = tuple[str, bytes, metric_codec.Columns]


def _fetch(store: Settings, wants: Sequence[Want], until: float, problems: list[ScaleoutError]) -> dict[str, Entries]:
    """Ask the store for all services over one connection; the first thing that it refuses ends that."""
    found: dict[str, Entries] = {}

    def work() -> None:
        source: Source = Store(store)
        with contextlib.closing(source):
            for want in wants:
                found[want.service] = source.entries(want.service, want.since, until)

    try:
        load_library()
        seconds = max(_LEAST, _ANSWERS * store.timeout)
        within(seconds, f"Reading from the metric store at {store.host}:{store.port}", work)
    except ScaleoutError as error:
        problems.append(error)
    except Exception as error:
        # Its text may repeat what was sent.
        problems.append(ScaleoutError(f"Reading from the metric store met a {type(error).__name__}."))
    return dict(found)


def _own(own: Iterable[t.Any], problems: list[ScaleoutError]) -> list[Sample]:
    found = []
    for document in own:
        try:
            found.append(parse(metric_codec.sample(document)))
        except metric_codec.Garbage as error:
            problems.append(BadSample(f"A sample of this run {error}; it is left out."))
        except BadSample as error:
            problems.append(BadSample(f"A sample of this run is left out. {error.message}", **error.facts))
    return found


def of_entries(want: Want, packed: Entries | None, own: list[Sample], problems: list[ScaleoutError]) -> list[Reading]:
    """Return the readings of one service; what is wrong is added to the problems.

    :param packed: None where the store does not say.
    """
    taker = _Taker(want, own, packed.garbage if packed else [])
    old = []
    for place, entry in packed.entries if packed else ():
        try:
            head = metric_codec.taken(entry)
            if head.service != want.service:
                taker.garbage.append(f"{place} is of another service")
            elif want.judged is not None and head.timestamps and max(head.timestamps) < want.judged:
                old.append((place, entry, head))
            else:
                taker.take(metric_codec.unpack(entry))
        except metric_codec.Garbage as error:
            taker.garbage.append(f"{place} {error}")
    found = taker.readings()
    if old:
        found = [*_reported(want, old, taker, {one["instance"] for one in found}), *found]
    problems += taker.problems()
    if packed and not (packed.entries or packed.garbage):
        text = f"The metric store has no samples of {want.service} since the time that was asked for."
        problems.append(NoSamples(text, service=want.service))
    return found


def _reported(want: Want, old: list[_Old], taker: _Taker, heard: set[str]) -> list[Reading]:
    """Return who reported before the time whose values are judged.

    Of a member that has not been heard since then, its samples are read until there is one that says anything, the
    newest first: one that sends nothing but garbage is as silent as one that sends nothing.

    :param heard: who has; those found here are added.
    """
    found: list[list[tuple[str, float]]] = []
    for place, entry, head in sorted(old, key=lambda one: (max(one[2].timestamps), one[2]), reverse=True):
        if not heard.issuperset(head.instances):
            try:
                samples = [one for one in taker.sound(metric_codec.unpack(entry)) if one.instance not in heard]
            except metric_codec.Garbage as error:
                taker.garbage.append(f"{place} {error}")
                continue
            heard.update(one["instance"] for one in rates.readings(samples) if one["values"])
        pairs = zip(head.instances, head.timestamps)
        found.append([one for one in pairs if one[0] in heard and one[1] >= want.since])
    once = dict.fromkeys(itertools.chain.from_iterable(reversed(found)))
    return [{"instance": instance, "at": at, "reported": True} for instance, at in once]


class _Taker:
    """Takes the samples of one service out of entries, and keeps what is wrong with them."""

    def __init__(self, want: Want, own: list[Sample], garbage: list[str]) -> None:
        self.garbage = list(garbage)
        self._want = want
        self._samples = list(own)
        self._refused: list[BadSample] = []

    def take(self, packed: metric_codec.Columns) -> None:
        """Take the samples of an entry.

        :raises metric_codec.Garbage: it holds none.
        """
        self._samples += [one for one in self.sound(packed) if one.timestamp >= self._want.since]

    def sound(self, packed: metric_codec.Columns) -> list[Sample]:
        """Return the samples of an entry that are some.

        :raises metric_codec.Garbage: it holds none.
        """
        by_path = dict(packed.columns)
        found = columns.samples(packed.service, packed.timestamps, packed.instances, by_path)
        # A path that is there twice is one number in a document, the last.
        if found is None or len(by_path) < len(packed.columns):
            found = self._judged(metric_codec.documents(packed))
        return found

    def _judged(self, documents: list[metric_codec.Document]) -> list[Sample]:
        """Return the sound ones of documents of which some are not."""
        found = []
        for document in documents:
            try:
                found.append(parse(document))
            except BadSample as error:
                self._refused.append(error)
        return found

    def readings(self) -> list[Reading]:
        """Return a reading for each sample that was taken and says something."""
        found = rates.readings(self._samples, self._want.longest)
        return [one for one in found if one["values"]]

    def problems(self) -> list[ScaleoutError]:
        """Return what is wrong, in a sentence for each kind."""
        found: list[ScaleoutError] = []
        service = self._want.service
        if self.garbage:
            text = f"{len(self.garbage)} entries of {service} in the metric store are left out: {self.garbage[0]}."
            found.append(BadSample(text, service=service, reasons=self.garbage[:_MOST_NAMED]))
        if self._refused:
            reasons = [reason for one in self._refused[:_MOST_NAMED] for reason in one.facts["reasons"]]
            text = f"{len(self._refused)} samples of {service} in the metric store are left out: {reasons[0]}."
            found.append(BadSample(text, service=service, reasons=reasons[:_MOST_NAMED]))
        return found
