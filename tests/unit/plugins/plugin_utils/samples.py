# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documents of samples."""

from __future__ import annotations

from ansible_collections.scaleout.platform.plugins.plugin_utils import metric_codec


def document(instance="shop1", at=1_800_000_000.0, service="shop", **metrics):
    """A sample of an instance, with a processor's use unless other metrics are given."""
    return {
        "timestamp": at,
        "service": service,
        "instance": instance,
        "metrics": metrics or {"cpu": {"usage": 50.0}},
    }


def counted(instance="shop1", at=1_800_000_000.0, service="shop", requests=0.0, started=1.0):
    """A sample whose counters make rates."""
    return {
        **document(instance, at, service, cpu={"usage": 50.0}, application={"requests": requests, "errors": 0.0}),
        "counters": {"boot": "a/1", "uptime": at - 1_700_000_000.0, "started": started, "chosen": "1"},
    }


def samples_in(store, service, since, until):
    """The samples of a service in the store between two times, both included, and what is wrong with its entries."""
    entries, garbage = store.entries(service, since, until)
    found = []
    for place, entry in entries:
        try:
            found += (one for one in metric_codec.decode(entry) if since <= one["timestamp"] <= until)
        except metric_codec.Garbage as error:
            garbage.append(f"{place} {error}")
    return metric_codec.distinct(found), garbage
