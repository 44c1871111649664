# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A server is asked by its address, and for its name."""

from __future__ import annotations

import http.server
import ssl
import subprocess
import threading

import pytest

from ansible_collections.scaleout.platform.plugins.module_utils.services.drivers.unit import ask


@pytest.fixture
def server(tmp_path):
    """A server with TLS that answers 400 to any Host but its own, and notes which name TLS asked for."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.headers["Host"] == "shop.example" else 400)
            self.end_headers()

        def log_message(self, *_):
            pass

    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-keyout", key, "-out", certificate, "-subj", "/CN=shop.example"),
        ],
        check=True,
        capture_output=True,
    )
    found = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.names = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.sni_callback = lambda _socket, name, _context: found.names.append(name)
    found.socket = context.wrap_socket(found.socket, server_side=True)
    threading.Thread(target=found.serve_forever, daemon=True).start()
    yield found
    found.shutdown()
    found.server_close()


def test_h8_tls_and_the_header_have_the_name(server):
    url = f"https://127.0.0.1:{server.server_port}/"
    assert ask(url, headers={"Host": "shop.example"}, name="shop.example")[0] == 200
    assert ask(url)[0] == 400
    assert server.names == ["shop.example", None]
