# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Alerts of the control loop: what a receiver gets, and what is refused before anything is sent."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.errors import InvalidInput, ScaleoutError
from ansible_collections.scaleout.platform.plugins.plugin_utils import alert_sink, sink_webhook
from tests.unit import redis_server

NOW = 1_767_225_600.0
ALERT = {"key": "shop:silent:shop2", "kind": "silent", "member": "shop2", "text": "shop2 has been silent for 320 s."}
ALERT |= {"group": "web", "application": "shop"}


@pytest.fixture(name="receiver")
def _receiver():
    """Where it is, and what it got; it answers with the status in ``answers``."""
    got = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self):
            got.append((self.path, dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200 if self.path != "/refuses" else 503)
            self.end_headers()

        def log_message(self, *_arguments):
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", got
        server.shutdown()


@pytest.mark.parametrize("path", ["", "/", "/api/v2/alerts"])
def test_b3_alertmanager_gets_what_is_new_and_what_has_cleared(receiver, path):
    where, got = receiver
    to = alert_sink.read({"kind": "alertmanager", "url": where + path}, "the-token", {})
    alert_sink.send(to, [ALERT], ["shop:dead:shop3"], NOW)
    ((asked, headers, body),) = got
    assert (asked, headers["Authorization"]) == ("/api/v2/alerts", "Bearer the-token")
    new, over = json.loads(body)
    assert new["labels"] == {"alertname": "scaleout_autoscale", "key": "shop:silent:shop2"}
    assert new["annotations"]["summary"] == ALERT["text"]
    # Told once, so it must not end by itself; and one that has cleared ends now.
    assert (new["startsAt"], new["endsAt"]) == ("2026-01-01T00:00:00+00:00", "2026-01-31T00:00:00+00:00")
    assert (over["labels"]["key"], over["endsAt"]) == ("shop:dead:shop3", "2026-01-01T00:00:00+00:00")


def test_b3_a_webhook_gets_them_signed(receiver):
    where, got = receiver
    to = alert_sink.read({"url": where + "/alerts"}, None, {"SCALEOUT_ALERTS_SECRET": "s3cret"})
    alert_sink.send(to, [ALERT], [], NOW)
    ((asked, headers, body),) = got
    assert (asked, headers[sink_webhook.HEADER]) == ("/alerts", sink_webhook.signature(body, "s3cret"))
    assert json.loads(body) == {"event": "scaling_alerts", "at": NOW, "firing": [ALERT], "cleared": []}
    assert "s3cret" not in repr(to)


def test_nothing_to_tell_asks_no_one():
    alert_sink.send(alert_sink.Settings("webhook", "http://127.0.0.1:9/"), [], [], NOW)


@pytest.mark.parametrize(("path", "code"), [("/refuses", "unexpected_answer"), (None, "unreachable")])
def test_a_receiver_that_does_not_take_them_is_an_error_with_a_code(receiver, path, code):
    where, _got = receiver
    to = alert_sink.Settings("webhook", where + path if path else "http://127.0.0.1:9/", "s3cret")
    with pytest.raises(ScaleoutError) as refused:
        alert_sink.send(to, [ALERT], [], NOW)
    assert refused.value.code == code
    assert "s3cret" not in refused.value.message


@pytest.mark.parametrize(
    ("given", "secret", "sentence"),
    [
        ("https://x", "s", "autoscale_alerts: 'https://x' is not a mapping with url and kind."),
        ({"url": "https://x", "kind": "mail"}, "s", "autoscale_alerts.kind: 'mail' is not webhook or alertmanager."),
        (
            {"url": "https://x", "to": "me"},
            "s",
            "autoscale_alerts: 'to' is not known here; there is url, kind",
        ),
        ({"kind": "alertmanager"}, "", "autoscale_alerts.url: '' is not a URL such as"),
        ({"url": "http://alerts.example.com"}, "s", "begins with http://, which anyone on the way can read"),
        ({"url": "https://x"}, "", "autoscale_alerts_secret: '' is not set, and the webhook's body is signed with it"),
        ({"url": "https://x", "timeout": "5s"}, "s", "autoscale_alerts.timeout: '5s' is not a number of seconds"),
    ],
)
def test_p1_what_cannot_be(given, secret, sentence):
    with pytest.raises(InvalidInput) as refused:
        alert_sink.read(given, secret, {})
    assert sentence in refused.value.message


@pytest.mark.parametrize("token", ["s3cret\n", "s3cret\r\nX: y", "s3cr\u20act", "s3cret\udcff"])
def test_a_token_that_no_header_holds_is_refused_without_a_word_of_it(token):
    with pytest.raises(ScaleoutError) as refused:
        alert_sink.read({"url": "https://x", "kind": "alertmanager"}, token, {})
    assert (refused.value.code, refused.value.facts) == ("invalid_input", {"option": "autoscale_alerts_secret"})
    assert "s3c" not in refused.value.message


def test_a_receiver_that_trickles_is_given_up():
    """Who waits for it has the lease of the run."""
    with redis_server.answering(b"HTTP/1.1 200 OK\r\nX: ", trickle=0.05) as port:
        to = alert_sink.Settings("webhook", f"http://127.0.0.1:{port}/", "s3cret", timeout=0.2)
        began = time.monotonic()
        with pytest.raises(ScaleoutError, match=r"longer than 0\.4 s") as given_up:
            alert_sink.send(to, [ALERT], [], NOW)
    assert given_up.value.code == "timeout"
    assert time.monotonic() - began < 2


def test_an_answer_that_is_nested_too_deeply_is_an_answer():
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"[" * 100_000
    with redis_server.answering(answer) as port:
        alert_sink.send(alert_sink.Settings("webhook", f"http://127.0.0.1:{port}/", "s"), [ALERT], [], NOW)


@pytest.mark.parametrize("given", [None, "", {}])
def test_without_a_receiver_alerts_are_only_shown(given):
    assert alert_sink.read(given, None, {}) is None
