# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a look at a service is asked to find out; pure."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, ScaleoutError
from ansible_collections.scaleout.platform.plugins.module_utils.metrics.exposition import (
    BadSelector,
    Selector,
    select,
)
from ansible_collections.scaleout.platform.plugins.module_utils.metrics.sample import is_name

_HEALTH = 'route!~"/healthz|/readyz|/metrics"'
#: Counters of requests: the reference API's, then those that libraries use. The first that is there counts.
REQUESTS = (
    f"reference_api_requests_total{{{_HEALTH}}}",
    "http_requests_total",
    "http_request_duration_seconds_count",
    "http_server_request_duration_seconds_count",
    "http_server_requests_seconds_count",
)
#: Of them, those that failed.
ERRORS = (
    f'reference_api_requests_total{{status=~"5..", {_HEALTH}}}',
    'http_requests_total{status=~"5.."}',
    'http_requests_total{code=~"5.."}',
    'http_requests_total{status_code=~"5.."}',
    'http_request_duration_seconds_count{status=~"5.."}',
    'http_request_duration_seconds_count{code=~"5.."}',
    'http_request_duration_seconds_count{status_code=~"5.."}',
    'http_server_request_duration_seconds_count{http_response_status_code=~"5.."}',
    'http_server_requests_seconds_count{status=~"5.."}',
)
#: Histograms or summaries of how long they took.
LATENCY = (
    f"reference_api_request_seconds{{{_HEALTH}}}",
    "http_request_duration_seconds",
    "http_server_request_duration_seconds",
    "http_server_requests_seconds",
)
#: Counters of requests that a shard is to blame for: the reference API's, then what an application may count itself.
SHARD_ERRORS = ("reference_api_shard_errors_total", "shard_errors_total")
LONGEST_LOOK = 10.0
LONGEST_ANSWER = 60.0
_UNIT = re.compile(r"[A-Za-z0-9:_.@\\-]{1,249}\.(?:service|slice|scope)")
_URL = re.compile(
    r"(?P<scheme>https?)://(?:\[(?P<six>[0-9A-Fa-f:.]+(?:%[\w.-]+)?)\]|(?P<host>[A-Za-z0-9._-]+))"
    r"(?::(?P<port>[0-9]{1,5}))?(?P<target>/[!-~]*)?"
)
_PATH = re.compile(r"/[!-~]*")
_HOST = re.compile(r"[A-Za-z0-9._\[\]:-]{1,255}")
_INTERFACE = re.compile(r"[^\s/:]{1,15}")


@dataclasses.dataclass(frozen=True)
class Endpoint:
    """Where the application tells its metrics.

    :param target: the path, and the query if there is one.
    """

    tls: bool
    host: str
    port: int
    target: str


@dataclasses.dataclass(frozen=True)
class Spec:
    """What to look at.

    :param endpoint: of the application's metrics; None where it has none.
    :param name: the ``Host`` header to ask with; empty for the URL's own.
    :param port: on which the application listens; 0 counts all connections of the host.
    :param unit: the application's systemd unit; empty for the host alone.
    :param interfaces: whose traffic counts; empty for those that carry the host's own.
    :param look: seconds between the two looks that make one sample; 0 for a single one.
    :param timeout: seconds that one answer of the application may take in all.
    :param pooler_port: PgBouncer's on this host; None for a host whose pooler is not asked.
    :param pooler_databases: whose pools count; empty for all.
    :param names_shard_errors: whether someone has named the counters, so that they have to be there.
    """

    service: str
    instance: str
    endpoint: Endpoint | None
    name: str
    port: int
    unit: str
    interfaces: tuple[str, ...]
    look: float
    timeout: float
    validate_certs: bool
    requests: tuple[Selector, ...]
    errors: tuple[Selector, ...]
    latency: tuple[Selector, ...]
    shard_errors: tuple[Selector, ...] = ()
    pooler_port: int | None = None
    pooler_databases: tuple[str, ...] = ()
    names_shard_errors: bool = False


def read(params: t.Mapping[str, t.Any]) -> Spec:
    """Read the options of the module ``service_metrics_info``.

    :raises ScaleoutError: code ``invalid_input``, with a sentence for each option that can never work.
    """
    options = _Options(params)
    spec = Spec(
        service=options.name("service"),
        instance=options.name("instance"),
        endpoint=options.endpoint(),
        name=params["host"],
        port=params["port"] or 0,
        unit=options.unit(),
        interfaces=options.interfaces(),
        look=params["look"],
        timeout=params["timeout"],
        validate_certs=params["validate_certs"],
        requests=options.selectors("requests_metrics"),
        errors=options.selectors("errors_metrics"),
        latency=options.selectors("latency_metrics"),
        shard_errors=options.selectors("shard_errors_metrics"),
        pooler_port=params["pooler_port"],
        pooler_databases=tuple(params["pooler_databases"]),
        names_shard_errors=tuple(params["shard_errors_metrics"]) != SHARD_ERRORS,
    )
    pooler = spec.pooler_port
    options.check("pooler_port", pooler is None or 1 <= pooler <= 65535, "is not a port; a port is between 1 and 65535")
    look = f"must be 0, or 0.1 to {LONGEST_LOOK:g} seconds"
    options.check("look", spec.look == 0 or 0.1 <= spec.look <= LONGEST_LOOK, look)
    options.check(
        "timeout", 0 < spec.timeout <= LONGEST_ANSWER, f"must be more than 0 and at most {LONGEST_ANSWER:g} seconds"
    )
    options.check(
        "host", not spec.name or bool(_HOST.fullmatch(spec.name)), "is not a host name, with or without a port"
    )
    if options.faults:
        text = " ".join(fault.message for fault in options.faults)
        raise ScaleoutError(text, code=InvalidInput.CODE, option=options.faults[0].facts["option"])
    return spec


class _Options:
    """Takes values out of the options and keeps what is wrong with them."""

    def __init__(self, params: t.Mapping[str, t.Any]) -> None:
        self._params = params
        self.faults: list[InvalidInput] = []

    def check(self, option: str, holds: bool, reason: str) -> None:
        if not holds:
            self.faults.append(InvalidInput(option, self._params[option], reason))

    def name(self, option: str) -> str:
        text = str(self._params[option])
        fits = is_name(text) and text == text.strip()
        self.check(option, fits, "is not 1 to 255 printable characters without blanks around")
        return text

    def endpoint(self) -> Endpoint | None:
        port, path, url = (self._params[option] for option in ("port", "path", "url"))
        self.check("port", port is None or 1 <= port <= 65535, "is not a port; a port is between 1 and 65535")
        self.check("path", bool(_PATH.fullmatch(path)), "must begin with a slash and have no blanks")
        if not url:
            return Endpoint(False, "127.0.0.1", port, path) if port else None
        found = _endpoint(url)
        if found is None:
            shown = re.sub(r"//[^/]*@", "//***@", url)
            reason = "is not a URL such as http://127.0.0.1:8000/metrics, without a login"
            self.faults.append(InvalidInput("url", shown, reason))
        return found

    def unit(self) -> str:
        unit = self._params["unit"] or ""
        fits = not unit or bool(_UNIT.fullmatch(unit))
        self.check("unit", fits, "is not the name of a unit with its suffix, such as shop.service")
        return str(unit)

    def interfaces(self) -> tuple[str, ...]:
        for one in self._params["interfaces"]:
            if not _INTERFACE.fullmatch(one):
                self.faults.append(InvalidInput("interfaces", one, "is not the name of a network interface"))
        return tuple(self._params["interfaces"])

    def selectors(self, option: str) -> tuple[Selector, ...]:
        found = []
        for text in self._params[option]:
            try:
                found.append(select(text))
            except BadSelector as error:
                self.faults.append(InvalidInput(option, text, str(error)))
        return tuple(found)


def _endpoint(url: str) -> Endpoint | None:
    found = _URL.fullmatch(url)
    if not found:
        return None
    tls = found["scheme"] == "https"
    port = int(found["port"] or (443 if tls else 80))
    known = 1 <= port <= 65535
    return Endpoint(tls, found["six"] or found["host"], port, found["target"] or "/") if known else None
