# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Hand-over to a webhook, such as that of Event-Driven Ansible: posts an event that is signed."""

from __future__ import annotations

import hashlib
import hmac

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput
from ansible_collections.scaleout.platform.plugins.plugin_utils import sink_http
from ansible_collections.scaleout.platform.plugins.plugin_utils.hand_over import Event, Options

#: What GitHub made usual, and what ansible.eda.webhook looks for unless it is told otherwise.
HEADER = "X-Hub-Signature-256"


def signature(body: bytes, secret: str) -> str:
    """Return the signature of a body: its HMAC-SHA256 in hexadecimal digits, after ``sha256=``."""
    return "sha256=" + hmac.new(secret.encode("utf-8", "surrogateescape"), body, hashlib.sha256).hexdigest()


def check(options: Options) -> None:
    """Refuse options that cannot work.

    :raises InvalidInput: one of them cannot.
    """
    sink_http.check("webhook_url", options.webhook_url)
    if not options.webhook_secret:
        raise InvalidInput("webhook_secret", "", "is not set; set SCALEOUT_WEBHOOK_SECRET in the environment")


def send(event: Event, options: Options) -> str:
    """Post the event and return what was told, in a few words."""
    body = event.body()
    target = sink_http.Target("the webhook", options.webhook_url, options.ca_file, options.timeout)
    sink_http.post(target, body, {HEADER: signature(body, options.webhook_secret)})
    return f"event {event.id} to the webhook"
