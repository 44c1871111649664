# Copyright (c) 2026, The scaleout.platform team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A certificate authority of OpenSSL's making, and TLS on the loopback interface."""

from __future__ import annotations

import contextlib
import pathlib
import socket
import socketserver
import ssl
import subprocess
import threading
import typing as t


class Pair(t.NamedTuple):
    """A certificate and its key, as files of PEM."""

    certificate: str
    key: str


class Authority:
    """Signs certificates."""

    def __init__(self, folder: pathlib.Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._pair = self._made("authority", f"/CN={folder.name}", "basicConstraints=critical,CA:TRUE")
        self.file = self._pair.certificate

    def signs(self, name: str, *names: str) -> Pair:
        """Return a certificate.

        :param names: whose it is, such as ``IP:127.0.0.1`` or ``DNS:redis.example``.
        """
        signer = ("-CA", self._pair.certificate, "-CAkey", self._pair.key)
        return self._made(name, f"/CN={name}", f"subjectAltName={','.join(names)}", *signer)

    def _made(self, name: str, subject: str, extension: str, *words: str) -> Pair:
        pair = Pair(str(self._folder / f"{name}.pem"), str(self._folder / f"{name}.key"))
        new = ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        what = ("-days", "2", "-subj", subject, "-addext", extension, "-keyout", pair.key, "-out", pair.certificate)
        subprocess.run([*new, *what, *words], check=True, capture_output=True)
        return pair


def serving(pair: Pair, clients: str | None = None) -> ssl.SSLContext:
    """Return what a server needs for TLS.

    :param clients: who has to have signed a client's certificate, as a file of PEM; None asks for none.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    if clients:
        context.load_verify_locations(clients)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


@contextlib.contextmanager
def before(port: int, context: ssl.SSLContext) -> t.Iterator[tuple[int, bytearray]]:
    """Put TLS before a server of this machine; yields the port, and all that clients have sent through it."""
    sent = bytearray()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with (
                contextlib.suppress(OSError),
                context.wrap_socket(self.request, server_side=True) as client,
                socket.create_connection(("127.0.0.1", port)) as server,
            ):
                back = threading.Thread(target=self._pass_on, args=(server, client), daemon=True)
                back.start()
                self._pass_on(client, server, sent)
                back.join(5)

        def _pass_on(self, source: socket.socket, sink: socket.socket, seen: bytearray | None = None) -> None:
            with contextlib.suppress(OSError):
                while data := source.recv(65536):
                    if seen is not None:
                        seen.extend(data)
                    sink.sendall(data)
            with contextlib.suppress(OSError):
                sink.shutdown(socket.SHUT_RDWR)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as proxy:
        proxy.daemon_threads = True
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        yield proxy.server_address[1], sent
        proxy.shutdown()
