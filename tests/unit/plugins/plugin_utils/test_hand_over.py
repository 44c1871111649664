# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""When a run hands over, what it tells, and which URLs get a secret."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import time

import pytest
import yaml

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, ScaleoutError
from ansible_collections.scaleout.platform.plugins.plugin_utils import (
    hand_over,
    sink_awx,
    sink_http,
    sink_local,
    sink_webhook,
)
from ansible_collections.scaleout.platform.plugins.plugin_utils.deadline import TooSlow, within
from ansible_collections.scaleout.platform.plugins.plugin_utils.run_log import task_of
from tests.unit.redis_server import ROOT

OURS = "scaleout.platform.autoscale"


@pytest.mark.parametrize(
    ("environment", "variables", "running", "to_run", "may"),
    [
        ([], {}, "/p/collect.yml", OURS, True),
        (["SCALEOUT_HANDED_OVER"], {}, "/p/collect.yml", OURS, False),
        ([], {"scaleout_handed_over": ""}, "/p/collect.yml", OURS, False),
        ([], {}, "/c/scaleout/platform/playbooks/autoscale.yml", OURS, False),
        ([], {}, OURS, "autoscale.yaml", False),
        ([], {}, "project/autoscale.yaml", "/elsewhere/autoscale.yml", False),
        ([], {}, "autoscale.yml", "scale.yml", True),
        ([], {}, "", OURS, True),
    ],
)
def test_the_scaling_playbook_does_not_start_itself(environment, variables, running, to_run, may):
    assert (hand_over.reason_against(environment, variables, running, to_run) == "") is may


def test_an_event_is_bounded():
    event = hand_over.Event.of("id", 1.23456, [f"service{n:>0120}" for n in range(1000)] * 2, 2000)
    assert len(json.dumps(event.variables())) < 10_000
    body = json.loads(event.body())
    assert (len(body["services"]), body["more_services"], body["at"]) == (50, 950, 1.235)
    assert event.body() == event.body()


def test_the_signature_is_the_one_that_github_documents():
    # https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries, "Testing the webhook payload"
    # prose: allow everybody: the secret of GitHub's example is spelt that way
    signed = sink_webhook.signature(b"Hello, World!", "It's a Secret to Everybody")
    assert signed == "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "is not a URL"),
        ("awx.example.com", "is not a URL"),
        ("ftp://awx.example.com", "is not a URL"),
        ("https://:443/", "is not a URL"),
        ("https://awx.example.com:x/", "is not a URL"),
        ("https://me:sesame@awx.example.com/", "is not a URL"),
        ("http://[::1", "is not a URL"),
        ("https://me:sesame@[::1", "is not a URL"),
        ("https://awx.example.com/ü", "is not a URL"),
        ("https://awx.example.com/a b", "is not a URL"),
        ("https://awx.example.com/a\nb", "is not a URL"),
        ("https://awx..example.com/", "is not a URL"),
        (f"https://{'a' * 64}.example.com/", "is not a URL"),
        ("http://awx.example.com", "use https"),
        ("http://127.0.0.1.example.com", "use https"),
        ("https://awx.example.com/api/v2", None),
        ("http://127.0.0.1:8052/api/v2", None),
        ("http://[::1]:8052/api/v2", None),
        ("http://localhost:5000", None),
    ],
)
def test_a_secret_goes_where_no_one_else_reads_it(url, reason):
    if reason is None:
        sink_http.check("awx_url", url)
        return
    with pytest.raises(InvalidInput, match=reason) as raised:
        sink_http.check("awx_url", url)
    assert "sesame" not in str(raised.value)


@pytest.mark.parametrize("token", ["sesame\n", "ses\r\name", "ses ame", "s\u00e9same", "sesame\udcff", "sesame\0", ""])
def test_a_token_that_no_header_holds_is_refused_without_a_word_of_it(token):
    """The library that sends it would raise an error whose text repeats it."""
    options = hand_over.Options(awx_url="https://awx.example.com/api/v2", awx_template="7", awx_token=token)
    with pytest.raises(ScaleoutError) as refused:
        sink_awx.check(options)
    assert refused.value.code == "invalid_input"
    assert "ame" not in refused.value.message


@pytest.mark.parametrize(
    ("option", "value"), [("playbook", ""), ("playbook", "--inventory=/tmp/x"), ("log_path", ""), ("log_path", "logs/")]
)
def test_what_is_started_here_is_a_playbook_and_has_a_log(option, value):
    """Neither is it an option of ansible-playbook, nor is there a lock beside the folder that the run is in."""
    options = {"playbook": OURS, "log_path": "x.log"}
    sink_local.check(hand_over.Options(**options))
    with pytest.raises(InvalidInput, match=f"{option}: "):
        sink_local.check(hand_over.Options(**{**options, option: value}))


def test_a_secret_of_any_bytes_signs():
    """The environment may hold what is not UTF-8; its bytes are what whoever receives the event has."""
    expected = hmac.new(b"sesame\xff", b"{}", hashlib.sha256).hexdigest()
    assert sink_webhook.signature(b"{}", "sesame\udcff") == f"sha256={expected}"


@pytest.mark.parametrize(
    ("written", "hidden", "name"),
    [
        ({"name": "Use {{ token }}"}, None, "Use {{ token }}"),
        ({"name": "Use {{ token }}"}, False, "Use {{ token }}"),
        ({"name": "Use sesame"}, True, ""),
        ({"name": "Use sesame"}, "{{ secret }}", ""),
        ({"name": 5}, False, ""),
        ({}, False, ""),
        (None, False, ""),
    ],
)
def test_the_name_of_a_task_is_told_as_it_is_written(written, hidden, name):
    assert task_of("/a/b/c/d.yml:3", "debug", written, hidden) == ("b/c/d.yml:3", "debug", name)


def test_the_rulebook_checks_what_the_callback_signs_and_acts_once_for_each_event():
    (ruleset,) = yaml.safe_load((ROOT / "extensions/eda/rulebooks/autoscale.yml").read_text())
    ((source,), (rule,)) = ruleset["sources"], ruleset["rules"]
    webhook = source["ansible.eda.webhook"]
    assert webhook["hmac_header"] == sink_webhook.HEADER.lower()
    assert (webhook["hmac_algo"], webhook["hmac_format"]) == ("sha256", "hex")
    assert webhook["hmac_secret"] == "{{ SCALEOUT_WEBHOOK_SECRET }}"
    assert rule["throttle"] == {"once_within": "1 hour", "group_by_attributes": ["event.payload.id"]}
    event = json.loads(hand_over.Event.of("id", 1.0, ["shop"], 1).body())
    assert rule["condition"].startswith(f'event.payload.event == "{event["event"]}" and')
    variables = rule["action"]["run_playbook"]["extra_vars"]
    assert hand_over.VARIABLE in variables
    assert {re.search(r"payload\.(\w+)", text)[1] for text in variables.values()} <= set(event)


def test_a_deadline():
    assert within(5, "It", lambda: 1) == 1
    with pytest.raises(ZeroDivisionError):
        within(5, "It", lambda: 1 / 0)
    began = time.monotonic()
    with pytest.raises(TooSlow, match=r"It took longer than 0\.1 s"):
        within(0.1, "It", lambda: time.sleep(3))
    assert time.monotonic() - began < 1
