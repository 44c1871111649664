# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tells a webhook, or Alertmanager, which alerts of the control loop are new and which have cleared."""

from __future__ import annotations

import dataclasses
import datetime
import json
import os
import typing as t
from collections.abc import Mapping, Sequence

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput
from ansible_collections.scaleout.platform.plugins.plugin_utils import sink_http, sink_webhook
from ansible_collections.scaleout.platform.plugins.plugin_utils.deadline import within

WEBHOOK, ALERTMANAGER = "webhook", "alertmanager"
#: The variable that says where alerts go, and where its secret is from if it is no variable.
VARIABLE, SECRET, ENVIRONMENT = "autoscale_alerts", "autoscale_alerts_secret", "SCALEOUT_ALERTS_SECRET"
_KEYS = ("url", "kind", "ca_file", "timeout")
_PATH = "/api/v2/alerts"
#: An alert is told once, and Alertmanager forgets it at its end; so that is far away, until it has cleared.
_LASTS = 30 * 86400.0


@dataclasses.dataclass(frozen=True)
class Settings:
    """Where alerts go.

    :param secret: what a webhook's body is signed with, or Alertmanager's bearer token; empty for none.
    :param timeout: seconds to connect, and seconds for the answer.
    """

    kind: str
    url: str
    secret: str = dataclasses.field(default="", repr=False)
    ca_file: str = ""
    timeout: float = 5.0


def read(given: t.Any, secret: t.Any = None, environment: Mapping[str, str] | None = None) -> Settings | None:
    """Read the variables; None where alerts go nowhere.

    :param environment: of this process, if it is not given.
    :raises InvalidInput: they cannot be.
    """
    if not given:
        return None
    if not isinstance(given, Mapping):
        raise InvalidInput(VARIABLE, given, "is not a mapping with url and kind")
    for key in given:
        if key not in _KEYS:
            raise InvalidInput(VARIABLE, key, f"is not known here; there is {', '.join(_KEYS)}")
    kind = given.get("kind", WEBHOOK)
    if kind not in (WEBHOOK, ALERTMANAGER):
        raise InvalidInput(f"{VARIABLE}.kind", kind, f"is not {WEBHOOK} or {ALERTMANAGER}")
    url, timeout = str(given.get("url") or ""), given.get("timeout", 5.0)
    sink_http.check(f"{VARIABLE}.url", url)
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not 0 < timeout <= 60:
        raise InvalidInput(f"{VARIABLE}.timeout", timeout, "is not a number of seconds from 0 to 60")
    known = os.environ if environment is None else environment
    secret = str(secret or known.get(ENVIRONMENT) or "")
    if kind == WEBHOOK and not secret:
        raise InvalidInput(SECRET, "", f"is not set, and the webhook's body is signed with it; or set {ENVIRONMENT}")
    if kind == ALERTMANAGER and secret:
        sink_http.check_token(SECRET, secret)
    return Settings(kind, url, secret, str(given.get("ca_file") or ""), float(timeout))


def send(to: Settings, firing: Sequence[Mapping[str, t.Any]], cleared: Sequence[str], now: float) -> None:
    """Tell all of it in one request.

    :param firing: alerts with their ``key``, ``text``, ``group``, ``application``, ``kind`` and ``member``.
    :param cleared: the keys of those that are over.
    :param now: seconds since the epoch.
    :raises ScaleoutError: it was not taken.
    """
    if not firing and not cleared:
        return
    target = sink_http.Target("the receiver of alerts", _url(to), to.ca_file, to.timeout)
    headers = {}
    if to.kind == ALERTMANAGER:
        body = json.dumps([*(_labelled(one, now) for one in firing), *(_over(key, now) for key in cleared)]).encode()
        if to.secret:
            headers["Authorization"] = f"Bearer {to.secret}"
    else:
        document = {"event": "scaling_alerts", "at": round(now, 3), "firing": list(firing), "cleared": list(cleared)}
        body = json.dumps(document, sort_keys=True).encode()
        headers[sink_webhook.HEADER] = sink_webhook.signature(body, to.secret)
    # A time-out of a socket counts from byte to byte, and who waits here has the lease.
    within(2 * to.timeout, f"Telling {target.what}", lambda: sink_http.post(target, body, headers))


def _url(to: Settings) -> str:
    if to.kind == WEBHOOK or to.url.rstrip("/").endswith(_PATH):
        return to.url
    return to.url.rstrip("/") + _PATH


def _labels(key: str) -> dict[str, str]:
    # The same for as long as it is the same alert: Alertmanager knows an alert by its labels.
    return {"alertname": "scaleout_autoscale", "key": key}


def _labelled(alert: Mapping[str, t.Any], now: float) -> dict[str, t.Any]:
    text = {"summary": str(alert.get("text") or ""), "pool": str(alert.get("group") or "")}
    text |= {name: str(alert[name]) for name in ("application", "kind", "member") if alert.get(name)}
    return {
        "labels": _labels(str(alert["key"])),
        "annotations": text,
        "startsAt": _utc(now),
        "endsAt": _utc(now + _LASTS),
    }


def _over(key: str, now: float) -> dict[str, t.Any]:
    return {"labels": _labels(key), "annotations": {}, "endsAt": _utc(now)}


def _utc(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).isoformat(timespec="seconds")
