# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Hand-over to AWX: launches one job template."""

from __future__ import annotations

import json
import typing as t
import urllib.parse

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, Stranger
from ansible_collections.scaleout.platform.plugins.plugin_utils import sink_http
from ansible_collections.scaleout.platform.plugins.plugin_utils.hand_over import Event, Options


def check(options: Options) -> None:
    """Refuse options that cannot work.

    :raises InvalidInput: one of them cannot.
    """
    sink_http.check("awx_url", options.awx_url)
    if not options.awx_template:
        raise InvalidInput("awx_template", options.awx_template, "is not the id or the name of a job template")
    if not options.awx_token:
        raise InvalidInput("awx_token", "", "is not set; set SCALEOUT_AWX_TOKEN in the environment")
    sink_http.check_token("awx_token", options.awx_token)


def send(event: Event, options: Options) -> str:
    """Launch the job template and return what was started, in a few words.

    The template needs "Prompt on launch" for its variables to learn from which run it was launched; without, AWX
    ignores them, and the launch succeeds all the same.
    """
    template = urllib.parse.quote(options.awx_template, safe="+")
    url = f"{options.awx_url.rstrip('/')}/job_templates/{template}/launch/"
    body = json.dumps({"extra_vars": event.variables()}).encode()
    target = sink_http.Target("AWX", url, options.ca_file, options.timeout)
    answer: t.Any = sink_http.post(target, body, {"Authorization": f"Bearer {options.awx_token}"})
    job = answer.get("job", answer.get("id")) if isinstance(answer, dict) else None
    if isinstance(job, bool) or not isinstance(job, int):
        parts = urllib.parse.urlsplit(url)
        raise Stranger("AWX", str(parts.hostname), parts.port or 443, "what answers is not AWX: it names no job")
    return f"job {job} of AWX"
