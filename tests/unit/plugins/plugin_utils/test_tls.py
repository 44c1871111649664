# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""TLS of the metric store and of whom a run hands over to, with certificates of an authority of our own."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.errors import Stranger, Unreachable
from ansible_collections.scaleout.platform.plugins.plugin_utils import hand_over, metric_codec, sink_awx, sink_webhook
from ansible_collections.scaleout.platform.plugins.plugin_utils.metric_source import Want, read
from ansible_collections.scaleout.platform.plugins.plugin_utils.metric_store import Settings, Store
from tests.unit import authority, redis_server
from tests.unit.plugins.callback.runs import COLLECT, Project
from tests.unit.plugins.plugin_utils.samples import document


class Certificates:
    """Those of two authorities: ours, which is trusted, and one that is not."""

    def __init__(self, folder):
        self.ours = authority.Authority(folder / "ours")
        theirs = authority.Authority(folder / "theirs")
        self.good = self.ours.signs("good", "IP:127.0.0.1", "DNS:localhost")
        self.other_name = self.ours.signs("other_name", "DNS:elsewhere.example")
        self.foreign = theirs.signs("foreign", "IP:127.0.0.1", "DNS:localhost")


@pytest.fixture(scope="module", name="made")
def _made(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"))


#: A server's certificate, whether its authority is named, and what is said against it; empty where it is trusted.
SERVERS = [
    ("good", True, ""),
    ("good", False, "unable to get local issuer certificate"),
    ("foreign", True, "unable to get local issuer certificate"),
    ("foreign", False, "unable to get local issuer certificate"),
    ("other_name", True, "IP address mismatch"),
]


def settings_for(port, **given):
    return Settings("127.0.0.1", port, password=redis_server.PASSWORD, tls=True, timeout=5, **given)


def push(settings):
    """Push a sample, and return what was read back."""
    now = float(int(time.time()))
    with contextlib.closing(Store(settings)) as store:
        store.push([metric_codec.sample(document("shop1", now))])
    found = read(settings, [Want("shop", now - 60)], now)
    assert found.problems == []
    return found.readings["shop"]


@pytest.mark.parametrize(("certificate", "named", "against"), SERVERS)
def test_the_store_is_verified_before_anything_is_sent(made, port, certificate, named, against):
    with authority.before(port, authority.serving(getattr(made, certificate))) as (tls, sent):
        settings = settings_for(tls, ca_file=made.ours.file if named else "")
        if not against:
            assert push(settings)
            assert redis_server.PASSWORD.encode() in sent
            return
        with pytest.raises(Stranger, match=against):
            push(settings)
        assert [problem.code for problem in read(settings, [Want("shop", 0)], 1).problems] == ["stranger"]
        assert sent == b""


def test_a_store_that_wants_a_certificate_of_the_client(made, port):
    with authority.before(port, authority.serving(made.good, clients=made.ours.file)) as (tls, sent):
        files = {"cert_file": made.good.certificate, "key_file": made.good.key}
        assert push(settings_for(tls, ca_file=made.ours.file, **files))
        sent.clear()
        foreign = {"cert_file": made.foreign.certificate, "key_file": made.foreign.key}
        for given in ({}, foreign):
            with pytest.raises(Unreachable):
                push(settings_for(tls, ca_file=made.ours.file, **given))
        assert sent == b""


def test_tls_on_one_side_alone_is_no_connection(made, port):
    with pytest.raises(Unreachable):
        push(settings_for(port, ca_file=made.ours.file))
    with authority.before(port, authority.serving(made.good)) as (tls, sent), pytest.raises(Unreachable):
        push(Settings("127.0.0.1", tls, password=redis_server.PASSWORD, timeout=5))
    assert sent == b""


@pytest.mark.parametrize("option", ["ca_file", "cert_file"])
def test_a_file_that_is_not_there(made, port, tmp_path, option):
    files = {"ca_file": made.ours.file, option: str(tmp_path / "none.pem")}
    context = authority.serving(made.good)
    with authority.before(port, context) as (tls, _sent), pytest.raises(Unreachable, match="No such file"):
        push(settings_for(tls, **files))


@contextlib.contextmanager
def https(pair):
    """A server that answers everything with 201; yields its URL and the bodies that it was sent."""
    bodies = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(201)
            self.end_headers()
            self.wfile.write(json.dumps({"job": 42}).encode())

        def log_message(self, *_arguments):
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        context = authority.serving(pair)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"https://127.0.0.1:{server.server_address[1]}", bodies
        server.shutdown()


@pytest.mark.parametrize("sink", [sink_awx, sink_webhook], ids=["awx", "webhook"])
@pytest.mark.parametrize(("certificate", "named", "against"), SERVERS)
def test_whom_is_handed_over_to_is_verified_before_anything_is_sent(made, sink, certificate, named, against):
    with https(getattr(made, certificate)) as (url, bodies):
        options = hand_over.Options(
            playbook="autoscale.yml",
            timeout=5,
            ca_file=made.ours.file if named else "",
            awx_url=f"{url}/api/v2",
            awx_template="7",
            awx_token="t0ken",
            webhook_url=f"{url}/endpoint",
            webhook_secret="secret",
            log_path="",
            inventories=(),
            vault_ids=(),
        )
        sink.check(options)
        event = hand_over.Event.of("id", 1.0, ["shop"], 1)
        if against:
            with pytest.raises(Stranger, match=against):
                sink.send(event, options)
        else:
            sink.send(event, options)
    assert len(bodies) == (not against)


def test_a_run_pushes_and_hands_over_by_tls(made, port, tmp_path):
    context = authority.serving(made.good)
    with authority.before(port, context) as (tls, sent), https(made.good) as (url, bodies):
        run = Project(tmp_path, tls).play(
            COLLECT,
            SCALEOUT_STORE_TLS="true",
            SCALEOUT_STORE_CA_FILE=made.ours.file,
            SCALEOUT_HANDOVER="webhook",
            SCALEOUT_WEBHOOK_URL=f"{url}/endpoint",
            SCALEOUT_WEBHOOK_SECRET="secret",
            SCALEOUT_HANDOVER_CA_FILE=made.ours.file,
        )
    assert (run.status, run.warnings) == (0, [])
    assert b"scaleout:metrics:shop:raw" in sent
    assert json.loads(bodies[0])["samples"] == 2
